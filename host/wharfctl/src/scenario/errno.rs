//! Names of errnos.

use anyhow::{Result, bail};
use nix::errno::Errno;

/// Those that the kernel answers network requests with.
const NAMES: [(&str, Errno); 22] = [
    ("EPERM", Errno::EPERM),
    ("ENOENT", Errno::ENOENT),
    ("ESRCH", Errno::ESRCH),
    ("EIO", Errno::EIO),
    ("EAGAIN", Errno::EAGAIN),
    ("ENOMEM", Errno::ENOMEM),
    ("EACCES", Errno::EACCES),
    ("EBUSY", Errno::EBUSY),
    ("EEXIST", Errno::EEXIST),
    ("ENODEV", Errno::ENODEV),
    ("EINVAL", Errno::EINVAL),
    ("ENFILE", Errno::ENFILE),
    ("ENOSPC", Errno::ENOSPC),
    ("EROFS", Errno::EROFS),
    ("ERANGE", Errno::ERANGE),
    ("ENOSYS", Errno::ENOSYS),
    ("EOPNOTSUPP", Errno::EOPNOTSUPP),
    ("EADDRNOTAVAIL", Errno::EADDRNOTAVAIL),
    ("ENETDOWN", Errno::ENETDOWN),
    ("ENETUNREACH", Errno::ENETUNREACH),
    ("ENOBUFS", Errno::ENOBUFS),
    ("ETIMEDOUT", Errno::ETIMEDOUT),
];

/// The number of an errno.
pub(super) fn parse(text: &str) -> Result<i32> {
    if let Some((_, errno)) = NAMES.iter().find(|(name, _)| *name == text) {
        return Ok(*errno as i32);
    }
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => {
            let names: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            bail!("fault: {text:?} is no errno: write a number, or one of {}", names.join(", "))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(parse("ENOBUFS").unwrap(), 105);
        assert_eq!(parse("5").unwrap(), 5);
        for text in ["", "EWHAT", "0", "-1"] {
            assert!(parse(text).unwrap_err().to_string().contains("ENOSPC"), "{text}");
        }
    }
}

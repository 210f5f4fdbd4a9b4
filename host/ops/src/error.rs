//! How an operation fails: one closed kind, the kernel's errno where there is one, one sentence.

use serde::{Deserialize, Serialize};

/// The WIT enum `wharf:types/errors.kind`, case by case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ErrorKind {
    /// The grant or a policy forbids it.
    Denied,
    /// What the call names is not there.
    NotFound,
    /// It is there already.
    AlreadyExists,
    /// An argument is wrong.
    Invalid,
    /// Somebody holds it.
    Busy,
    /// This kernel or host cannot do it.
    Unsupported,
    /// A range, quota or limit is used up.
    Exhausted,
    /// It did not happen in time.
    TimedOut,
    /// What is there contradicts what was asked for.
    Conflict,
    /// An error of the kernel or a file that fits no other kind.
    Io,
    /// A fault of the host.
    Internal,
}

/// Why an operation failed. `operation` is filled in by the broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    /// The closed kind.
    pub kind: ErrorKind,
    /// The errno, when the kernel answered.
    pub errno: Option<i32>,
    /// `links/create-veth`, `routes/add`, ...
    pub operation: String,
    /// What, where, what to do.
    pub message: String,
}

impl Error {
    /// An error that no errno belongs to.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, errno: None, operation: String::new(), message: message.into() }
    }

    /// An error the kernel answered with; the kind follows from the errno.
    pub fn from_errno(errno: i32, message: impl Into<String>) -> Self {
        Self { kind: kind_of(errno), errno: Some(errno), operation: String::new(), message: message.into() }
    }

    /// An error of a file or a system call.
    pub fn from_io(error: &std::io::Error, what: impl std::fmt::Display) -> Self {
        let message = format!("{what}: {error}");
        match error.raw_os_error() {
            Some(errno) => Self::from_errno(errno, message),
            None => Self::new(ErrorKind::Io, message),
        }
    }

    /// `kind: invalid`.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// `kind: not-found`.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// `kind: internal`.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Internal, message)
    }

    /// Puts what was being done in front of the message.
    #[must_use]
    pub fn context(mut self, what: impl std::fmt::Display) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }
}

/// errno(3) values of Linux, which are the same on every architecture that Wharf runs on.
fn kind_of(errno: i32) -> ErrorKind {
    match errno {
        1 | 13 => ErrorKind::Denied,                 // EPERM, EACCES
        2 | 3 | 6 | 19 | 99 => ErrorKind::NotFound,  // ENOENT, ESRCH, ENXIO, ENODEV, EADDRNOTAVAIL
        11 | 16 => ErrorKind::Busy,                  // EAGAIN, EBUSY
        17 => ErrorKind::AlreadyExists,              // EEXIST
        22 | 34 => ErrorKind::Invalid,               // EINVAL, ERANGE
        38 | 95 | 97 => ErrorKind::Unsupported,      // ENOSYS, EOPNOTSUPP, EAFNOSUPPORT
        28 | 54 | 105 | 122 => ErrorKind::Exhausted, // ENOSPC, EXFULL, ENOBUFS, EDQUOT
        62 | 110 => ErrorKind::TimedOut,             // ETIME, ETIMEDOUT
        _ => ErrorKind::Io,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_decides_the_kind() {
        for (errno, kind) in [
            (libc_errno("EEXIST"), ErrorKind::AlreadyExists),
            (libc_errno("ENODEV"), ErrorKind::NotFound),
            (libc_errno("EPERM"), ErrorKind::Denied),
            (libc_errno("EXFULL"), ErrorKind::Exhausted),
            (libc_errno("EIO"), ErrorKind::Io),
        ] {
            assert_eq!(Error::from_errno(errno, "x").kind, kind, "errno {errno}");
        }
    }

    fn libc_errno(name: &str) -> i32 {
        match name {
            "EEXIST" => 17,
            "ENODEV" => 19,
            "EPERM" => 1,
            "EXFULL" => 54,
            _ => 5,
        }
    }

    #[test]
    fn context_goes_in_front() {
        assert_eq!(Error::invalid("b").context("a").to_string(), "a: b");
    }
}

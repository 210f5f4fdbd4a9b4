//! Names and values of sysctls, and why one cannot be opened.

use nix::errno::Errno;
use wharf_ops::{Error, Ns};

use super::place;

/// Only a path that stays below `/proc/sys/net`, where there are neither symbolic links nor names with a leading dot.
pub fn check_sysctl(key: &str) -> Result<(), Error> {
    let bad = |part: &str| part.is_empty() || part.starts_with('.') || part.contains('\0');
    if key.len() > 255 || key.split('/').any(bad) {
        return Err(Error::invalid(format!(
            "{key:?} names no sysctl: write the path below /proc/sys/net with slashes, as in ipv4/conf/eth0/forwarding"
        )));
    }
    Ok(())
}

/// Whether two values of a sysctl mean the same: several numbers are printed with tabs and written with any white space.
pub fn same_value(current: &str, wanted: &str) -> bool {
    current.split_ascii_whitespace().eq(wanted.split_ascii_whitespace())
}

/// What a sysctl was opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// To tell its value.
    Read,
    /// To set it.
    Write,
}

/// A sysctl that cannot be opened.
pub fn sysctl_failed(errno: i32, asked: Access, ns: Ns, key: &str) -> Error {
    let what = format!("the sysctl net/{key} in {}", place(ns));
    match Errno::from_raw(errno) {
        Errno::ENOENT | Errno::ENOTDIR => Error {
            errno: Some(errno),
            ..Error::not_found(format!("{what} is not there: no such parameter or link"))
        },
        Errno::EISDIR => {
            Error { errno: Some(errno), ..Error::invalid(format!("{what} is a folder of parameters")) }
        }
        Errno::EACCES => {
            let reason = match asked {
                Access::Read => "cannot be read: the kernel lets it be written only",
                Access::Write => "cannot be written: the kernel lets it be read only",
            };
            Error::from_errno(errno, format!("{what} {reason}"))
        }
        known => Error::from_errno(errno, format!("opening {what}: {}", known.desc())),
    }
}

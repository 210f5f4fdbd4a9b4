//! The lease store behind `wharf:store/leases`: host-local's directory of one file per address, plus an index
//! that makes its cost independent of the number of leases.
//!
//! The lease files are the only truth, and host-local may work on the same directory at any time. The index is a
//! cache that is believed only as long as the directory carries the time stamp which it was left with.

mod address;
mod boot;
mod files;
mod holder;
mod home;
mod index;
mod lock;
mod pages;
mod pool;
#[cfg(test)]
mod tests;

pub use pool::{NOBODY, Pool};

use nix::errno::Errno;
use wharf_ops::Error;

/// The error of a system call, with what it was for.
fn failed(errno: Errno, what: impl std::fmt::Display) -> Error {
    Error::from_errno(errno as i32, format!("{what}: {}", errno.desc()))
}

//! NS_GET_NSTYPE and SO_NETNS_COOKIE, which nix does not wrap. Hence `unsafe` here and nowhere else around namespaces.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// A network namespace: CLONE_NEWNET.
pub(super) const NET: i32 = libc::CLONE_NEWNET;

/// `_IO(0xb7, 0x3)` of linux/nsfs.h.
const NS_GET_NSTYPE: libc::Ioctl = 0xb703;

/// The CLONE_NEW* flag of a namespace.
pub(super) fn of(namespace: BorrowedFd<'_>) -> Result<i32, Errno> {
    // SAFETY: the descriptor is open, and this request takes no argument.
    Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_NSTYPE) })
}

/// The number that the kernel gave to a socket's network namespace, and gives to no other until it ends (Linux 5.14).
pub(super) fn cookie(socket: BorrowedFd<'_>) -> Result<u64, Errno> {
    let mut cookie = 0_u64;
    let mut length = libc::socklen_t::try_from(size_of::<u64>()).map_err(|_| Errno::EINVAL)?;
    // SAFETY: the descriptor is open, and the value and its length outlive the call, which writes no more than that.
    Errno::result(unsafe {
        let value = (&raw mut cookie).cast();
        libc::getsockopt(socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_NETNS_COOKIE, value, &raw mut length)
    })?;
    Ok(cookie)
}

/// In words.
pub(super) fn name(kind: i32) -> String {
    let name = match kind {
        libc::CLONE_NEWNS => "a mount",
        libc::CLONE_NEWPID => "a pid",
        libc::CLONE_NEWUTS => "a uts",
        libc::CLONE_NEWIPC => "an ipc",
        libc::CLONE_NEWUSER => "a user",
        libc::CLONE_NEWCGROUP => "a cgroup",
        _ => "another kind of",
    };
    format!("{name} namespace")
}

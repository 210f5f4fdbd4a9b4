//! The one socket call that nix does not wrap: setsockopt(2) at SOL_NETLINK. Hence `unsafe` here and nowhere else
//! in the netlink layer.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use nix::errno::Errno;

/// Sets an option of SOL_NETLINK that is an int.
pub(super) fn set_option(socket: BorrowedFd<'_>, option: i32, value: i32) -> Result<(), Errno> {
    #[expect(clippy::cast_possible_truncation, reason = "the size of an int")]
    let length = size_of::<i32>() as libc::socklen_t;
    // SAFETY: the descriptor is open, and the kernel reads `length` bytes of `value`, which lives through the call.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), libc::SOL_NETLINK, option, (&raw const value).cast(), length)
    };
    Errno::result(result).map(drop)
}

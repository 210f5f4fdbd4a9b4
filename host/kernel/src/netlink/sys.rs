//! The socket calls that nix does not wrap: setsockopt(2) at SOL_NETLINK, and recv(2) into memory that nobody has written to.
//! Hence `unsafe` here and nowhere else in the netlink layer.
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

/// recv(2) of one datagram, which replaces what is in `input`, up to its capacity. Answers how long the datagram is: with
/// MSG_TRUNC among the flags, more than what is in `input` if it did not fit.
pub(super) fn receive(socket: BorrowedFd<'_>, input: &mut Vec<u8>, flags: i32) -> Result<usize, Errno> {
    input.clear();
    let room = input.spare_capacity_mut();
    // SAFETY: the descriptor is open, and the kernel writes no more than `room.len()` bytes to `room`.
    let length = unsafe { libc::recv(socket.as_raw_fd(), room.as_mut_ptr().cast(), room.len(), flags) };
    let length = usize::try_from(length).map_err(|_| Errno::last())?;
    let written = length.min(input.capacity());
    // SAFETY: the kernel has written so many bytes.
    unsafe { input.set_len(written) };
    Ok(length)
}

//! The system calls that a sandbox may make once its component is loaded. Any other one kills it.
//!
//! It can talk through the socket it has, get and give back memory that is never executable, take a fault, read the
//! clock and random numbers, and exit. It cannot open, connect, execute, fork, signal others or make code.

#![allow(unsafe_code)] // seccomp(2) has no safe form.

mod program;

use std::io;

use libc::c_long;

use crate::Error;

/// Allowed whatever the arguments.
const ALLOWED: &[c_long] = &[
    // The conversation with the broker.
    libc::SYS_read,
    libc::SYS_write,
    libc::SYS_recvfrom,
    libc::SYS_sendto,
    // Memory: linear memories, the heap of the host functions.
    libc::SYS_munmap,
    libc::SYS_mremap,
    libc::SYS_madvise,
    libc::SYS_brk,
    // Traps arrive as signals; their handlers run on a stack of their own.
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
    // Locks, time and randomness.
    libc::SYS_futex,
    libc::SYS_sched_yield,
    libc::SYS_clock_gettime,
    libc::SYS_getrandom,
    // abort(3) asks who it is.
    libc::SYS_getpid,
    libc::SYS_gettid,
    // The end.
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
];

/// What abort(3) signals itself with: glibc names process and thread, musl the thread alone, by the number that it
/// remembers: of a process that it forked itself, its own.
const ABORT: c_long = if cfg!(target_env = "musl") { libc::SYS_tkill } else { libc::SYS_tgkill };

/// Applies the filter to this process, which must have given up new privileges. There is no way back.
pub(crate) fn apply() -> Result<(), Error> {
    let mut program = program::of(std::process::id());
    let filter = libc::sock_fprog { len: program::LENGTH, filter: program.as_mut_ptr() };
    // SAFETY: the kernel reads `len` instructions of the program, which has as many and lives through the call.
    match unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const filter) } {
        0 => Ok(()),
        _ => Err(Error::Confine("apply the seccomp filter", io::Error::last_os_error().to_string())),
    }
}

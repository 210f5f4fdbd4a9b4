//! The system calls that a sandbox may make once its component is loaded. Any other one kills it.
//!
//! It can talk through the socket it has, get and give back memory that is never executable, take a fault, read the
//! clock and random numbers, and exit. It cannot open, connect, execute, fork, signal others or make code.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

use crate::Error;

/// Allowed whatever the arguments.
const ALLOWED: &[libc::c_long] = &[
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

/// Builds the filter for this process and applies it. There is no way back.
pub(crate) fn apply() -> Result<(), Error> {
    let filter = filter().map_err(|error| Error::Confine("build the seccomp filter", error.to_string()))?;
    seccompiler::apply_filter(&filter)
        .map_err(|error| Error::Confine("apply the seccomp filter", error.to_string()))
}

fn filter() -> Result<seccompiler::BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = ALLOWED.iter().map(|call| (*call, Vec::new())).collect();
    let exec = u64::try_from(libc::PROT_EXEC).unwrap_or_default();
    let never_executable = SeccompRule::new(vec![SeccompCondition::new(
        2,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::MaskedEq(exec),
        0,
    )?])?;
    rules.insert(libc::SYS_mmap, vec![never_executable.clone()]);
    rules.insert(libc::SYS_mprotect, vec![never_executable]);
    // abort(3) signals its own process, and no other.
    let own = SeccompRule::new(vec![SeccompCondition::new(
        0,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        u64::from(std::process::id()),
    )?])?;
    rules.insert(libc::SYS_tgkill, vec![own]);
    // A debug build of the standard library asks whether a descriptor is open before it closes it.
    let is_open = SeccompRule::new(vec![SeccompCondition::new(
        1,
        SeccompCmpArgLen::Dword,
        SeccompCmpOp::Eq,
        u64::try_from(libc::F_GETFD).unwrap_or_default(),
    )?])?;
    rules.insert(libc::SYS_fcntl, vec![is_open]);
    let architecture: TargetArch = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?.try_into()
}

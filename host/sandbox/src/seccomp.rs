//! The system calls that a sandbox may make once its component is loaded. Any other one kills it.
//!
//! It can talk through the socket it has, get and give back memory that is never executable, take a fault, read the
//! clock and random numbers, and exit. It cannot open, connect, execute, fork, signal others or make code.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
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

/// Stands in the program for the process that it will be applied to. No process has this number: the kernel's own limit
/// (PID_MAX_LIMIT) is 4194304.
const ITSELF: u32 = 0x7fff_fff1;

/// The filter, built once for all sandboxes that are forked from one process.
pub(crate) struct Filter(BpfProgram);

impl Filter {
    /// Builds it.
    pub(crate) fn build() -> Result<Self, Error> {
        program().map(Self).map_err(|error| Error::Confine("build the seccomp filter", error.to_string()))
    }

    /// Applies it to this process. There is no way back.
    pub(crate) fn apply(mut self) -> Result<(), Error> {
        let own = std::process::id();
        for instruction in self.0.iter_mut().filter(|instruction| instruction.k == ITSELF) {
            instruction.k = own;
        }
        seccompiler::apply_filter(&self.0)
            .map_err(|error| Error::Confine("apply the seccomp filter", error.to_string()))
    }
}

fn program() -> Result<BpfProgram, BackendError> {
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
        u64::from(ITSELF),
    )?])?;
    rules.insert(libc::SYS_tgkill, vec![own.clone()]);
    // musl's names the thread alone, by the number that it remembers: of a process that it forked itself, its own.
    rules.insert(libc::SYS_tkill, vec![own]);
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

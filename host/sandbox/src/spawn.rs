//! The processes: a fork, and what a sandbox's end means. The caller must be single-threaded.

#![allow(unsafe_code)] // fork(2), and leaving a fork by _exit(2).

use std::fmt;
use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};
use wharf_ops::call::Failure;
use wharf_ops::logging::Level;
use wharf_ops::wire::{self, Timings, ToBroker};

use crate::place::Places;
use crate::zygote::Zygote;
use crate::{Artefact, Error, Identity, Limits, confine, seccomp};

/// What a sandbox is started for: a call of this guest, which call comes later.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// The compiled guest.
    pub artefact: &'a Artefact,
    /// Whether the container's namespace exists: if not, `del` of a network guest gets none.
    pub container_present: bool,
    /// How much it may use.
    pub limits: Limits,
    /// Log lines below this are not sent.
    pub log_level: Level,
    /// What random numbers are made from, for tests and replays; without it they are real.
    pub seed: Option<u64>,
}

/// A running sandbox. Dropping it kills and reaps it.
#[derive(Debug)]
pub struct Child {
    /// The conversation.
    pub socket: UnixStream,
    pid: Pid,
    pidfd: Option<OwnedFd>,
    ended: Option<Ended>,
    killed: bool,
    places: Option<Places>,
}

/// How a sandbox ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With this exit code; 0 is the rule, whatever came of the call.
    Exited(i32),
    /// By this signal.
    Killed(i32),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "the sandbox exited with code {code}"),
            Self::Killed(libc::SIGSYS) => {
                f.write_str("the sandbox was killed for a forbidden system call, or it aborted")
            }
            Self::Killed(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "the sandbox was killed by {signal}"),
                Err(_) => write!(f, "the sandbox was killed by signal {number}"),
            },
        }
    }
}

/// The exit code of a sandbox that could not keep its socket.
pub(crate) const UNREACHABLE: i32 = 71;
/// The exit code of a sandbox in which our own code panicked.
const PANICKED: i32 = 70;

/// Starts a sandbox for one job, when no other guest is going to be called. The caller must be single-threaded.
pub fn spawn(job: Job<'_>, identity: Identity) -> Result<Child, Error> {
    let mut zygote = Zygote::start(&[job], identity, None)?;
    zygote
        .take(&job)
        .ok_or_else(|| Error::Fork(io::Error::other("the process that loads the guest is taken")))?
}

/// Starts a sandbox that runs native code: what an attacker could do who has taken over the process of a guest.
/// For tests of the confinement, and of a broker against hostile messages. The caller must be single-threaded.
pub fn spawn_native(
    limits: &Limits,
    identity: Identity,
    body: impl FnOnce(UnixStream),
) -> Result<Child, Error> {
    let (ours, theirs) = UnixStream::pair().map_err(Error::Socket)?;
    let broker = std::process::id();
    let pid = fork_child(|| {
        // Without the socket there is nobody to tell: the broker sees the end of the stream and the code.
        let Ok(socket) = confine::keep_only(theirs.into()) else { return UNREACHABLE };
        let socket = UnixStream::from(socket);
        tell_of_panics();
        let confined = confine::give_up(identity, broker)
            .and_then(|()| confine::limit(limits))
            .and_then(|()| seccomp::apply());
        match confined {
            Ok(()) => body(socket),
            Err(error) => report(&mut ManuallyDrop::new(socket), Failure::Sandbox(error.to_string())),
        }
        0
    })?;
    Ok(Child::new(pid, ours, None))
}

/// Forks. The body runs in the child and its answer is the exit code. The caller must be single-threaded.
pub(crate) fn fork_child(body: impl FnOnce() -> i32) -> Result<Pid, Error> {
    // SAFETY: the caller is single-threaded (as this function's documentation demands), so no lock is held by a thread
    // that does not exist in the child.
    match unsafe { fork() }.map_err(|errno| Error::Fork(errno.into()))? {
        ForkResult::Child => leave(body),
        ForkResult::Parent { child } => Ok(child),
    }
}

/// Forks a sibling: a process whose parent is the caller's parent. The caller must be single-threaded.
pub(crate) fn fork_sibling(body: impl FnOnce() -> i32) -> Result<Pid, Error> {
    let flags = libc::CLONE_PARENT | libc::SIGCHLD;
    let zero: libc::c_long = 0;
    // SAFETY: like fork(2), which is this call without CLONE_PARENT: the memory is copied and the stack stays. The caller
    // is single-threaded, so no lock is held by a thread that does not exist in the child.
    match unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(flags), zero, zero, zero, zero) } {
        0 => leave(body),
        pid => match i32::try_from(pid) {
            Ok(pid) if pid > 0 => Ok(Pid::from_raw(pid)),
            _ => Err(Error::Fork(io::Error::last_os_error())),
        },
    }
}

/// Runs the body and ends the process. Nothing may unwind or return from here into what is the parent's program.
fn leave(body: impl FnOnce() -> i32) -> ! {
    let code = catch_unwind(AssertUnwindSafe(body)).unwrap_or(PANICKED);
    // SAFETY: leaves without running the parent's destructors and exit handlers.
    unsafe { libc::_exit(code) }
}

/// Tells the broker that there is no sandbox.
pub(crate) fn report(socket: &mut UnixStream, failure: Failure) {
    let outcome = Err(failure);
    // If the broker is gone, there is nobody to tell.
    let _ = wire::send(socket, &ToBroker::Finished { outcome, timings: Timings::default() });
}

/// A panic here is a fault of ours, whoever provoked it. The usual hook would open files to explain itself.
pub(crate) fn tell_of_panics() {
    std::panic::set_hook(Box::new(|panic| {
        // SAFETY: the descriptor is the socket, which nobody closes before the process ends.
        let mut socket = ManuallyDrop::new(unsafe { UnixStream::from_raw_fd(confine::KEPT) });
        report(&mut socket, Failure::Sandbox(format!("a fault of the host: {panic}")));
        end();
    }));
}

/// As long as there is nobody to tell: the usual hook would write to a descriptor that is a socket now.
pub(crate) fn end_on_panics() {
    std::panic::set_hook(Box::new(|_| end()));
}

/// abort(3) would go by the number of a thread that musl remembers, which in a fork of ours is its elder sibling's.
fn end() -> ! {
    // SAFETY: ends the process without running anything of it.
    unsafe { libc::_exit(PANICKED) }
}

fn pidfd(pid: Pid) -> Option<OwnedFd> {
    // SAFETY: pidfd_open(2) takes two numbers; what it answers is a new descriptor that nobody else owns.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0) };
    match libc::c_int::try_from(fd) {
        // SAFETY: see above.
        Ok(fd) if fd >= 0 => Some(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => None,
    }
}

impl Child {
    pub(crate) fn new(pid: Pid, socket: UnixStream, places: Option<Places>) -> Self {
        Self { socket, pid, pidfd: pidfd(pid), ended: None, killed: false, places }
    }

    /// Brings it to the broker's processor, for a conversation.
    pub fn summon(&self) {
        if let Some(places) = &self.places {
            places.bring_here(self.pid);
        }
    }

    /// The process, for messages and tests.
    pub fn pid(&self) -> i32 {
        self.pid.as_raw()
    }

    /// Becomes readable when the process ends; none on a kernel without it.
    pub fn pidfd(&self) -> Option<BorrowedFd<'_>> {
        self.pidfd.as_ref().map(AsFd::as_fd)
    }

    /// Ends it, whatever it is doing. Not an error if it has ended.
    pub fn kill(&mut self) -> io::Result<()> {
        if self.ended.is_none() && !self.killed {
            // Not reaped yet, so the number is still this process's. Giving its memory back takes a while.
            if let Some(places) = &self.places {
                places.let_go(self.pid);
            }
            kill(self.pid, Signal::SIGKILL)?;
            self.killed = true;
        }
        Ok(())
    }

    /// Waits for its end.
    pub fn wait(&mut self) -> io::Result<Ended> {
        loop {
            if let Some(ended) = self.ended {
                return Ok(ended);
            }
            match waitpid(self.pid, None) {
                Ok(WaitStatus::Exited(_, code)) => self.ended = Some(Ended::Exited(code)),
                Ok(WaitStatus::Signaled(_, signal, _)) => self.ended = Some(Ended::Killed(signal as i32)),
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.ended.is_none() {
            // Neither can fail for a child of ours that was not reaped.
            let _ = self.kill();
            let _ = self.wait();
        }
    }
}

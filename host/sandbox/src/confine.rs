//! What a forked child gives up before it touches a guest, in an order in which each step can still be taken.

#![allow(unsafe_code)] // close_range, prctl, capset and the identity calls have no safe form that is right after fork.

use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, OwnedFd, RawFd};

use libc::{c_int, c_ulong};

use crate::engine::{GUARD, RESERVATION};
use crate::limits::MAX_MEMORIES;
use crate::{Error, Limits};

/// As whom a sandbox runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// As this user and group, without supplementary groups. A process that is not root has to keep its own.
    User {
        /// setresuid(2).
        uid: u32,
        /// setresgid(2).
        gid: u32,
    },
    /// As whoever starts it, with no capability: for a user namespace that maps nobody else.
    Keep,
}

impl Default for Identity {
    /// `nobody`.
    fn default() -> Self {
        Self::User { uid: 65534, gid: 65534 }
    }
}

/// Beyond the guest's memory: the broker's own pages, which a fork shares, and the host functions' heap.
const OWN: u64 = 256 << 20;

/// Gives up every privilege, for itself and for what is forked from it. Limits and the system call filter are each
/// sandbox's own.
pub(crate) fn give_up(identity: Identity, broker: u32) -> Result<(), Error> {
    // The broker's handlers and mask are none of the guest's business, and a blocked SIGSEGV would hide a trap.
    reset_signals()?;
    // The bounding set and the groups need capabilities; the change of uid takes them away.
    if let Identity::User { uid, gid } = identity
        // SAFETY: geteuid(2) always succeeds and touches no memory.
        && unsafe { libc::geteuid() } == 0
    {
        become_user(uid, gid)?;
    }
    drop_capabilities()?;
    // After the change of uid, which clears both this and the next.
    prctl("PR_SET_DUMPABLE", libc::PR_SET_DUMPABLE, 0, 0)?;
    end_with(broker)?;
    prctl("PR_SET_NO_NEW_PRIVS", libc::PR_SET_NO_NEW_PRIVS, 1, 0)
}

/// Dies with the broker. A fork does not inherit this.
pub(crate) fn end_with(broker: u32) -> Result<(), Error> {
    prctl("PR_SET_PDEATHSIG", libc::PR_SET_PDEATHSIG, libc::SIGKILL as c_ulong, 0)?;
    // SAFETY: getppid(2) always succeeds and touches no memory.
    if u32::try_from(unsafe { libc::getppid() }) != Ok(broker) {
        return Err(Error::Confine("find the broker", "it has died".to_owned()));
    }
    Ok(())
}

/// Random numbers of the kernel; answers how many bytes it filled in.
pub(crate) fn random(into: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the pointer and the length are those of a live mutable slice.
    let got = unsafe { libc::getrandom(into.as_mut_ptr().cast(), into.len(), 0) };
    usize::try_from(got).map_err(|_| io::Error::last_os_error())
}

/// The error of the call that just failed.
fn failed(what: &'static str) -> Error {
    Error::Confine(what, io::Error::last_os_error().to_string())
}

fn check(what: &'static str, status: c_int) -> Result<(), Error> {
    if status == 0 { Ok(()) } else { Err(failed(what)) }
}

fn prctl(what: &'static str, option: c_int, a: c_ulong, b: c_ulong) -> Result<(), Error> {
    let zero: c_ulong = 0;
    // SAFETY: none of the options used here takes a pointer.
    check(what, unsafe { libc::prctl(option, a, b, zero, zero) })
}

fn reset_signals() -> Result<(), Error> {
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2] {
        // SAFETY: the default disposition runs no code of ours.
        if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
            return Err(failed("reset a signal"));
        }
    }
    // SAFETY: sigemptyset(3) initialises the set that it is given, and sigprocmask(2) only reads it.
    check("reset the signal mask", unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, std::ptr::null_mut())
    })
}

/// The number of the only descriptor that a sandbox has.
pub(crate) const KEPT: RawFd = 0;

/// Moves these descriptors to 0, 1, ... and closes all others. The answer has them in the same order.
pub(crate) fn keep_all(descriptors: Vec<OwnedFd>) -> Result<Vec<OwnedFd>, Error> {
    let count = RawFd::try_from(descriptors.len()).map_err(|_| Error::Confine("keep", "too many".into()))?;
    let mut above = Vec::with_capacity(descriptors.len());
    for descriptor in descriptors {
        let number = descriptor.into_raw_fd();
        // One that is in the way of another would be lost.
        // SAFETY: fcntl(2) with F_DUPFD takes numbers and answers a new descriptor.
        let number =
            if number < count { unsafe { libc::fcntl(number, libc::F_DUPFD, count) } } else { number };
        if number < count {
            return Err(failed("move a socket"));
        }
        above.push(number);
    }
    for (wanted, number) in (0..).zip(above) {
        // SAFETY: dup2(2) takes over a number that nothing in this process will use as it was any more.
        if unsafe { libc::dup2(number, wanted) } != wanted {
            return Err(failed("move a socket"));
        }
    }
    close_from(count)?;
    // SAFETY: these numbers are the sockets, and their only owners were given up above.
    Ok((0..count).map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect())
}

/// Moves the socket to [`KEPT`] and closes all others.
pub(crate) fn keep_only(socket: OwnedFd) -> Result<OwnedFd, Error> {
    let number = socket.into_raw_fd();
    // SAFETY: dup2(2) takes over a number that nothing in this process will use as standard input any more.
    if unsafe { libc::dup2(number, KEPT) } != KEPT {
        return Err(failed("move the socket"));
    }
    close_from(KEPT + 1)?;
    // SAFETY: KEPT is the socket, and its only owner was given up above.
    Ok(unsafe { OwnedFd::from_raw_fd(KEPT) })
}

fn close_from(first: RawFd) -> Result<(), Error> {
    // SAFETY: the owners of these descriptors, the first numbers of those that were moved among them, are the parent's
    // objects, which this process never uses or drops: it leaves through _exit(2).
    match unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, 0) } {
        0 => Ok(()),
        _ => Err(failed("close_range (Linux 5.9 or newer is needed)")),
    }
}

/// Lowers what the process may use. Also without privileges: nothing is raised.
pub(crate) fn limit(limits: &Limits) -> Result<(), Error> {
    let data = u64::try_from(limits.memory_bytes).unwrap_or(u64::MAX).saturating_add(OWN);
    // Most of it is reserved and never used: RLIMIT_DATA is what bounds memory.
    let space = data.saturating_mul(2).saturating_add(MAX_MEMORIES as u64 * (RESERVATION + 2 * GUARD));
    let wanted = [
        ("RLIMIT_NOFILE", libc::RLIMIT_NOFILE, 0),
        ("RLIMIT_NPROC", libc::RLIMIT_NPROC, 0),
        ("RLIMIT_CORE", libc::RLIMIT_CORE, 0),
        ("RLIMIT_FSIZE", libc::RLIMIT_FSIZE, 0),
        ("RLIMIT_MEMLOCK", libc::RLIMIT_MEMLOCK, 0),
        ("RLIMIT_AS", libc::RLIMIT_AS, space),
        ("RLIMIT_DATA", libc::RLIMIT_DATA, data),
        ("RLIMIT_CPU", libc::RLIMIT_CPU, limits.cpu_seconds.max(1)),
    ];
    for (name, resource, value) in wanted {
        let mut now = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: the structure outlives the calls, which only read or fill it in.
        unsafe {
            // Never more than there was: only root could, and there is no reason to. Zero cannot be more.
            if value > 0 {
                check(name, libc::getrlimit(resource, &raw mut now))?;
            }
            let value = value.min(now.rlim_max);
            let new = libc::rlimit { rlim_cur: value, rlim_max: value };
            check(name, libc::setrlimit(resource, &raw const new))?;
        }
    }
    Ok(())
}

fn become_user(uid: u32, gid: u32) -> Result<(), Error> {
    let zero: c_ulong = 0;
    let all: std::ops::Range<c_ulong> = 0..64;
    for capability in all {
        // SAFETY: prctl(2) with PR_CAPBSET_DROP takes numbers.
        if unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, zero, zero, zero) } != 0 {
            match io::Error::last_os_error().raw_os_error() {
                // Past the last capability of this kernel; or without CAP_SETPCAP, and the other sets are still emptied.
                Some(libc::EINVAL | libc::EPERM) => break,
                _ => return Err(failed("PR_CAPBSET_DROP")),
            }
        }
    }
    // SAFETY: an empty list of groups is never read; the other two calls take numbers.
    unsafe {
        check("setgroups", libc::setgroups(0, std::ptr::null()))?;
        check("setresgid", libc::setresgid(gid, gid, gid))?;
        check("setresuid", libc::setresuid(uid, uid, uid))
    }
}

/// Empties the effective, permitted, inheritable and ambient sets.
fn drop_capabilities() -> Result<(), Error> {
    /// `__user_cap_header_struct` of capget(2).
    #[repr(C)]
    struct Header {
        version: u32,
        pid: c_int,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let none = [0_u32; 6];
    prctl("PR_CAP_AMBIENT", libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL as c_ulong, 0)?;
    // SAFETY: version 3 reads the header and two triples of 32 bits, which `none` holds.
    match unsafe { libc::syscall(libc::SYS_capset, &raw const header, none.as_ptr()) } {
        0 => Ok(()),
        _ => Err(failed("capset")),
    }
}

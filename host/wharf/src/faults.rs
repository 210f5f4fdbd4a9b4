//! Faults on purpose, for the tests that want each step to fail once. Only with the feature `faults`, which no release
//! has.
//!
//! `WHARF_FAULT=k:WHAT` picks the k-th change, counted from 1 over the kernel and the leases, of undoing too. WHAT is
//! an errno (a name or a number): the change fails with it and is not done; `kill-before` or `kill-after`: the broker is
//! killed with SIGKILL; `kill-sandbox` or `kill-sandbox-after`: the guest's process is. `WHARF_FAULT_COUNT=FILE` gets the number of changes when the call ends.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use wharf_broker::run::{LeaseChange, Moment};
use wharf_kernel::Kernel;
use wharf_ops::{Attachment, Error, KernelOp, Reply};

/// What happens at a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Errno(i32),
    KillBefore,
    KillAfter,
    KillSandbox,
    KillSandboxAfter,
}

/// At which change what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Fault {
    at: u64,
    what: What,
}

static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
static CHANGES: AtomicU64 = AtomicU64::new(0);
static SANDBOX: AtomicI32 = AtomicI32::new(0);

/// The errnos that have a name here.
const ERRNOS: [(&str, i32); 10] = [
    ("EPERM", 1),
    ("ENOENT", 2),
    ("EIO", 5),
    ("ENOMEM", 12),
    ("EBUSY", 16),
    ("EEXIST", 17),
    ("ENODEV", 19),
    ("EINVAL", 22),
    ("ENOSPC", 28),
    ("ENOBUFS", 105),
];

/// Reads the plan. The error names what can be said.
pub(crate) fn read() -> Result<(), String> {
    let fault = match std::env::var("WHARF_FAULT") {
        Ok(text) if !text.is_empty() => Some(parse(&text)?),
        _ => None,
    };
    // It is read once.
    let _ = FAULT.set(fault);
    Ok(())
}

fn parse(text: &str) -> Result<Fault, String> {
    let names: Vec<&str> = ERRNOS.iter().map(|(name, _)| *name).collect();
    let wrong = || {
        let names = names.join(", ");
        format!(
            "WHARF_FAULT={text}: not `k:WHAT` with k from 1 and WHAT one of kill-before, kill-after, kill-sandbox, \
             kill-sandbox-after, {names} or the number of an errno"
        )
    };
    let (at, what) = text.split_once(':').ok_or_else(wrong)?;
    let at = at.parse().ok().filter(|at| *at > 0).ok_or_else(wrong)?;
    let what = match what {
        "kill-before" => What::KillBefore,
        "kill-after" => What::KillAfter,
        "kill-sandbox" => What::KillSandbox,
        "kill-sandbox-after" => What::KillSandboxAfter,
        errno => {
            let named = ERRNOS.iter().find(|(name, _)| *name == errno).map(|(_, number)| *number);
            let number = named.or_else(|| errno.parse().ok()).filter(|number| *number > 0);
            What::Errno(number.ok_or_else(wrong)?)
        }
    };
    Ok(Fault { at, what })
}

/// Remembers the process that runs the guest.
pub(crate) fn sandbox_started(pid: i32) {
    SANDBOX.store(pid, Ordering::Relaxed);
}

/// Tells how many changes there were.
pub(crate) fn report() {
    if let Some(file) = std::env::var_os("WHARF_FAULT_COUNT") {
        // Who asks notices that there is no file.
        let _ = std::fs::write(file, CHANGES.load(Ordering::Relaxed).to_string());
    }
}

/// The hook of the lease stores.
pub(crate) fn lease(_: &LeaseChange<'_>, moment: Moment<'_>) -> Result<(), Error> {
    match moment {
        Moment::Before => before("a lease"),
        Moment::After(_) => {
            after();
            Ok(())
        }
    }
}

fn now(what: impl FnOnce(What) -> bool) -> Option<What> {
    let fault = FAULT.get().copied().flatten()?;
    (fault.at == CHANGES.load(Ordering::Relaxed) && what(fault.what)).then_some(fault.what)
}

fn before(change: &str) -> Result<(), Error> {
    CHANGES.fetch_add(1, Ordering::Relaxed);
    match now(|_| true) {
        Some(What::Errno(errno)) => {
            Err(Error::from_errno(errno, format!("{change}: errno {errno}, injected by WHARF_FAULT")))
        }
        Some(What::KillBefore) => end(Pid::this()),
        Some(What::KillSandbox) => end(Pid::from_raw(SANDBOX.load(Ordering::Relaxed))),
        Some(What::KillAfter | What::KillSandboxAfter) | None => Ok(()),
    }
}

fn after() {
    // It has worked if nothing follows.
    let _ = match now(|_| true) {
        Some(What::KillAfter) => end(Pid::this()),
        Some(What::KillSandboxAfter) => end(Pid::from_raw(SANDBOX.load(Ordering::Relaxed))),
        Some(What::Errno(_) | What::KillBefore | What::KillSandbox) | None => Ok(()),
    };
}

fn end(pid: Pid) -> Result<(), Error> {
    if pid.as_raw() <= 0 {
        return Ok(());
    }
    kill(pid, Signal::SIGKILL).map_err(|errno| Error::from_errno(errno as i32, "kill"))
}

/// A kernel with faults.
pub(crate) struct Faulty(pub(crate) Box<dyn Kernel>);

impl Kernel for Faulty {
    fn apply(&mut self, owner: &Attachment, op: &KernelOp) -> Result<Reply, Error> {
        let operation = op.operation();
        if !operation.changes {
            return self.0.apply(owner, op);
        }
        before(operation.name)?;
        let reply = self.0.apply(owner, op);
        after();
        reply
    }

    fn owners(&mut self, network: &str) -> Result<Vec<Attachment>, Error> {
        self.0.owners(network)
    }

    fn sweep(&mut self, owner: &Attachment) -> Result<(), Error> {
        before("sweeping rules")?;
        let swept = self.0.sweep(owner);
        after();
        swept
    }

    fn among_many(&mut self) {
        self.0.among_many();
    }

    fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.0.set_deadline(deadline);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_read_or_refused_with_what_it_may_be() {
        assert_eq!(parse("3:EBUSY").unwrap(), Fault { at: 3, what: What::Errno(16) });
        assert_eq!(parse("1:105").unwrap(), Fault { at: 1, what: What::Errno(105) });
        assert_eq!(parse("9:kill-after").unwrap(), Fault { at: 9, what: What::KillAfter });
        for text in ["", "x", "0:EBUSY", "1:", "1:EWHAT", "1:-1", "kill-before"] {
            assert!(parse(text).unwrap_err().contains("kill-sandbox"), "{text}");
        }
    }
}

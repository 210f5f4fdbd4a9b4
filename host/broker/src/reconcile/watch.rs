//! Looking again whenever somebody removes something from nf_tables.

use std::collections::BTreeMap;
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wharf_kernel::FirewallEvents;
use wharf_ops::{Error, ErrorKind};

use super::Look;
use super::pass::{Pass, Which};
use crate::Paths;
use crate::run::Kernels;
use crate::signals::Signals;

/// A reload comes as several batches: what follows within this time belongs to it.
const QUIET: Duration = Duration::from_millis(20);
/// But no longer than this.
const PATIENCE: Duration = Duration::from_millis(200);
/// A record that somebody worked on is looked at again.
const BUSY: Duration = Duration::from_millis(50);
/// What could not be put back is tried again.
const FAILED: Duration = Duration::from_secs(2);
/// iptables-legacy sends no events.
const LEGACY: Duration = Duration::from_secs(3);

/// What is watched, and how.
pub struct Watch<'a> {
    /// Where the records are.
    pub paths: &'a Paths,
    /// Makes the kernel.
    pub kernels: Kernels,
    /// What ends it.
    pub signals: &'a Signals,
}

/// Looks at every record, and again after each removal by others, until a signal comes. Each look is told to `report`,
/// the first one in any case. What stands in the way of a later one is told too, and tried again.
pub fn watch(watch: &Watch<'_>, mut report: impl FnMut(&Look)) -> Result<(), Error> {
    let mut events = FirewallEvents::listen()?;
    let pass = Pass { paths: watch.paths, kernels: watch.kernels, dry_run: false };
    let mut next = Some(Which::All);
    let mut again: BTreeMap<String, Instant> = BTreeMap::new();
    let mut legacy = Instant::now() + LEGACY;
    let mut looked = false;
    let mut unlisted: Option<Instant> = None;
    loop {
        if let Some(which) = next.take() {
            let look = match pass.run(&which) {
                Ok(look) => look,
                Err(error) if !looked => return Err(error.into()),
                Err(error) => {
                    unlisted = Some(Instant::now() + FAILED);
                    Look { found: Vec::new(), odd: vec![error.to_string()] }
                }
            };
            looked = true;
            match &which {
                Which::All => again.clear(),
                Which::Named(names) => again.retain(|name, _| !names.contains(name)),
                Which::Iptables => {}
            }
            for one in &look.found {
                let wait = match (one.busy, one.failures.is_empty()) {
                    (true, _) => BUSY,
                    (false, false) => FAILED,
                    (false, true) => continue,
                };
                again.insert(one.journal.clone(), Instant::now() + wait);
            }
            report(&look);
        }
        let until = again.values().copied().chain(unlisted).chain([legacy]).min().unwrap_or(legacy);
        wait(&events, watch.signals, until)?;
        if watch.signals.caught().is_some() {
            return Ok(());
        }
        let now = Instant::now();
        if events.removed()? {
            settle(&mut events, watch.signals)?;
            next = Some(Which::All);
        } else if unlisted.is_some_and(|at| at <= now) {
            unlisted = None;
            next = Some(Which::All);
        } else if again.values().any(|at| *at <= now) {
            let due = again.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone());
            next = Some(Which::Named(due.collect()));
        } else if legacy <= now {
            legacy = now + LEGACY;
            next = Some(Which::Iptables);
        }
    }
}

/// Waits for the end of a burst.
fn settle(events: &mut FirewallEvents, signals: &Signals) -> Result<(), Error> {
    let end = Instant::now() + PATIENCE;
    loop {
        let quiet = (Instant::now() + QUIET).min(end);
        wait(events, signals, quiet)?;
        if !events.removed()? || signals.caught().is_some() || Instant::now() >= end {
            return Ok(());
        }
    }
}

/// Until there is an event, a signal, or it is time.
fn wait(events: &FirewallEvents, signals: &Signals, until: Instant) -> Result<(), Error> {
    let left = until.saturating_duration_since(Instant::now());
    // One more than the whole milliseconds: waking up early would be a busy loop.
    let timeout = PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX);
    let socket = events.as_fd();
    // Without signals to look at, the socket stands there twice.
    let signal = signals.as_fd().unwrap_or(socket);
    let mut descriptors = [PollFd::new(socket, PollFlags::POLLIN), PollFd::new(signal, PollFlags::POLLIN)];
    match poll(&mut descriptors, timeout) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::new(ErrorKind::Io, format!("waiting for events: {errno}"))),
    }
}

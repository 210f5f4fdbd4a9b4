//! Looking again whenever somebody removes something from nf_tables.

use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wharf_kernel::FirewallEvents;
use wharf_ops::{Error, ErrorKind};

use super::Look;
use super::agenda::Agenda;
use super::pass::{Pass, Which, legacy_in_use};
use crate::Paths;
use crate::run::Kernels;
use crate::signals::Signals;

/// A reload comes as several batches: what follows within this time belongs to it.
const QUIET: Duration = Duration::from_millis(20);
/// But no longer than this.
const PATIENCE: Duration = Duration::from_millis(200);

/// What is watched, and how.
pub struct Watch<'a> {
    /// Where the records are.
    pub paths: &'a Paths,
    /// Makes the kernel.
    pub kernels: Kernels,
    /// What ends it.
    pub signals: &'a Signals,
}

/// Looks at every record, and again after removals by others, until a signal comes; those looks keep a distance. Each look is told to `report`,
/// the first one in any case. What stands in the way of a later one is told too, and tried again.
pub fn watch(watch: &Watch<'_>, mut report: impl FnMut(&Look)) -> Result<(), Error> {
    let mut events = FirewallEvents::listen()?;
    let pass = Pass { paths: watch.paths, kernels: watch.kernels, dry_run: false };
    let mut next = Some(Which::All);
    let mut agenda = Agenda::new(Instant::now());
    let mut looked = false;
    loop {
        if let Some(which) = next.take() {
            let begun = Instant::now();
            match pass.run(&which) {
                Ok(look) => {
                    agenda.looked(&which, &look, begun.elapsed(), Instant::now());
                    report(&look);
                }
                Err(error) if !looked => return Err(error.into()),
                Err(error) => {
                    agenda.failed(Instant::now());
                    report(&Look { found: Vec::new(), odd: vec![error.to_string()] });
                }
            }
            looked = true;
        }
        wait(&events, watch.signals, agenda.next())?;
        if watch.signals.caught().is_some() {
            return Ok(());
        }
        if events.removed()? {
            settle(&mut events, watch.signals)?;
            agenda.removed(Instant::now());
        }
        next = agenda.due(Instant::now(), legacy_in_use);
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

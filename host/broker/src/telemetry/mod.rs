//! What happened in a call, for metrics and traces: collected in memory while it runs, and appended to a spool as one
//! line when its result is out. Others read that: `wharfctl metrics`, `wharfctl export`. Nothing is sent from here, and
//! nothing here fails a call or waits for anybody.

mod event;
mod spool;
mod trace;

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use wharf_cni::{CniError, Env};

pub use event::{Event, GuestCall, OperationCall};
pub use spool::{EVENTS, LIMIT, Reader, SPANS};
pub use trace::Trace;

use crate::Paths;
use crate::secrets::redact;
use crate::settings::Settings;

/// The longest message of an error that an event keeps, in bytes.
const LONGEST: usize = 400;
/// The most operations that one call's spans tell one by one.
const MOST_OPERATIONS: usize = 512;

/// Collects what happens in one call.
#[derive(Debug, Default)]
pub struct Telemetry {
    running: RefCell<Option<Running>>,
}

#[derive(Debug)]
struct Running {
    started: Instant,
    event: Event,
    /// The guests that are being called, outermost first: places in the event's list.
    stack: Vec<usize>,
    operations: usize,
    counts: bool,
    traces: bool,
}

impl Telemetry {
    /// Collects nothing.
    pub fn off() -> Self {
        Self::default()
    }

    /// Begins. `traceparent` is the runtime's span, if it has one.
    pub fn begin(settings: &Settings, traceparent: Option<&str>) -> Self {
        let trace = settings.endpoint.as_ref().and_then(|_| Trace::begin(traceparent));
        if !settings.events && trace.is_none() {
            return Self::off();
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let traces = trace.is_some();
        let event = Event { time_us: micros(since), trace, ..Event::default() };
        let running = Running {
            started: Instant::now(),
            event,
            stack: Vec::new(),
            operations: 0,
            counts: settings.events,
            traces,
        };
        Self { running: RefCell::new(Some(running)) }
    }

    fn with(&self, f: impl FnOnce(&mut Running)) {
        if let Ok(mut running) = self.running.try_borrow_mut()
            && let Some(running) = running.as_mut()
        {
            f(running);
        }
    }

    /// What is asked for.
    pub(crate) fn request(&self, env: &Env, network: &str, entry: &str) {
        self.with(|running| {
            let event = &mut running.event;
            env.command.as_str().clone_into(&mut event.command);
            network.clone_into(&mut event.network);
            entry.clone_into(&mut event.entry);
            env.container_id.clone_into(&mut event.container);
            env.ifname.clone_into(&mut event.ifname);
        });
    }

    /// A guest is about to be called, by the one that is being called now if there is one.
    pub(crate) fn guest(&self, name: &str) {
        self.with(|running| {
            let call = GuestCall {
                name: name.to_owned(),
                start_us: micros(running.started.elapsed()),
                by: running.stack.last().copied(),
                ..GuestCall::default()
            };
            running.stack.push(running.event.guests.len());
            running.event.guests.push(call);
        });
    }

    /// The guest that was called last has ended.
    pub(crate) fn guest_ended(&self, failed: Option<u32>) {
        self.with(|running| {
            let now = micros(running.started.elapsed());
            let ended = running.stack.pop();
            if let Some(call) = ended.and_then(|index| running.event.guests.get_mut(index)) {
                call.took_us = now.saturating_sub(call.start_us);
                call.code = failed.unwrap_or_default();
            }
        });
    }

    /// An operation of the guest was carried out, or not.
    pub(crate) fn operation(&self, name: &'static str, took: Duration, outcome: Outcome) {
        self.with(|running| {
            let now = micros(running.started.elapsed());
            let own = running.stack.last().copied();
            let Some(call) = own.and_then(|index| running.event.guests.get_mut(index)) else { return };
            let took_us = micros(took);
            call.operations += 1;
            call.kernel_us = call.kernel_us.saturating_add(took_us);
            if outcome == Outcome::Denied {
                call.denied.push(name.to_owned());
            }
            if running.traces && running.operations < MOST_OPERATIONS {
                running.operations += 1;
                let failed = outcome != Outcome::Done;
                let start_us = now.saturating_sub(took_us);
                call.spans.push(OperationCall { name: name.to_owned(), start_us, took_us, failed });
            }
        });
    }

    /// An ADD was undone; so much of it could not be.
    pub(crate) fn rolled_back(&self, unfinished: usize) {
        self.with(|running| {
            running.event.rolled_back = true;
            running.event.unfinished = running.event.unfinished.saturating_add(unfinished);
        });
    }

    /// An ADD that was cut short was found.
    pub(crate) fn residue(&self, found: bool) {
        if found {
            self.with(|running| running.event.residue += 1);
        }
    }

    /// The value of TRACEPARENT for programs that are started.
    pub(crate) fn traceparent(&self) -> Option<String> {
        let mut value = None;
        self.with(|running| value = running.event.trace.as_ref().map(Trace::traceparent));
        value
    }

    /// The call is over, and its result is out: writes it down.
    pub(crate) fn finish(&self, paths: &Paths, error: Option<&CniError>) {
        let Ok(Some(mut running)) = self.running.try_borrow_mut().map(|mut running| running.take()) else {
            return;
        };
        let event = &mut running.event;
        if event.command.is_empty() {
            return;
        }
        event.took_us = micros(running.started.elapsed());
        if let Some(error) = error {
            event.code = error.code;
            let text = redact(&error.msg);
            let head = text.get(..text.floor_char_boundary(LONGEST)).unwrap_or_default();
            head.clone_into(&mut event.message);
        }
        if running.traces {
            spool::append(paths, SPANS, event);
        }
        if running.counts {
            event.trace = None;
            for guest in &mut event.guests {
                guest.spans.clear();
            }
            spool::append(paths, EVENTS, event);
        }
    }
}

/// What became of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
    Denied,
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

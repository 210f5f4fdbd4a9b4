//! One recorded call, made again: the guest in its sandbox, and the recording at the other end.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use wharf::ForkLauncher;
use wharf_broker::Paths;
use wharf_broker::launch::{Job, Launcher as _, Sandbox};
use wharf_broker::log::{Level, Log};
use wharf_broker::policy::NodePolicies;
use wharf_broker::settings::{Destination, Settings};
use wharf_ops::logging::LogLine;
use wharf_ops::wire::{self, Frames, ToBroker, ToSandbox, WireError};
use wharf_ops::{Error, ErrorKind, Op};

use super::divergence::Divergence;
use super::guests::Guests;
use super::outcome;
use super::script::{Mode, Reaction, Script};
use crate::record::{Call, Outcome};

/// What came of it.
pub(super) struct Played {
    /// Of the component that ran.
    pub(super) digest: String,
    /// How many it asked for.
    pub(super) operations: usize,
    pub(super) time: Duration,
    /// The first difference, if there is one.
    pub(super) divergence: Option<Divergence>,
}

/// Makes the call. It has the seed, the limits and the time of the recorded one. The caller must be single-threaded.
pub(super) fn play(guests: &Guests, call: &Call, level: Level, mode: Mode) -> Result<Played> {
    let mut launcher = ForkLauncher::on_this_cpu(listening(level));
    launcher.seed = Some(call.seed);
    let (digest, mapped) = guests.map(&call.guest, &launcher)?;
    let started = Instant::now();
    let job = Job { container_present: call.container_present, limits: &call.limits };
    let mut sandbox =
        launcher.launch(&mapped, job).with_context(|| format!("{}: cannot start a sandbox", call.guest))?;
    let mut talk = Talk {
        call,
        script: Script::new(&call.operations, mode),
        asked: 0,
        said: Vec::new(),
        divergence: None,
    };
    let ended = talk.hold(sandbox.as_mut(), started + call.limits.deadline());
    let time = started.elapsed();
    sandbox.kill();
    sandbox.wait();
    let Talk { script, asked, said, divergence, .. } = talk;
    let divergence = match (divergence, ended) {
        (Some(divergence), Some(now)) => Some(Divergence { then: Some(now.to_string()), ..divergence }),
        (Some(divergence), None) => Some(divergence),
        // What comes after the recorded end, nobody knows.
        (None, None) => None,
        (None, Some(now)) => {
            let end = outcome::compare(&call.outcome, &now, mode);
            match script.leftover(asked) {
                Some(left) => Some(Divergence { then: end.map(|_| now.to_string()), ..left }),
                None => end.or_else(|| outcome::compare_logs(&call.log, &said, mode)),
            }
        }
    };
    Ok(Played { digest: digest.to_owned(), operations: asked, time, divergence })
}

/// A log that makes sandboxes send what they sent then, and writes nothing.
fn listening(level: Level) -> Log {
    let settings = Settings {
        level: Some(level),
        to: Destination::Stderr,
        events: false,
        endpoint: None,
        policies: NodePolicies::default(),
    };
    Log::of(&settings, &Paths::below("/"))
}

struct Talk<'r> {
    call: &'r Call,
    script: Script<'r>,
    asked: usize,
    said: Vec<LogLine>,
    divergence: Option<Divergence>,
}

impl Talk<'_> {
    /// Serves the sandbox to its end. None where the recorded call was ended, and this one followed it so far.
    fn hold(&mut self, sandbox: &mut dyn Sandbox, until: Instant) -> Option<Outcome> {
        sandbox.summon();
        let mut stream = Timed { socket: sandbox.socket(), until };
        let ended = match wire::send(&mut stream, &self.call.given) {
            Err(error @ WireError::TooLong(_)) => Err(error),
            // If it has died, it may have told why.
            _ => self.converse(&mut stream),
        };
        match ended {
            Ok(end) => end,
            Err(_) if Instant::now() >= until => Some(Outcome::Deadline),
            Err(error @ WireError::TooLong(_)) => Some(Outcome::Limit(error.to_string())),
            Err(error) => Some(Outcome::Gone(error.to_string())),
        }
    }

    fn converse(&mut self, stream: &mut Timed<'_>) -> Result<Option<Outcome>, WireError> {
        let mut frames = Frames::new();
        loop {
            match frames.receive(stream)? {
                ToBroker::Op(op) => {
                    self.asked += 1;
                    let most = self.call.limits.operations;
                    if self.asked > most as usize {
                        return Ok(Some(Outcome::Limit(format!("more than {most} operations"))));
                    }
                    match self.answer(&op) {
                        Some(answer) => wire::send(stream, &answer)?,
                        None => return Ok(None),
                    }
                }
                ToBroker::Log(line) => self.said.push(line),
                ToBroker::Finished { outcome, .. } => {
                    let outcome = outcome.map_or_else(Outcome::Failure, Outcome::Answer);
                    let cut = self.was_cut() && self.script.is_over();
                    return Ok(if cut && self.divergence.is_none() { None } else { Some(outcome) });
                }
            }
        }
    }

    /// None where the recorded call was ended.
    fn answer(&mut self, op: &Op) -> Option<ToSandbox> {
        if self.divergence.is_none() {
            if self.was_cut() && self.script.is_over() {
                return None;
            }
            match self.script.ask(self.asked, op) {
                Reaction::Answer(answer) => return Some(answer),
                Reaction::End => return None,
                Reaction::Diverged(divergence) => self.divergence = Some(divergence),
            }
        }
        // Whatever it asks from now on: nobody knows what would be answered.
        let mut error = Error::new(ErrorKind::Internal, "the recording has no answer to this");
        op.operation().name.clone_into(&mut error.operation);
        Some(Err(error))
    }

    /// Whether something outside ended the recorded call, wherever it was.
    fn was_cut(&self) -> bool {
        matches!(self.call.outcome, Outcome::Interrupted(_))
    }
}

/// A socket that nothing waits for longer than until then.
struct Timed<'s> {
    socket: &'s mut UnixStream,
    until: Instant,
}

impl Timed<'_> {
    fn left(&self) -> io::Result<Option<Duration>> {
        let left = self.until.saturating_duration_since(Instant::now());
        if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(Some(left)) }
    }
}

impl Read for Timed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.socket.set_read_timeout(self.left()?)?;
        self.socket.read(buffer)
    }
}

impl Write for Timed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.set_write_timeout(self.left()?)?;
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

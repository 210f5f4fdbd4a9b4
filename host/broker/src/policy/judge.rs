//! One policy: its sandbox, and the conversation with it.

use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use wharf_cni::CniError;
use wharf_ops::call::{Answer, Failure};
use wharf_ops::policy::{Subject, Verdict};
use wharf_ops::wire::{self, Frames, Timings, ToBroker};

use super::{ADMITS, Asked, error, is_policy};
use crate::failure;
use crate::grants::Limits;
use crate::launch::{Launcher, Sandbox};
use crate::log::GuestLog;
use crate::session::{Ended, Invocation, Loaded, wait, write_all};
use crate::signals::Signals;
use crate::spent::{Meter, Spent};

/// Starts its sandbox.
type Start<'a> = Rc<dyn Fn() -> io::Result<Box<dyn Sandbox>> + 'a>;

/// A policy that is being asked.
pub(crate) struct Judge<'a> {
    name: &'a str,
    digest: String,
    admits: bool,
    start: Start<'a>,
    /// Not before it is asked first. Its sandbox has made itself ready by then, while other guests were running.
    started: bool,
    sandbox: Option<Box<dyn Sandbox>>,
    /// The first message of each instance.
    subject: Vec<u8>,
    frames: Frames,
    log: GuestLog<'a>,
    /// Of each answer.
    deadline: Duration,
    /// As its sandbox tells them with its first answer, and how long that was waited for.
    begun: Option<(Timings, Duration)>,
    /// How often it was asked, and how long that took.
    asked: u32,
    spent: Duration,
    meter: &'a Meter,
}

/// Why there is no answer.
enum Silence {
    Interrupted(&'static str),
    Failed(String),
}

impl<L: Launcher> Invocation<'_, L> {
    /// A guest that must be a policy.
    pub(super) fn policy(&mut self, name: &str) -> Result<Rc<Loaded<L::Artefact>>, CniError> {
        let loaded = self.loaded(name).map_err(|cause| error::unavailable(name, &cause.msg))?;
        if is_policy(&loaded.manifest.world) {
            return Ok(loaded);
        }
        Err(error::unavailable(name, &error::other_world(&loaded.manifest.world)))
    }
}

impl<'a> Judge<'a> {
    /// Is to be asked about this.
    pub(super) fn new<L: Launcher>(
        invocation: &mut Invocation<'a, L>,
        name: &'a str,
        subject: &Subject,
    ) -> Result<Self, CniError> {
        let loaded = invocation.policy(name)?;
        let (broker, container_present) = (invocation.broker, invocation.container_present);
        let subject = wire::encode(subject).map_err(|error| error::unavailable(name, &error.to_string()))?;
        let limits = &loaded.grant.limits;
        let (deadline, log) = (limits.deadline(), GuestLog::new(broker.log, name, limits.log_bytes));
        let digest = loaded.manifest.digest.clone();
        let admits = loaded.manifest.world == ADMITS;
        let start = move || {
            broker.launcher.launch_policy(&loaded.artefact, &loaded.sandbox_limits(), container_present)
        };
        Ok(Self {
            name,
            digest,
            admits,
            start: Rc::new(start),
            started: false,
            sandbox: None,
            subject,
            frames: Frames::new(),
            log,
            deadline,
            begun: None,
            asked: 0,
            spent: Duration::ZERO,
            meter: &broker.meter,
        })
    }

    pub(super) fn name(&self) -> &'a str {
        self.name
    }

    pub(super) fn digest(&self) -> &str {
        &self.digest
    }

    /// Whether it sees changes; if not, configurations.
    pub(super) fn reviews(&self) -> bool {
        !self.admits
    }

    /// Whether it allows what it is asked about. `until` is the end of the call that waits for the answer, if that is
    /// nearer than its own deadline.
    pub(super) fn agree(
        &mut self,
        asked: &Asked,
        until: Option<Instant>,
        signals: &Signals,
    ) -> Result<(), CniError> {
        match self.ask(asked, until, signals)? {
            Verdict::Allow => Ok(()),
            Verdict::Deny(reason) => Err(self.denied(&asked.what, &reason)),
            Verdict::Change(_) => Err(self.failed(&asked.what, NO_VERDICT)),
        }
    }

    /// What it answers, once it has agreed to the ADD as such.
    pub(super) fn ask(
        &mut self,
        asked: &Asked,
        until: Option<Instant>,
        signals: &Signals,
    ) -> Result<Verdict, CniError> {
        self.begin(until, signals)?;
        let started = Instant::now();
        let answer = self.exchange(&asked.frame, until, signals);
        self.asked += 1;
        self.spent += started.elapsed();
        answer.map(|(verdict, _)| verdict).map_err(|silence| self.silent(&asked.what, silence))
    }

    /// Tells it what it is about, if it has not been told.
    fn begin(&mut self, until: Option<Instant>, signals: &Signals) -> Result<(), CniError> {
        const WHAT: &str = "the ADD";
        if std::mem::replace(&mut self.started, true) {
            return Ok(());
        }
        let started = Instant::now();
        let sandbox = (self.start)()
            .map_err(|error| error::unavailable(self.name, &format!("cannot start a sandbox: {error}")))?;
        self.sandbox.insert(sandbox).summon();
        let subject = std::mem::take(&mut self.subject);
        let first = self.exchange(&subject, until, signals);
        self.subject = subject;
        let (verdict, timings) = first.map_err(|silence| self.silent(WHAT, silence))?;
        self.begun = Some((timings, started.elapsed()));
        match verdict {
            Verdict::Allow => Ok(()),
            Verdict::Deny(reason) => Err(self.denied(WHAT, &reason)),
            Verdict::Change(_) => Err(self.failed(WHAT, NO_VERDICT)),
        }
    }

    fn silent(&self, what: &str, silence: Silence) -> CniError {
        match silence {
            Silence::Interrupted(signal) => failure::interrupted(signal),
            Silence::Failed(how) => self.failed(what, &how),
        }
    }

    pub(super) fn denied(&self, what: &str, reason: &str) -> CniError {
        error::denied(self.name, &self.digest, what, reason)
    }

    pub(super) fn failed(&self, what: &str, how: &str) -> CniError {
        error::failed(self.name, &self.digest, what, how)
    }

    /// Sends a message and hears the answer to it.
    fn exchange(
        &mut self,
        frame: &[u8],
        until: Option<Instant>,
        signals: &Signals,
    ) -> Result<(Verdict, Timings), Silence> {
        // After a failure there is none.
        let Some(mut sandbox) = self.sandbox.take() else {
            return Err(Silence::Failed("it has failed before".to_owned()));
        };
        let wait = Wait::of(Instant::now(), self.deadline, until);
        let heard = write_all(sandbox.as_mut(), frame, wait.end, signals)
            .and_then(|()| self.hear(sandbox.as_mut(), wait.end, signals))
            .map_err(|ended| silence(ended, &wait));
        let answer = heard.and_then(|(outcome, timings)| match outcome {
            Ok(Answer::Verdict(verdict)) => Ok((verdict, timings)),
            Ok(Answer::Metadata(_) | Answer::Result(_) | Answer::Done) => {
                Err(Silence::Failed(NO_VERDICT.to_owned()))
            }
            Err(Failure::Trap(reason)) => Err(Silence::Failed(format!("it trapped: {reason}"))),
            Err(failure) => Err(Silence::Failed(failure.to_string())),
        });
        if answer.is_err() {
            sandbox.kill();
        } else {
            self.sandbox = Some(sandbox);
        }
        answer
    }

    fn hear(&mut self, sandbox: &mut dyn Sandbox, end: Instant, signals: &Signals) -> Result<Heard, Ended> {
        loop {
            if Instant::now() >= end {
                return Err(Ended::Deadline);
            }
            match self.frames.pop()? {
                Some(ToBroker::Log(line)) => self.log.say(&line),
                Some(ToBroker::Finished { outcome, timings }) => return Ok((outcome, timings)),
                Some(ToBroker::Op(op)) => {
                    let operation = op.operation().name;
                    return Err(Ended::Limit(format!("it asks for {operation} where an answer belongs")));
                }
                None => {
                    wait(sandbox, PollFlags::POLLIN, end, signals)?;
                    self.frames.fill(sandbox.socket())?;
                }
            }
        }
    }

    /// Another instance takes its place, and knows nothing yet.
    pub(super) fn renew<L: Launcher>(&mut self, launcher: &L) {
        if let Some(mut sandbox) = self.sandbox.take() {
            sandbox.kill();
            launcher.retire(sandbox);
        }
        self.frames = Frames::new();
        self.started = false;
    }

    /// It is asked nothing more.
    pub(super) fn dismiss<L: Launcher>(mut self, launcher: &L) {
        if let Some((timings, waited)) = self.begun {
            self.meter.add(|| Spent {
                guest: self.name.to_owned(),
                waited,
                whole: waited + self.spent,
                inside: timings,
                kernel: Duration::ZERO,
                operations: self.asked,
            });
        }
        if let Some(mut sandbox) = self.sandbox.take() {
            sandbox.kill();
            launcher.retire(sandbox);
        }
    }
}

/// What a sandbox said in the end.
type Heard = (Result<Answer, Failure>, Timings);

/// Not an answer to what was asked.
const NO_VERDICT: &str = "its answer is no verdict";

/// How long an answer is waited for.
struct Wait {
    end: Instant,
    /// In words.
    within: String,
}

impl Wait {
    /// For the policy's own time, or for what is left of that of the call that waits.
    fn of(now: Instant, own: Duration, until: Option<Instant>) -> Self {
        let end = now + own;
        match until.filter(|until| *until < end) {
            None => Self { end, within: format!("{} ms", own.as_millis()) },
            Some(end) => {
                let left = end.saturating_duration_since(now).as_millis();
                Self { end, within: format!("{left} ms, which is all that the guest that asked had left") }
            }
        }
    }
}

fn silence(ended: Ended, wait: &Wait) -> Silence {
    match ended {
        Ended::Interrupted(signal) => Silence::Interrupted(signal),
        Ended::Deadline => Silence::Failed(format!("no answer within {}", wait.within)),
        Ended::Limit(reason) => Silence::Failed(reason),
        Ended::Gone(reason) => Silence::Failed(format!("its sandbox ended ({reason})")),
        Ended::Vetoed(error) => Silence::Failed(error.msg),
    }
}

impl<A> Loaded<A> {
    /// What the sandbox itself keeps to. A policy's deadline is that of each answer, and the broker's to watch; its sandbox
    /// lives longer.
    pub(crate) fn sandbox_limits(&self) -> Limits {
        let limits = self.grant.limits.clone();
        if is_policy(&self.manifest.world) {
            return Limits { deadline_ms: limits.deadline_ms.max(WHOLE_ADD_MS), ..limits };
        }
        limits
    }
}

/// How long no ADD takes.
const WHOLE_ADD_MS: u32 = 60_000;

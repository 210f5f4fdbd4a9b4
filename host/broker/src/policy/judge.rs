//! One policy: its sandbox, and the conversation with it.

use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::poll::PollFlags;
use wharf_cni::CniError;
use wharf_cni::error::code;
use wharf_ops::call::{Answer, Failure};
use wharf_ops::policy::{Question, Subject, Verdict};
use wharf_ops::wire::{self, Frames, Timings, ToBroker};

use super::{ADMITS, REVIEWS, error};
use crate::failure::{self, Fault};
use crate::grants::Limits;
use crate::launch::{Launcher, Sandbox};
use crate::log::GuestLog;
use crate::run::trace_timings;
use crate::session::{Ended, Invocation, Loaded, Served, wait, write_all};
use crate::signals::Signals;

/// A policy that is being asked.
pub(crate) struct Judge<'a> {
    name: &'a str,
    digest: String,
    admits: bool,
    sandbox: Box<dyn Sandbox>,
    frames: Frames,
    log: GuestLog<'a>,
    /// Of each answer.
    deadline: Duration,
    started: Instant,
    launched: Instant,
    /// None before the first answer was heard, which every policy gives unasked.
    begun: Option<Timings>,
    answers: u32,
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
        let world = &loaded.manifest.world;
        if world != REVIEWS && world != ADMITS {
            let why = format!("the guest of that name exports wharf:plugin/{world} and is no policy");
            return Err(error::unavailable(name, &why));
        }
        Ok(loaded)
    }
}

impl<'a> Judge<'a> {
    /// Starts its sandbox and tells it what it is about. What it says to that is heard when it is asked first: until then
    /// it makes itself ready while guests are running.
    pub(super) fn start<L: Launcher>(
        invocation: &mut Invocation<'a, L>,
        name: &'a str,
        subject: &Subject,
    ) -> Result<Self, CniError> {
        let started = Instant::now();
        let loaded = invocation.policy(name)?;
        let broker = invocation.broker;
        let fault =
            |what: String| failure::host(code::POLICY, Fault::Host, format!("policy {name:?}: {what}"));
        let limits = loaded.sandbox_limits();
        let sandbox = broker.launcher.launch_policy(&loaded.artefact, &limits, invocation.container_present);
        let mut sandbox = sandbox.map_err(|error| fault(format!("cannot start a sandbox: {error}")))?;
        let launched = Instant::now();
        let deadline = loaded.grant.limits.deadline();
        let frame = wire::encode(subject).map_err(|error| fault(error.to_string()))?;
        // A configuration is larger than the socket's buffer only if somebody tries.
        write_all(sandbox.as_mut(), &frame, launched + deadline, &broker.signals)
            .map_err(|ended| fault(silence(ended, deadline).words()))?;
        Ok(Self {
            name,
            digest: loaded.manifest.digest.clone(),
            admits: loaded.manifest.world == ADMITS,
            sandbox,
            frames: Frames::new(),
            log: GuestLog::new(broker.log, name, loaded.grant.limits.log_bytes),
            deadline,
            started,
            launched,
            begun: None,
            answers: 0,
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
        question: &Question<'_>,
        what: &str,
        until: Option<Instant>,
        signals: &Signals,
    ) -> Result<(), CniError> {
        match self.ask(question, what, until, signals)? {
            Verdict::Allow => Ok(()),
            Verdict::Deny(reason) => Err(self.denied(what, &reason)),
            Verdict::Change(_) => Err(self.failed(what, "it answers with a change of the configuration")),
        }
    }

    /// What it answers, once it has agreed to the ADD as such.
    pub(super) fn ask(
        &mut self,
        question: &Question<'_>,
        what: &str,
        until: Option<Instant>,
        signals: &Signals,
    ) -> Result<Verdict, CniError> {
        let silent = |judge: &Self, what: &str, silence: Silence| match silence {
            Silence::Interrupted(signal) => failure::interrupted(signal),
            Silence::Failed(how) => judge.failed(what, &how),
        };
        if self.begun.is_none() {
            self.sandbox.summon();
            let (verdict, timings) =
                self.hear(until, signals).map_err(|silence| silent(self, "the ADD", silence))?;
            self.begun = Some(timings);
            match verdict {
                Verdict::Allow => {}
                Verdict::Deny(reason) => return Err(self.denied("the ADD", &reason)),
                Verdict::Change(_) => return Err(self.failed("the ADD", "it answers with a change")),
            }
        }
        let answer = self.say(question, until, signals).and_then(|()| self.hear(until, signals));
        let (verdict, _) = answer.map_err(|silence| silent(self, what, silence))?;
        self.answers += 1;
        Ok(verdict)
    }

    pub(super) fn denied(&self, what: &str, reason: &str) -> CniError {
        error::denied(self.name, &self.digest, what, reason)
    }

    pub(super) fn failed(&self, what: &str, how: &str) -> CniError {
        error::failed(self.name, &self.digest, what, how)
    }

    fn end_of_wait(&self, until: Option<Instant>) -> Instant {
        let own = Instant::now() + self.deadline;
        until.map_or(own, |until| until.min(own))
    }

    fn say(
        &mut self,
        question: &Question<'_>,
        until: Option<Instant>,
        signals: &Signals,
    ) -> Result<(), Silence> {
        let frame = wire::encode(question).map_err(|error| Silence::Failed(error.to_string()))?;
        let end = self.end_of_wait(until);
        write_all(self.sandbox.as_mut(), &frame, end, signals).map_err(|ended| silence(ended, self.deadline))
    }

    fn hear(&mut self, until: Option<Instant>, signals: &Signals) -> Result<(Verdict, Timings), Silence> {
        let end = self.end_of_wait(until);
        let heard = loop {
            match self.next(end, signals) {
                Ok(ToBroker::Log(line)) => self.log.say(&line),
                Ok(ToBroker::Finished { outcome, timings }) => break Ok((outcome, timings)),
                Ok(ToBroker::Op(op)) => {
                    let operation = op.operation().name;
                    break Err(Silence::Failed(format!("it asks for {operation} where an answer belongs")));
                }
                Err(ended) => break Err(silence(ended, self.deadline)),
            }
        };
        let answer = heard.and_then(|(outcome, timings)| match outcome {
            Ok(Answer::Verdict(verdict)) => Ok((verdict, timings)),
            Ok(Answer::Metadata(_) | Answer::Result(_) | Answer::Done) => {
                Err(Silence::Failed("its answer is no verdict".to_owned()))
            }
            Err(Failure::Trap(reason)) => Err(Silence::Failed(format!("it trapped: {reason}"))),
            Err(failure) => Err(Silence::Failed(failure.to_string())),
        });
        if answer.is_err() {
            self.sandbox.kill();
        }
        answer
    }

    fn next(&mut self, end: Instant, signals: &Signals) -> Result<ToBroker, Ended> {
        loop {
            if Instant::now() >= end {
                return Err(Ended::Deadline);
            }
            if let Some(message) = self.frames.pop()? {
                return Ok(message);
            }
            wait(self.sandbox.as_mut(), PollFlags::POLLIN, end, signals)?;
            self.frames.fill(self.sandbox.socket())?;
        }
    }

    /// It is asked nothing more.
    pub(super) fn dismiss<L: Launcher>(mut self, launcher: &L) {
        self.sandbox.kill();
        if let Some(timings) = self.begun {
            let served = Served { operations: self.answers, kernel: Duration::ZERO };
            trace_timings(self.name, self.started, self.launched, timings, served);
        }
        launcher.retire(self.sandbox);
    }
}

fn silence(ended: Ended, deadline: Duration) -> Silence {
    match ended {
        Ended::Interrupted(signal) => Silence::Interrupted(signal),
        Ended::Deadline => Silence::Failed(format!("no answer within {} ms", deadline.as_millis())),
        Ended::Limit(reason) => Silence::Failed(reason),
        Ended::Gone(reason) => Silence::Failed(format!("its sandbox ended ({reason})")),
        Ended::Vetoed(error) => Silence::Failed(error.msg),
    }
}

impl Silence {
    fn words(self) -> String {
        match self {
            Self::Interrupted(signal) => format!("ended by {signal}"),
            Self::Failed(how) => how,
        }
    }
}

impl<A> Loaded<A> {
    /// What the sandbox itself keeps to. A policy's deadline is that of each answer, and the broker's to watch; its sandbox
    /// lives longer.
    pub(crate) fn sandbox_limits(&self) -> Limits {
        let limits = self.grant.limits.clone();
        if [REVIEWS, ADMITS].contains(&self.manifest.world.as_str()) {
            return Limits { deadline_ms: limits.deadline_ms.max(WHOLE_ADD_MS), ..limits };
        }
        limits
    }
}

/// How long no ADD takes.
const WHOLE_ADD_MS: u32 = 60_000;

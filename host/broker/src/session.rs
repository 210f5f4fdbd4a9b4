//! One guest's call: start its sandbox, serve its operations until it is finished or out of time.

mod leases;

use std::collections::BTreeMap;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{MsgFlags, send};
use wharf_cni::error::code;
use wharf_cni::{CniError, NetConf};
use wharf_kernel::Kernel;
use wharf_ops::call::{Answer, Call, Failure};
use wharf_ops::delegate::DelegateOp;
use wharf_ops::wire::{self, Frames, Timings, ToBroker, ToSandbox, WireError};
use wharf_ops::{Attachment, Error, ErrorKind, Op, Reply};

use crate::failure::{self, Fault, Told};
use crate::grants::{Grant, GrantError};
use crate::guests::{self, Manifest};
use crate::launch::{Job, Launcher, Sandbox};
use crate::lease_ops::{self, Access};
use crate::log::GuestLog;
use crate::pipeline::{Course, Gate, Handles};
use crate::policy::{self, Policies};
use crate::run::Broker;
use crate::signals::Signals;
use crate::spent::{Safeguard, Safeguards, Spent};
use crate::telemetry::Outcome;
use crate::witness::{Begun, Ending};

/// Delegates may delegate, but not for ever.
const MAX_DEPTH: u32 = 3;

/// What all guests of one invocation share.
pub(crate) struct Invocation<'a, L: Launcher> {
    pub(crate) broker: &'a Broker<L>,
    pub(crate) kernel: &'a mut dyn Kernel,
    pub(crate) attachment: Attachment,
    pub(crate) netns_path: Option<String>,
    pub(crate) args: Vec<(String, String)>,
    /// CNI_ARGS as it came.
    pub(crate) cni_args: String,
    pub(crate) plugin_path: Vec<String>,
    pub(crate) container_present: bool,
    /// When the call that is being served must be over.
    pub(crate) deadline: Option<Instant>,
    /// What becomes of changes.
    pub(crate) course: Course,
    /// What went wrong with changes that were put off.
    pub(crate) late: Vec<Error>,
    /// Who reviews what is done.
    pub(crate) policies: Policies<'a>,
    /// The guests that are mapped, by name: they stay until the end.
    pub(crate) guests: BTreeMap<String, Rc<Loaded<L::Artefact>>>,
    /// What grants and journal cost.
    pub(crate) safeguards: Safeguards,
}

/// A guest that is installed, granted and mapped.
pub(crate) struct Loaded<A> {
    pub(crate) manifest: Manifest,
    pub(crate) grant: Grant,
    pub(crate) artefact: A,
}

/// What a session keeps beside the invocation.
struct Session<'a> {
    conf: &'a NetConf,
    depth: u32,
    handles: Handles,
    pools: BTreeMap<u32, (Option<String>, lease_ops::Opened)>,
    pools_opened: u32,
    /// A GC gives back what is anybody's; every other call is about its own attachment.
    leases: Access,
    deadline: Instant,
    /// What the guest was told that its error may be about.
    told: Told,
    /// Of a GC: container and interface of what stays.
    valid: Option<&'a [(String, String)]>,
    log: GuestLog<'a>,
}

impl<L: Launcher> Invocation<'_, L> {
    /// Calls the guest `name`. `conf` is the configuration of the plugin that it serves, or that delegates to it.
    pub(crate) fn call(
        &mut self,
        name: &str,
        conf: &NetConf,
        call: &Call,
        depth: u32,
    ) -> Result<Answer, CniError> {
        let telemetry = &self.broker.telemetry;
        telemetry.guest(name);
        let answer = self.call_unseen(name, conf, call, depth);
        telemetry.guest_ended(answer.as_ref().err().map(|error| error.code));
        answer
    }

    fn call_unseen(
        &mut self,
        name: &str,
        conf: &NetConf,
        call: &Call,
        depth: u32,
    ) -> Result<Answer, CniError> {
        if depth > MAX_DEPTH {
            let message = format!("{name}: delegation goes deeper than {MAX_DEPTH} plugins");
            return Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, message));
        }
        if let Some(signal) = self.broker.signals.caught() {
            return Err(failure::interrupted(signal));
        }
        let started = Instant::now();
        let loaded = self.loaded(name)?;
        if policy::is_policy(&loaded.manifest.world) {
            let message =
                format!("type: the guest {name:?} is a policy, and no plugin: name it under \"policies\"");
            return Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, message));
        }
        let digest = loaded.manifest.digest.clone();
        if let Course::Add(running) = &mut self.course {
            running
                .guest(name, &digest)
                .map_err(|error| failure::host(code::IO_FAILURE, Fault::Host, error.message))?;
        }
        let mut sandbox = self
            .broker
            .launcher
            .launch(
                &loaded.artefact,
                Job { container_present: self.container_present, limits: &loaded.grant.limits },
            )
            .map_err(|error| {
                failure::host(code::INTERNAL, Fault::Host, format!("{name}: cannot start a sandbox: {error}"))
            })?;
        let launched = Instant::now();
        // A delegate's time is part of its caller's.
        let own = started + loaded.grant.limits.deadline();
        let deadline = self.deadline.map_or(own, |outer| outer.min(own));
        let outer = self.deadline.replace(deadline);
        self.kernel.set_deadline(Some(deadline));
        let mut session = Session {
            conf,
            depth,
            handles: Handles::default(),
            pools: BTreeMap::new(),
            pools_opened: 0,
            leases: Access::of(call),
            deadline,
            told: Told::default(),
            valid: match call {
                Call::Gc { valid, .. } => Some(valid),
                Call::Describe | Call::Add(_) | Call::Del(_) | Call::Check(_) | Call::Status { .. } => None,
            },
            log: GuestLog::new(self.broker.log, name, loaded.grant.limits.log_bytes),
        };
        let read_only = matches!(call, Call::Describe | Call::Check(_) | Call::Status { .. });
        let witness = self.broker.witness.as_deref();
        if let Some(witness) = witness {
            witness.begun(&Begun {
                guest: name,
                digest: &digest,
                call,
                container_present: self.container_present,
                seed: sandbox.seed(),
                limits: &loaded.grant.limits,
            });
        }
        let ended = self
            .begin(sandbox.as_mut(), call, deadline)
            .and_then(|()| self.serve(&loaded, sandbox.as_mut(), &mut session, read_only));
        if let Some(witness) = witness {
            witness.ended(&Ending::of(&ended));
        }
        sandbox.kill();
        self.deadline = outer;
        let ended = ended.map_err(|failure| match failure {
            Ended::Deadline => {
                let allowed = deadline.saturating_duration_since(started).as_millis();
                let message = format!("{name}: not finished after {allowed} ms");
                failure::host(code::DEADLINE, Fault::Guest, message)
            }
            Ended::Interrupted(signal) => failure::interrupted(signal),
            Ended::Limit(message) => failure::of_guest(Failure::Limit(message), name, &digest, &session.told),
            Ended::Vetoed(veto) => *veto,
            Ended::Gone(reason) => {
                let how = sandbox.wait();
                failure::of_guest(
                    Failure::Trap(format!("the sandbox ended ({reason}; {how})")),
                    name,
                    &digest,
                    &session.told,
                )
            }
        });
        self.broker.launcher.retire(sandbox);
        let Finished { outcome, timings, served } = ended?;
        self.broker.meter.add(|| Spent {
            guest: name.to_owned(),
            waited: launched - started,
            whole: started.elapsed(),
            inside: timings,
            kernel: served.kernel,
            operations: served.operations,
        });
        outcome.map_err(|failure| failure::of_guest(failure, name, &digest, &session.told))
    }

    /// Makes ready for the calls of these guests. One that is missing is not worth a word yet: its call will say so.
    pub(crate) fn foresee<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        let calls: Vec<_> = names.into_iter().filter_map(|name| self.loaded(name).ok()).collect();
        if calls.len() > 1 {
            let limits: Vec<_> = calls.iter().map(|loaded| loaded.sandbox_limits()).collect();
            let calls: Vec<_> = calls.iter().map(|loaded| &loaded.artefact).zip(&limits).collect();
            self.broker.launcher.foresee(&calls, self.container_present);
        }
    }

    pub(crate) fn loaded(&mut self, name: &str) -> Result<Rc<Loaded<L::Artefact>>, CniError> {
        if let Some(loaded) = self.guests.get(name) {
            return Ok(Rc::clone(loaded));
        }
        let loaded = Rc::new(self.load(name)?);
        self.guests.insert(name.to_owned(), Rc::clone(&loaded));
        Ok(loaded)
    }

    fn load(&self, name: &str) -> Result<Loaded<L::Artefact>, CniError> {
        let unavailable = |message: String| failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Host, message);
        let paths = &self.broker.paths;
        let manifest = guests::read(paths, name).map_err(|error| match error {
            guests::StoreError::Name(_) => {
                failure::host(code::INVALID_CONFIG, Fault::Runtime, format!("type: {error}"))
            }
            _ => unavailable(error.to_string()),
        })?;
        let grant = self.safeguards.time(Safeguard::Grants, || Grant::read_for(paths, &manifest));
        let grant = grant.map_err(|error| match error {
            GrantError::Imports { .. } => failure::host(code::DENIED, Fault::Host, error.to_string()),
            _ => unavailable(error.to_string()),
        })?;
        let file = guests::open(paths, &manifest).map_err(|error| unavailable(error.to_string()))?;
        let artefact = self
            .broker
            .launcher
            .map(&file)
            .map_err(|error| unavailable(format!("cannot map the guest {name:?}: {error}")))?;
        guests::verify(paths, &manifest, &file, artefact.as_ref())
            .map_err(|error| unavailable(error.to_string()))?;
        Ok(Loaded { manifest, grant, artefact })
    }

    /// Says which call is to be made. What the guest runs before it listens, and how long that takes, is its own to choose:
    /// nothing waits for it beyond the deadline.
    fn begin(&self, sandbox: &mut dyn Sandbox, call: &Call, deadline: Instant) -> Result<(), Ended> {
        sandbox.summon();
        let frame = wire::encode(call).map_err(|error| match error {
            WireError::TooLong(bytes) => {
                Ended::Limit(format!("a call of {bytes} bytes, where {} are the limit", wire::MAX_FRAME))
            }
            other => other.into(),
        })?;
        match write_all(sandbox, &frame, deadline, &self.broker.signals) {
            // It may have told why it does not listen.
            Err(Ended::Gone(_)) => Ok(()),
            other => other,
        }
    }

    fn serve<A>(
        &mut self,
        loaded: &Loaded<A>,
        sandbox: &mut dyn Sandbox,
        session: &mut Session<'_>,
        read_only: bool,
    ) -> Result<Finished, Ended> {
        let limits = &loaded.grant.limits;
        let witness = self.broker.witness.as_deref();
        let (mut frames, mut served) = (Frames::new(), Served::default());
        loop {
            let message = loop {
                if Instant::now() >= session.deadline {
                    return Err(Ended::Deadline);
                }
                if let Some(message) = frames.pop()? {
                    break message;
                }
                wait(sandbox, PollFlags::POLLIN, session.deadline, &self.broker.signals)?;
                frames.fill(sandbox.socket())?;
            };
            match message {
                ToBroker::Op(op) => {
                    served.operations += 1;
                    if served.operations > limits.operations {
                        return Err(Ended::Limit(format!("more than {} operations", limits.operations)));
                    }
                    let name = op.operation().name;
                    if let Some(witness) = witness {
                        witness.asked(&op);
                    }
                    let asked = Instant::now();
                    let answer = self.answer(loaded, session, read_only, op).map_err(|mut error| {
                        error.operation = name.to_string();
                        error
                    });
                    match &answer {
                        Ok(Reply::Refused(error)) => session.told.passed_on(error.code),
                        Ok(_) => {}
                        Err(error) => session.told.failed(error),
                    }
                    let took = asked.elapsed();
                    served.kernel += took;
                    self.broker.telemetry.operation(name, took, outcome(&answer));
                    if let Some(veto) = self.policies.veto() {
                        return Err(Ended::Vetoed(Box::new(veto.clone())));
                    }
                    if let Some(witness) = witness {
                        witness.answered(&answer);
                    }
                    self.kernel.set_deadline(Some(session.deadline));
                    let frame = wire::encode::<ToSandbox>(&answer)?;
                    write_all(sandbox, &frame, session.deadline, &self.broker.signals)?;
                }
                ToBroker::Log(line) => {
                    if let Some(witness) = witness {
                        witness.said(&line);
                    }
                    session.log.say(&line);
                }
                ToBroker::Finished { outcome, timings } => return Ok(Finished { outcome, timings, served }),
            }
        }
    }

    fn answer<A>(
        &mut self,
        loaded: &Loaded<A>,
        session: &mut Session<'_>,
        read_only: bool,
        op: Op,
    ) -> Result<Reply, Error> {
        let gate = Gate {
            guest: &loaded.manifest.name,
            attachment: &self.attachment,
            grant: &loaded.grant,
            imports: &loaded.manifest.imports,
            read_only,
            may_make: self.may_make(&op),
            container_present: self.container_present,
            valid: session.valid,
            log: &session.log,
            deadline: self.deadline,
            signals: &self.broker.signals,
        };
        if let Op::Kernel(op) = &op {
            session.handles.check(op)?;
        }
        self.safeguards.time(Safeguard::Checks, || gate.admit(&op))?;
        match &op {
            Op::Kernel(op) => gate.reaches(self.kernel, &session.handles, &self.course, op)?,
            Op::Lease(op) => session.check_lease(&self.broker.paths, &self.attachment, op)?,
            // Its being called checks that by itself.
            Op::Delegate(op) if self.policies.review_changes() => {
                if let Err(error) = crate::delegate::configuration(session.conf, op) {
                    return Ok(Reply::Refused(crate::convert::error_to_guest(error)));
                }
            }
            Op::Delegate(_) => {}
        }
        let allowed = gate.review(&mut self.policies, &op)?;
        let answer = match op {
            Op::Kernel(op) => gate.carry_out(self.kernel, &mut session.handles, &mut self.course, &op),
            Op::Lease(op) => self.lease(session, &loaded.manifest.name, op),
            Op::Delegate(op) => Ok(self.delegate(session, &op)),
        };
        if let Some(allowed) = allowed {
            self.policies.came_of(allowed, answer.as_ref().is_ok_and(was_done));
        }
        answer
    }

    /// DEL and GC make nothing that somebody would have to remove again. What puts back what the ADD took away is not meant.
    fn may_make(&self, op: &Op) -> bool {
        match (&self.course, op) {
            (Course::Del(removal), Op::Kernel(op)) => removal.owned.puts_back(op),
            (Course::Del(_), _) => false,
            (Course::Add(_) | Course::Look, _) => true,
        }
    }

    fn delegate(&mut self, session: &Session<'_>, op: &DelegateOp) -> Reply {
        match crate::delegate::run(self, session.conf, op, session.depth + 1) {
            Ok(reply) => reply,
            Err(error) => Reply::Refused(crate::convert::error_to_guest(error)),
        }
    }

    /// Does what was put off.
    pub(crate) fn take_down(&mut self) {
        if let Course::Del(removal) = &mut self.course {
            self.late.extend(removal.flush(self.kernel, &self.attachment).err());
        }
    }
}

/// Whether a change was made: a delegate may refuse, and a lease may be somebody else's.
fn was_done(reply: &Reply) -> bool {
    !matches!(reply, Reply::Refused(_) | Reply::Flag(false) | Reply::MaybeAddress(None))
}

fn outcome(answer: &Result<Reply, Error>) -> Outcome {
    match answer {
        Ok(Reply::Refused(_)) => Outcome::Failed,
        Ok(_) => Outcome::Done,
        Err(error) if error.kind == ErrorKind::Denied => Outcome::Denied,
        Err(_) => Outcome::Failed,
    }
}

/// What the broker did for a guest.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Served {
    /// How many operations.
    pub(crate) operations: u32,
    /// How long they took, those of delegates included.
    pub(crate) kernel: Duration,
}

/// What the sandbox has told at its end.
pub(crate) struct Finished {
    pub(crate) outcome: Result<Answer, Failure>,
    timings: Timings,
    served: Served,
}

/// Why a conversation ended before the guest was finished.
pub(crate) enum Ended {
    Deadline,
    Interrupted(&'static str),
    Limit(String),
    Gone(String),
    /// A policy has ended the ADD.
    Vetoed(Box<CniError>),
}

impl From<WireError> for Ended {
    fn from(error: WireError) -> Self {
        match error {
            WireError::TooLong(_) => Self::Limit(error.to_string()),
            _ => Self::Gone(error.to_string()),
        }
    }
}

/// Writes without ever blocking: a sandbox that does not read its answers, or reads them byte by byte, is ended at the
/// deadline like any other.
pub(crate) fn write_all(
    sandbox: &mut dyn Sandbox,
    mut bytes: &[u8],
    deadline: Instant,
    signals: &Signals,
) -> Result<(), Ended> {
    while !bytes.is_empty() {
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
        match send(sandbox.socket().as_raw_fd(), bytes, flags) {
            Ok(sent) => bytes = bytes.get(sent..).unwrap_or_default(),
            Err(Errno::EAGAIN) => wait(sandbox, PollFlags::POLLOUT, deadline, signals)?,
            Err(Errno::EINTR) => {}
            Err(error) => return Err(Ended::Gone(error.to_string())),
        }
    }
    Ok(())
}

pub(crate) fn wait(
    sandbox: &mut dyn Sandbox,
    until: PollFlags,
    deadline: Instant,
    signals: &Signals,
) -> Result<(), Ended> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        // Also where poll(2) always has something to tell.
        if left.is_zero() {
            return Err(Ended::Deadline);
        }
        // A fraction of a millisecond is waited for as a whole one, or the last one would be spent spinning.
        let milliseconds = i32::try_from(left.as_millis().saturating_add(1)).unwrap_or(i32::MAX);
        let timeout = PollTimeout::try_from(milliseconds).unwrap_or(PollTimeout::MAX);
        let socket = sandbox.socket();
        // Without signals to look at, the socket stands there twice, and is asked nothing the second time.
        let (signal, asked) = match signals.as_fd() {
            Some(signal) => (signal, PollFlags::POLLIN),
            None => (socket.as_fd(), PollFlags::empty()),
        };
        let mut descriptors = [PollFd::new(socket.as_fd(), until), PollFd::new(signal, asked)];
        match poll(&mut descriptors, timeout) {
            Ok(0) => return Err(Ended::Deadline),
            Ok(_) => {
                let [_, signal] = descriptors;
                let came = signal.any().unwrap_or_default();
                let caught = if came { signals.caught() } else { None };
                return caught.map_or(Ok(()), |signal| Err(Ended::Interrupted(signal)));
            }
            Err(Errno::EINTR) => {}
            Err(error) => return Err(Ended::Gone(error.to_string())),
        }
    }
}

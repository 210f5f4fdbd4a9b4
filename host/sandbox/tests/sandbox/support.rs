//! Fixture guests, and a broker that answers from a function.

use std::io::ErrorKind;
use std::net::Shutdown;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use wharf_ops::call::{Answer, Call, Failure, Request};
use wharf_ops::logging::{Level, LogLine};
use wharf_ops::wire::{self, Frames, Timings, ToBroker, ToSandbox, WireError};
use wharf_ops::{Attachment, Error, Op, Reply};
use wharf_sandbox::{Artefact, Child, Ended, Identity, Limits, Zygote, compile};

/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_mins(1);

/// Builds a fixture crate and answers its component, or takes it from the folder of built ones that `WHARF_FIXTURES` names.
pub(crate) fn fixture(name: &str) -> Vec<u8> {
    if let Some(built) = std::env::var_os("WHARF_FIXTURES") {
        return std::fs::read(Path::new(&built).join(format!("{name}.wasm"))).unwrap();
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    let target = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("guests");
    let status = Command::new(env!("CARGO"))
        .args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir"])
        .arg(&target)
        .current_dir(root)
        .env_remove("RUSTFLAGS")
        .env_remove("CARGO_BUILD_TARGET")
        .status()
        .unwrap();
    assert!(status.success(), "the fixture {name} does not build");
    std::fs::read(target.join(format!("wasm32-wasip2/release/{name}.wasm"))).unwrap()
}

/// A compiled component.
pub(crate) fn artefact(wasm: &[u8]) -> Artefact {
    Artefact::copy(&compile(wasm).unwrap()).unwrap()
}

/// A request with that configuration.
pub(crate) fn request(config: &str) -> Request {
    Request {
        attachment: Attachment { network: "net".into(), container: "ctr".into(), ifname: "eth0".into() },
        netns_path: Some("/run/netns/x".into()),
        args: vec![("K".into(), "V".into())],
        config: config.into(),
        previous: None,
    }
}

/// `add` with that configuration.
pub(crate) fn add(config: &str) -> Call {
    Call::Add(request(config))
}

/// One call of one guest.
#[derive(Clone, Copy)]
pub(crate) struct Job<'a> {
    pub(crate) artefact: &'a Artefact,
    pub(crate) call: &'a Call,
    pub(crate) container_present: bool,
    pub(crate) limits: Limits,
    pub(crate) identity: Identity,
    pub(crate) log_level: Level,
}

impl<'a> Job<'a> {
    /// Without the call.
    pub(crate) fn order(&self) -> wharf_sandbox::Job<'a> {
        let Job { artefact, call: _, container_present, limits, identity: _, log_level } = *self;
        wharf_sandbox::Job { artefact, container_present, limits, log_level, seed: None }
    }
}

/// Starts a sandbox of its own.
pub(crate) fn spawn(job: &Job<'_>) -> Result<Child, wharf_sandbox::Error> {
    let mut child = wharf_sandbox::spawn(job.order(), job.identity)?;
    begin(&mut child, job.call);
    Ok(child)
}

/// The one that was started before.
pub(crate) fn take(zygote: &mut Zygote, job: &Job<'_>) -> Child {
    let mut child = zygote.take(&job.order()).unwrap().unwrap();
    begin(&mut child, job.call);
    child
}

/// As the broker does. If the sandbox has died, the conversation tells.
fn begin(child: &mut Child, call: &Call) {
    child.summon();
    let _ = wharf_ops::wire::send(&mut child.socket, call);
}

/// The usual job.
pub(crate) fn job<'a>(artefact: &'a Artefact, call: &'a Call) -> Job<'a> {
    Job {
        artefact,
        call,
        container_present: true,
        limits: Limits::default(),
        identity: Identity::default(),
        log_level: Level::Debug,
    }
}

/// What a sandbox said, and how it ended.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) ops: Vec<Op>,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) outcome: Option<Result<Answer, Failure>>,
    pub(crate) timings: Timings,
    pub(crate) ended: Ended,
}

impl Report {
    pub(crate) fn answer(&self) -> &Answer {
        match &self.outcome {
            Some(Ok(answer)) => answer,
            other => panic!("no answer but {other:?}, {}", self.ended),
        }
    }

    pub(crate) fn failure(&self) -> &Failure {
        match &self.outcome {
            Some(Err(failure)) => failure,
            other => panic!("no failure but {other:?}, {}", self.ended),
        }
    }

    pub(crate) fn limit(&self) -> &str {
        match self.failure() {
            Failure::Limit(message) => message,
            other => panic!("no limit but {other:?}"),
        }
    }

    pub(crate) fn trap(&self) -> &str {
        match self.failure() {
            Failure::Trap(message) => message,
            other => panic!("no trap but {other:?}"),
        }
    }

    pub(crate) fn mismatch(&self) -> &str {
        match self.failure() {
            Failure::Mismatch(message) => message,
            other => panic!("no mismatch but {other:?}"),
        }
    }
}

/// Runs a job to its end.
pub(crate) fn run(job: &Job<'_>, answer: impl FnMut(&Op) -> Result<Reply, Error>) -> Report {
    converse(spawn(job).unwrap(), answer)
}

/// Answers a sandbox until it ends by itself.
pub(crate) fn converse(mut child: Child, mut answer: impl FnMut(&Op) -> Result<Reply, Error>) -> Report {
    child.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut frames = Frames::new();
    let (mut ops, mut logs, mut outcome, mut timings) = (Vec::new(), Vec::new(), None, Timings::default());
    loop {
        match frames.receive::<ToBroker>(&mut &child.socket) {
            Ok(ToBroker::Op(op)) => {
                let answer: ToSandbox = answer(&op);
                wire::send(&mut &child.socket, &answer).unwrap();
                ops.push(op);
            }
            Ok(ToBroker::Log(line)) => logs.push(line),
            Ok(ToBroker::Finished { outcome: what, timings: when }) => {
                assert!(outcome.is_none(), "finished twice");
                (outcome, timings) = (Some(what), when);
                // It waits for this.
                child.socket.shutdown(Shutdown::Write).unwrap();
            }
            Err(WireError::Closed) => break,
            // Killed before it had read its call.
            Err(WireError::Io(error)) if error.kind() == ErrorKind::ConnectionReset => break,
            Err(error) => panic!("{error}"),
        }
    }
    Report { ops, logs, outcome, timings, ended: child.wait().unwrap() }
}

/// For guests that ask for nothing.
pub(crate) fn nothing(op: &Op) -> Result<Reply, Error> {
    panic!("an operation was not expected: {op:?}")
}

/// Reads what a sandbox says without answering: how many operations it asked for, and how it ended.
pub(crate) fn converse_mute(mut child: Child) -> (usize, Ended) {
    child.socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut frames = Frames::new();
    let mut ops = 0;
    loop {
        match frames.receive::<ToBroker>(&mut &child.socket) {
            Ok(ToBroker::Op(_)) => ops += 1,
            Ok(other) => panic!("{other:?}"),
            Err(WireError::Closed) => return (ops, child.wait().unwrap()),
            Err(error) => panic!("{error}"),
        }
    }
}

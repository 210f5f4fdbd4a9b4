//! What is in a recording: JSON, with operations and answers as they pass between guest and host.

use std::fmt;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tempfile::NamedTempFile;
use wharf_broker::grants::Limits;
use wharf_broker::log::Level;
use wharf_ops::call::{self, Answer, CniError, Failure};
use wharf_ops::logging::LogLine;
use wharf_ops::{Error, Op, Reply};

/// The version of the format that is written, and the only one that is read.
pub(crate) const VERSION: u32 = 1;

/// A whole file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Recording {
    /// Of the format.
    pub(crate) version: u32,
    /// The version of Wharf.
    pub(crate) wharf: String,
    /// When it was made, in UTC.
    pub(crate) time: String,
    /// The kernel's release.
    pub(crate) kernel: String,
    /// Whether addresses in it stand for others.
    pub(crate) scrubbed: bool,
    /// Log lines below this are not in it.
    pub(crate) log_level: Level,
    /// What a runtime would have asked, and what it would have been told.
    pub(crate) requests: Vec<Request>,
    /// The calls of guests, in the order in which they began.
    pub(crate) calls: Vec<Call>,
}

/// One execution of a plugin of the list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Request {
    /// CNI_COMMAND.
    pub(crate) command: String,
    /// Its type.
    pub(crate) plugin: String,
    /// Whether it succeeded.
    pub(crate) succeeded: bool,
    /// A result, an error object, or nothing.
    pub(crate) printed: Value,
}

/// One call of a guest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// Its name.
    pub(crate) guest: String,
    /// Its component's digest.
    pub(crate) digest: String,
    /// What it was given.
    #[serde(rename = "call")]
    pub(crate) given: call::Call,
    /// Whether there was a container namespace.
    pub(crate) container_present: bool,
    /// What its random numbers were made from.
    pub(crate) seed: u64,
    /// What it might use up.
    pub(crate) limits: Limits,
    /// What it asked for, in order.
    pub(crate) operations: Vec<Exchange>,
    /// What it said.
    pub(crate) log: Vec<LogLine>,
    /// How it ended.
    pub(crate) outcome: Outcome,
}

/// An operation and its answer. The one that ended the call has none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exchange {
    /// What was asked for.
    pub(crate) op: Op,
    /// What was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) reply: Option<Reply>,
    /// Or why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<Error>,
}

impl Exchange {
    /// The answer, if there is one.
    pub(crate) fn answer(&self) -> Option<Result<Reply, Error>> {
        let reply = self.reply.clone().map(Ok);
        reply.or_else(|| self.error.clone().map(Err))
    }
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Outcome {
    /// With an answer.
    Answer(Answer),
    /// The sandbox told how it failed.
    Failure(Failure),
    /// It was not finished in time.
    Deadline,
    /// By this signal.
    Interrupted(String),
    /// By a limit that the broker counts.
    Limit(String),
    /// The sandbox has gone, or talked nonsense.
    Gone(String),
    /// By a policy.
    Vetoed(CniError),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answer(Answer::Result(_)) => f.write_str("a result"),
            Self::Answer(_) => f.write_str("success"),
            Self::Failure(Failure::Guest(error)) => {
                write!(f, "the guest's error {}: {}", error.code, error.msg)
            }
            Self::Failure(failure) => failure.fmt(f),
            Self::Deadline => f.write_str("not finished in time"),
            Self::Interrupted(signal) => write!(f, "ended by {signal}"),
            Self::Limit(what) => write!(f, "a limit: {what}"),
            Self::Gone(how) => write!(f, "the sandbox ended: {how}"),
            Self::Vetoed(veto) => write!(f, "ended by a policy: {}", veto.msg),
        }
    }
}

impl Call {
    /// CNI_COMMAND, or `describe`.
    pub(crate) fn command(&self) -> &'static str {
        match self.given {
            call::Call::Describe => "describe",
            call::Call::Add(_) => "ADD",
            call::Call::Check(_) => "CHECK",
            call::Call::Del(_) => "DEL",
            call::Call::Status { .. } => "STATUS",
            call::Call::Gc { .. } => "GC",
        }
    }
}

/// What is read first: another version may have anything else.
#[derive(Deserialize)]
struct Head {
    version: u32,
}

impl Recording {
    /// Reads a file.
    pub(crate) fn read(file: &Path) -> Result<Self> {
        let shown = file.display();
        let bytes = fs::read(file).with_context(|| format!("cannot read {shown}"))?;
        let head: Head =
            serde_json::from_slice(&bytes).with_context(|| format!("{shown} is no recording"))?;
        if head.version != VERSION {
            bail!(
                "{shown} is a recording of version {}, and this wharfctl reads version {VERSION}: use the one that wrote it",
                head.version
            );
        }
        serde_json::from_slice(&bytes).with_context(|| format!("{shown} is a damaged recording"))
    }
}

/// A file that is about to be written. It is for the owner's eyes only, and there at once or not at all.
pub(crate) struct Pending<'p> {
    file: NamedTempFile,
    target: &'p Path,
}

impl<'p> Pending<'p> {
    /// Finds out whether it can be written, before there is something to write.
    pub(crate) fn create(target: &'p Path) -> Result<Self> {
        if target.is_dir() {
            bail!("--output {}: it is a folder", target.display());
        }
        let folder =
            target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(folder)
            .with_context(|| format!("--output {}: cannot write there", target.display()))?;
        Ok(Self { file, target })
    }

    /// Writes it.
    pub(crate) fn write(mut self, recording: &Recording) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(recording)?;
        text.push(b'\n');
        let written = self.file.write_all(&text).and_then(|()| self.file.as_file().sync_all());
        let written = written.and_then(|()| self.file.persist(self.target).map_err(|error| error.error));
        written.with_context(|| format!("cannot write {}", self.target.display()))?;
        Ok(())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use wharf_ops::links::LinkOp;
    use wharf_ops::{KernelOp, Link, Ns};

    use super::*;

    pub(crate) fn get(name: &str) -> Op {
        Op::Kernel(KernelOp::Link(LinkOp::Get { ns: Ns::Host, name: name.into() }))
    }

    pub(crate) fn up(name: &str) -> Op {
        let link = Link { ns: Ns::Host, index: 5, name: name.into() };
        Op::Kernel(KernelOp::Link(LinkOp::SetUp { link, up: true }))
    }

    pub(crate) fn exchange(op: Op, reply: Reply) -> Exchange {
        Exchange { op, reply: Some(reply), error: None }
    }

    pub(crate) fn recording(operations: Vec<Exchange>) -> Recording {
        let call = Call {
            guest: "bridge".into(),
            digest: "sha256:00".into(),
            given: call::Call::Status { config: "{}".into() },
            container_present: true,
            seed: 7,
            limits: Limits::default(),
            operations,
            log: Vec::new(),
            outcome: Outcome::Answer(Answer::Done),
        };
        Recording {
            version: VERSION,
            wharf: "0.1.0".into(),
            time: "2026-01-31T12:00:00Z".into(),
            kernel: "6.1".into(),
            scrubbed: false,
            log_level: Level::Warn,
            requests: Vec::new(),
            calls: vec![call],
        }
    }

    #[test]
    fn what_is_written_is_read_and_nobody_else_reads_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.json");
        let refused = Exchange { op: up("a"), reply: None, error: Some(Error::invalid("no")) };
        let cut = Exchange { op: up("b"), reply: None, error: None };
        let none = exchange(get("a"), Reply::MaybeLink(None));
        let whole = recording(vec![none, refused, cut]);
        let pending = Pending::create(&file).unwrap();
        assert!(!file.exists());
        pending.write(&whole).unwrap();
        assert_eq!(Recording::read(&file).unwrap(), whole);
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(whole.calls[0].operations[0].answer(), Some(Ok(Reply::MaybeLink(None))));
        assert_eq!(whole.calls[0].operations[2].answer(), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Pending::create(folder.path()).is_err());
    }

    #[test]
    fn what_is_no_recording_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("r.json");
        let whole = serde_json::to_string(&recording(Vec::new())).unwrap();
        for (text, words) in [
            ("{}".to_owned(), "is no recording: missing field `version`"),
            (whole.replace("\"version\":1", "\"version\":2"), "is a recording of version 2"),
            (whole[..whole.len() - 9].to_owned(), "EOF while parsing"),
            (whole.replace("\"seed\"", "\"sead\""), "is a damaged recording: unknown field `sead`"),
        ] {
            fs::write(&file, text).unwrap();
            let error = format!("{:#}", Recording::read(&file).unwrap_err());
            assert!(error.contains(words), "{error}");
        }
        let error = format!("{:#}", Recording::read(&folder.path().join("none")).unwrap_err());
        assert!(error.contains("cannot read") && error.contains("No such file"), "{error}");
    }
}

//! Where lines go: standard error, a file of JSON lines, or the system's journal. A line that cannot go where it should
//! goes to standard error; none is waited for.

use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};
use wharf_ops::logging::Level;

/// Where journald listens.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// A place for lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sink {
    Stderr,
    File(PathBuf),
    /// By its socket.
    Journal(PathBuf),
}

/// A line, cleaned of secrets.
pub(super) struct Record<'a> {
    pub(super) level: Level,
    pub(super) who: &'a str,
    pub(super) message: &'a str,
    pub(super) fields: &'a [(String, String)],
}

/// What the lines of this process are about: names and values.
static CONTEXT: Mutex<Vec<(&'static str, String)>> = Mutex::new(Vec::new());

/// Sets it. Values that are empty are left out.
pub(super) fn about(pairs: Vec<(&'static str, String)>) {
    let mut context = CONTEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    *context = pairs.into_iter().filter(|(_, value)| !value.is_empty()).collect();
}

fn context() -> Vec<(&'static str, String)> {
    CONTEXT.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
}

impl Sink {
    pub(super) fn journal(below: &Path) -> Self {
        Self::Journal(below.join(JOURNAL.trim_start_matches('/')))
    }

    /// Writes one line.
    pub(super) fn write(&self, record: &Record<'_>) {
        let written = match self {
            Self::Stderr => Err(None),
            Self::File(file) => append(file, record).map_err(Some),
            Self::Journal(socket) => send(socket, record).map_err(Some),
        };
        if written.is_err() {
            // A runtime that closed our standard error loses the line, nothing else.
            let _ = io::stderr().write_all(record.text().as_bytes());
        }
    }
}

impl Record<'_> {
    fn text(&self) -> String {
        let mut line = format!("wharf {} {}: {}", word(self.level), self.who, self.message);
        for (key, value) in self.fields {
            // Writing to a String does not fail.
            let _ = write!(line, " {key}={value:?}");
        }
        line.push('\n');
        line
    }
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Trace => "trace",
        Level::Debug => "debug",
        Level::Info => "info",
        Level::Warn => "warn",
        Level::Error => "error",
    }
}

/// syslog's severity.
fn priority(level: Level) -> u8 {
    match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    }
}

/// Opened for each line: whoever turns the file over need not tell us.
fn append(file: &Path, record: &Record<'_>) -> io::Result<()> {
    let flags = (nix::fcntl::OFlag::O_NONBLOCK | nix::fcntl::OFlag::O_NOFOLLOW).bits();
    let mut opened =
        OpenOptions::new().append(true).create(true).mode(0o640).custom_flags(flags).open(file)?;
    let mut object = Map::new();
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    object.insert("time".into(), json!(crate::time::utc_millis(since)));
    object.insert("level".into(), json!(word(record.level)));
    object.insert("who".into(), json!(record.who));
    object.insert("message".into(), json!(record.message));
    for (key, value) in context() {
        object.insert(key.into(), json!(value));
    }
    if !record.fields.is_empty() {
        let fields: Map<String, Value> =
            record.fields.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        object.insert("fields".into(), Value::Object(fields));
    }
    object.insert("pid".into(), json!(std::process::id()));
    let mut line = Value::Object(object).to_string();
    line.push('\n');
    opened.write_all(line.as_bytes())
}

/// One datagram of the journal's native protocol: `KEY=value` lines. No value has a line break in it.
fn send(socket: &Path, record: &Record<'_>) -> io::Result<()> {
    let datagram = UnixDatagram::unbound()?;
    datagram.set_nonblocking(true)?;
    let mut text = format!(
        "MESSAGE={}: {}\nPRIORITY={}\nSYSLOG_IDENTIFIER=wharf\nWHARF_WHO={}\n",
        record.who,
        record.message,
        priority(record.level),
        record.who
    );
    let pairs = context().into_iter().map(|(key, value)| (key.to_owned(), value));
    for (key, value) in pairs.chain(record.fields.iter().cloned()) {
        let plain = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
        let key: String = key.chars().map(plain).collect();
        let value: String = value.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        // Writing to a String does not fail.
        let _ = writeln!(text, "WHARF_{key}={value}");
    }
    datagram.send_to(text.as_bytes(), socket).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record<'static> {
        Record { level: Level::Warn, who: "bridge", message: "it is odd", fields: &[] }
    }

    #[test]
    fn a_file_has_a_json_object_for_each_line() {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join("wharf.log");
        let fields = [("mtu".to_owned(), "1\"5".to_owned())];
        Sink::File(file.clone()).write(&Record { fields: &fields, ..record() });
        Sink::File(file.clone()).write(&record());
        let text = std::fs::read_to_string(&file).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["level"], &lines[0]["who"]), (&json!("warn"), &json!("bridge")));
        assert_eq!(lines[0]["fields"], json!({"mtu": "1\"5"}));
        let time = lines[0]["time"].as_str().unwrap();
        assert!(time.ends_with('Z') && time.len() == "2026-01-31T12:00:00.000Z".len(), "{time}");
    }

    #[test]
    fn the_journal_gets_fields() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("run/systemd/journal/socket");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let journal = UnixDatagram::bind(&path).unwrap();
        let fields = [("some-key".to_owned(), "a\nPRIORITY=0".to_owned())];
        assert_eq!(Sink::journal(root.path()), Sink::Journal(path.clone()));
        Sink::Journal(path).write(&Record { fields: &fields, ..record() });
        let mut buffer = [0; 1024];
        let got = journal.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..got]).unwrap();
        for line in [
            "MESSAGE=bridge: it is odd",
            "PRIORITY=4",
            "SYSLOG_IDENTIFIER=wharf",
            "WHARF_SOME_KEY=a PRIORITY=0",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in {text}");
        }
    }

    #[test]
    fn a_journal_that_does_not_read_is_not_waited_for() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("socket");
        let _journal = UnixDatagram::bind(&path).unwrap();
        let started = std::time::Instant::now();
        let long = "x".repeat(4096);
        for _ in 0..200 {
            let _ = send(&path, &Record { message: &long, ..record() });
        }
        assert!(started.elapsed() < std::time::Duration::from_secs(2));
    }
}

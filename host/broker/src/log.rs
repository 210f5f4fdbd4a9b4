//! The log: lines on standard error, which runtimes keep. `WHARF_LOG` sets the level (off, error, warn, info, debug,
//! trace).

use std::cell::Cell;
use std::fmt::Write as _;
use std::io::Write as _;

pub use wharf_ops::logging::Level;
use wharf_ops::logging::LogLine;

/// Writes what matters enough.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// None writes nothing.
    level: Option<Level>,
}

impl Log {
    /// Writes nothing.
    pub const OFF: Self = Self { level: None };

    /// At the level that `WHARF_LOG` names; warnings and errors without it.
    pub fn from_env() -> Self {
        let level = match std::env::var("WHARF_LOG").as_deref() {
            Ok("off") => return Self::OFF,
            Ok("error") => Level::Error,
            Ok("info") => Level::Info,
            Ok("debug") => Level::Debug,
            Ok("trace") => Level::Trace,
            _ => Level::Warn,
        };
        Self { level: Some(level) }
    }

    /// The level below which no line is written.
    pub fn level(self) -> Level {
        self.level.unwrap_or(Level::Error)
    }

    /// Whether a line of that level would be written.
    pub fn enabled(self, level: Level) -> bool {
        self.level.is_some_and(|least| level >= least)
    }

    /// Writes one line: level, who, what, fields. Control characters of guests do not reach the terminal.
    pub fn line(self, level: Level, who: &str, message: &str, fields: &[(String, String)]) {
        if !self.enabled(level) {
            return;
        }
        let name = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        };
        let mut line = format!("wharf {name} {who}: {}", printable(message));
        for (key, value) in fields {
            // Writing to a String does not fail.
            let _ = write!(line, " {}={value:?}", printable(key));
        }
        line.push('\n');
        // A runtime that closed our standard error loses the line, nothing else.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// How much of a denial is shown, in bytes: a guest may have put what it likes into it.
const DENIAL: usize = 1024;

/// The lines of one guest in one call: as many bytes of its own as its grant allows, and as many of what it was denied,
/// so that it cannot hide that by talking.
#[derive(Debug)]
pub(crate) struct GuestLog<'a> {
    log: Log,
    guest: &'a str,
    own: Cell<usize>,
    denials: Cell<usize>,
}

impl<'a> GuestLog<'a> {
    pub(crate) fn new(log: Log, guest: &'a str, bytes: u32) -> Self {
        Self { log, guest, own: Cell::new(bytes as usize), denials: Cell::new(bytes as usize) }
    }

    /// What the guest says.
    pub(crate) fn say(&self, line: &LogLine) {
        let fields: usize = line.fields.iter().map(|(key, value)| key.len() + value.len()).sum();
        match take(&self.own, line.message.len() + fields + 1) {
            Room::Left => self.log.line(line.level, self.guest, &line.message, &line.fields),
            Room::UsedUp => self.warn("its log limit is used up; further lines are dropped"),
            Room::None => {}
        }
    }

    /// What it was denied, and what would allow it: for the operator, and not for the guest.
    pub(crate) fn denied(&self, message: &str) {
        let shown = message.get(..message.floor_char_boundary(DENIAL)).unwrap_or_default();
        match take(&self.denials, shown.len() + 1) {
            Room::Left => self.log.line(Level::Error, self.guest, shown, &[]),
            Room::UsedUp => self.warn("its log limit is used up; further denials are not shown"),
            Room::None => {}
        }
    }

    fn warn(&self, message: &str) {
        self.log.line(Level::Warn, self.guest, message, &[]);
    }
}

/// Whether there is room for a line.
enum Room {
    Left,
    /// From now on there is none.
    UsedUp,
    None,
}

fn take(left: &Cell<usize>, size: usize) -> Room {
    match left.get() {
        0 => Room::None,
        before => {
            left.set(before.saturating_sub(size));
            if size <= before { Room::Left } else { Room::UsedUp }
        }
    }
}

fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_spaces() {
        assert_eq!(printable("a\x1b[31mb\nc"), "a [31mb c");
    }

    #[test]
    fn levels_are_ordered() {
        let log = Log { level: Some(Level::Warn) };
        assert!(log.enabled(Level::Error) && log.enabled(Level::Warn) && !log.enabled(Level::Info));
        assert!(!Log::OFF.enabled(Level::Error));
    }
}

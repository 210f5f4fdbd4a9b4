//! The log: lines on standard error, which runtimes keep, or where the [settings](crate::settings) say.

mod sink;

use std::cell::Cell;

use wharf_cni::Env;
pub use wharf_ops::logging::Level;
use wharf_ops::logging::LogLine;

use crate::Paths;
use crate::secrets::redact;
use crate::settings::{self, Destination, Settings};
use sink::{Record, Sink};

/// Writes what matters enough.
#[derive(Clone, Copy, Debug)]
pub struct Log {
    /// None writes nothing.
    level: Option<Level>,
    to: &'static Sink,
}

impl Log {
    /// Writes nothing.
    pub const OFF: Self = Self { level: None, to: &Sink::Stderr };

    /// On standard error, at the level that `WHARF_LOG` names; warnings and errors without it.
    pub fn from_env() -> Self {
        let named = std::env::var("WHARF_LOG").ok().and_then(|word| settings::level(&word));
        Self { level: named.unwrap_or(Some(Level::Warn)), to: &Sink::Stderr }
    }

    /// As the settings have it. Once in a process: where lines go stays in memory until its end.
    pub fn of(settings: &Settings, paths: &Paths) -> Self {
        let to: &'static Sink = match &settings.to {
            Destination::Stderr => &Sink::Stderr,
            Destination::Journald => Box::leak(Box::new(Sink::journal(paths.root()))),
            Destination::File(file) => Box::leak(Box::new(Sink::File(file.clone()))),
        };
        Self { level: settings.level, to }
    }

    /// What the lines that follow are about, where lines have fields.
    pub(crate) fn about(self, env: &Env, network: &str) {
        if *self.to != Sink::Stderr {
            sink::about(vec![
                ("command", env.command.as_str().to_owned()),
                ("network", network.to_owned()),
                ("container", env.container_id.clone()),
                ("ifname", env.ifname.clone()),
            ]);
        }
    }

    /// That a call is over. On standard error a failure is not told once more: the runtime tells what was printed.
    pub(crate) fn ended(self, command: &str, took: std::time::Duration, failure: Option<&str>) {
        match failure {
            None => self.line(Level::Info, command, &format!("done in {} µs", took.as_micros()), &[]),
            Some(_) if *self.to == Sink::Stderr => {}
            Some(failure) => self.line(Level::Error, command, failure, &[]),
        }
    }

    /// The level below which no line is written.
    pub fn level(self) -> Level {
        self.level.unwrap_or(Level::Error)
    }

    /// Whether a line of that level would be written.
    pub fn enabled(self, level: Level) -> bool {
        self.level.is_some_and(|least| level >= least)
    }

    /// Writes one line: level, who, what, fields. Control characters of guests do not reach the terminal, and secrets of
    /// the configuration reach nobody.
    pub fn line(self, level: Level, who: &str, message: &str, fields: &[(String, String)]) {
        if !self.enabled(level) {
            return;
        }
        let message = printable(&redact(message));
        let fields: Vec<(String, String)> =
            fields.iter().map(|(key, value)| (printable(&redact(key)), redact(value).into_owned())).collect();
        self.to.write(&Record { level, who, message: &message, fields: &fields });
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

/// Text of somebody else, for a terminal or a line of a log: control characters become spaces.
pub fn printable(text: &str) -> String {
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
        let log = Log { level: Some(Level::Warn), ..Log::OFF };
        assert!(log.enabled(Level::Error) && log.enabled(Level::Warn) && !log.enabled(Level::Info));
        assert!(!Log::OFF.enabled(Level::Error));
    }
}

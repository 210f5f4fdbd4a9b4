//! The log: lines on standard error, which runtimes keep, or where the [settings](crate::settings) say.

mod sink;

use wharf_cni::Env;
pub use wharf_ops::logging::Level;

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
        let log = Log { level: Some(Level::Warn), ..Log::OFF };
        assert!(log.enabled(Level::Error) && log.enabled(Level::Warn) && !log.enabled(Level::Info));
        assert!(!Log::OFF.enabled(Level::Error));
    }
}

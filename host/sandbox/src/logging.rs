//! `wharf:host/logging`.

use wharf_ops::logging::{Level, LogLine};

use crate::bindings::wharf::host::logging as wit;
use crate::state::State;

impl wit::Host for State {
    fn log(
        &mut self,
        at: wit::Level,
        message: String,
        fields: Vec<(String, String)>,
    ) -> wasmtime::Result<()> {
        // Guests of the SDK print here as well: to standard error at level warn, what a panic says at level error.
        if matches!(at, wit::Level::Warn | wit::Level::Error) {
            self.streams.remember(&message);
        }
        self.log(LogLine { level: level(at), message, fields })
    }

    fn enabled(&mut self, at: wit::Level) -> wasmtime::Result<bool> {
        Ok(self.logs(level(at)))
    }
}

fn level(from: wit::Level) -> Level {
    match from {
        wit::Level::Trace => Level::Trace,
        wit::Level::Debug => Level::Debug,
        wit::Level::Info => Level::Info,
        wit::Level::Warn => Level::Warn,
        wit::Level::Error => Level::Error,
    }
}

//! `wharf:host/logging`.

use wharf_sdk::log::Level;
use wharf_sdk::native::Logging;

use super::Host;
use crate::log::Line;

impl Logging for Host {
    fn log(&self, level: Level, message: &str, fields: &[(String, String)]) {
        let line = Line { level, message: message.to_owned(), fields: fields.to_vec() };
        // The test harness shows it if the test fails.
        eprintln!("{line}");
        self.machine.log.borrow_mut().push(line);
    }

    fn enabled(&self, _level: Level) -> bool {
        true
    }
}

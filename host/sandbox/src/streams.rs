//! What a guest says: the lines that it prints, and its last words.

use wasmtime::Result;
use wharf_ops::logging::{Level, LogLine};

use crate::state::State;

/// Longer lines are cut in pieces.
pub(crate) const MAX_LINE: usize = 4096;
/// What of the standard error, and of lines of level error, is kept for the message of a trap.
const LAST_WORDS: usize = 512;

pub(crate) const STDOUT: u32 = 1;
pub(crate) const STDERR: u32 = 2;

/// Standard output and error, cut into lines.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    out: Vec<u8>,
    err: Vec<u8>,
    last_words: String,
}

impl Streams {
    /// For the message of a trap, if one follows.
    pub(crate) fn remember(&mut self, words: &str) {
        let words = words.get(..words.floor_char_boundary(LAST_WORDS)).unwrap_or_default();
        if self.last_words.len() + words.len() > LAST_WORDS {
            self.last_words.clear();
        }
        if !self.last_words.is_empty() {
            self.last_words.push_str("; ");
        }
        self.last_words.push_str(words);
    }
}

impl State {
    /// Takes what the guest printed and passes on the lines in it.
    pub(crate) fn print(&mut self, stream: u32, bytes: &[u8]) -> Result<()> {
        let (mut buffer, level) = if stream == STDERR {
            (std::mem::take(&mut self.streams.err), Level::Warn)
        } else {
            (std::mem::take(&mut self.streams.out), Level::Info)
        };
        for byte in bytes {
            if *byte != b'\n' {
                buffer.push(*byte);
            }
            if *byte == b'\n' || buffer.len() >= MAX_LINE {
                self.line(level, &mut buffer)?;
            }
        }
        if stream == STDERR {
            self.streams.err = buffer;
        } else {
            self.streams.out = buffer;
        }
        Ok(())
    }

    fn line(&mut self, level: Level, buffer: &mut Vec<u8>) -> Result<()> {
        let message = String::from_utf8_lossy(buffer).trim_end().to_owned();
        buffer.clear();
        if message.is_empty() {
            return Ok(());
        }
        if level == Level::Warn {
            self.streams.remember(&message);
        }
        self.log(LogLine { level, message, fields: Vec::new() })
    }

    /// Passes on what was printed without a line end, and answers the guest's last words.
    pub(crate) fn close_streams(&mut self) -> Result<String> {
        for (stream, level) in [(STDOUT, Level::Info), (STDERR, Level::Warn)] {
            let buffer = if stream == STDERR { &mut self.streams.err } else { &mut self.streams.out };
            let mut rest = std::mem::take(buffer);
            self.line(level, &mut rest)?;
        }
        Ok(std::mem::take(&mut self.streams.last_words))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_words_are_remembered() {
        let mut streams = Streams::default();
        streams.remember("first");
        streams.remember("second");
        assert_eq!(streams.last_words, "first; second");
        streams.remember(&"é".repeat(LAST_WORDS / 2));
        assert_eq!(streams.last_words, "é".repeat(LAST_WORDS / 2), "there is no room for both");
        streams.remember(&"x".repeat(2 * LAST_WORDS));
        assert_eq!(streams.last_words, "x".repeat(LAST_WORDS));
    }
}

//! What a guest says: the lines that it prints, and its last words.

use std::collections::VecDeque;

use wasmtime::Result;
use wharf_ops::logging::{Level, LogLine};

use crate::state::State;

/// Longer lines are cut in pieces.
pub(crate) const MAX_LINE: usize = 4096;
/// What of the standard error, and of lines of level warn and error, is kept for the message of a trap: with what comes before
/// it, less than a message may have. Only whole lines: the broker takes secrets out of what is told, and would not know a half.
const LAST_WORDS: usize = 768;
const BETWEEN: &str = "; ";

pub(crate) const STDOUT: u32 = 1;
pub(crate) const STDERR: u32 = 2;

/// Standard output and error, cut into lines.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    out: Vec<u8>,
    err: Vec<u8>,
    last_words: VecDeque<String>,
}

impl Streams {
    /// For the message of a trap, if one follows.
    pub(crate) fn remember(&mut self, words: &str) {
        if words.is_empty() || words.len() > LAST_WORDS {
            return;
        }
        self.last_words.push_back(words.to_owned());
        let length = |line: &String| line.len() + BETWEEN.len();
        while self.last_words.iter().map(length).sum::<usize>() > LAST_WORDS + BETWEEN.len() {
            self.last_words.pop_front();
        }
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
        let words = std::mem::take(&mut self.streams.last_words);
        Ok(Vec::from(words).join(BETWEEN))
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
        streams.remember("");
        assert_eq!(streams.last_words, ["first", "second"]);
        // The second one has room beside it, to the byte.
        let long = "x".repeat(LAST_WORDS - "second".len() - BETWEEN.len());
        streams.remember(&long);
        assert_eq!(streams.last_words, ["second", &long]);
        streams.remember(&"y".repeat(LAST_WORDS + 1));
        assert_eq!(streams.last_words, ["second", &long], "no half of a line");
        streams.remember(&"z".repeat(LAST_WORDS));
        assert_eq!(streams.last_words, ["z".repeat(LAST_WORDS)]);
    }
}

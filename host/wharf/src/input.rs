//! Standard input that a signal can end the wait for: a runtime may neither write nor close it.

use std::io::{self, Read};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wharf_broker::signals::Signals;

/// A descriptor, read until its end, a signal, or the end of patience.
pub(crate) struct Input<'a> {
    from: BorrowedFd<'a>,
    signals: &'a Signals,
    /// When what has come by then is all there is; none waits for ever.
    until: Option<Instant>,
}

impl<'a> Input<'a> {
    pub(crate) fn new(from: BorrowedFd<'a>, signals: &'a Signals, patience: Option<Duration>) -> Self {
        Self { from, signals, until: patience.and_then(|patience| Instant::now().checked_add(patience)) }
    }

    fn timeout(&self) -> PollTimeout {
        let Some(until) = self.until else { return PollTimeout::NONE };
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }
}

impl Read for Input<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let signal = self.signals.as_fd().unwrap_or(self.from.as_fd());
        let wanted = if self.signals.as_fd().is_some() { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut descriptors = [PollFd::new(self.from, PollFlags::POLLIN), PollFd::new(signal, wanted)];
        match poll(&mut descriptors, self.timeout()) {
            Ok(0) => return Ok(0),
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [readable, signalled] = descriptors;
        if signalled.any().unwrap_or_default()
            && let Some(signal) = self.signals.caught()
        {
            return Err(io::Error::other(format!("ended by {signal}")));
        }
        if readable.any().unwrap_or_default() {
            return Ok(nix::unistd::read(self.from, into)?);
        }
        // Who reads to the end tries again.
        Err(io::ErrorKind::Interrupted.into())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use nix::sys::signal::{Signal, raise};

    use super::*;

    fn all(mut input: Input<'_>) -> io::Result<String> {
        let mut text = String::new();
        input.read_to_string(&mut text).map(|_| text)
    }

    #[test]
    fn everything_arrives() {
        let (reader, mut writer) = io::pipe().unwrap();
        let text = "x".repeat(200_000);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(text.as_bytes()).unwrap();
                drop(writer);
            });
            let signals = Signals::none();
            assert_eq!(all(Input::new(reader.as_fd(), &signals, None)).unwrap(), text);
        });
    }

    #[test]
    fn patience_ends_the_wait_for_a_writer_that_does_not_close() {
        let (reader, mut writer) = io::pipe().unwrap();
        writer.write_all(b"what has come").unwrap();
        let signals = Signals::none();
        let patience = Some(Duration::from_millis(20));
        assert_eq!(all(Input::new(reader.as_fd(), &signals, patience)).unwrap(), "what has come");
    }

    #[test]
    fn a_signal_ends_it_too() {
        let ended = std::thread::spawn(|| {
            let signals = Signals::block().unwrap();
            let (reader, _writer) = io::pipe().unwrap();
            raise(Signal::SIGTERM).unwrap();
            all(Input::new(reader.as_fd(), &signals, None)).unwrap_err()
        });
        let error = ended.join().unwrap();
        assert!(error.to_string().contains("SIGTERM"), "{error}");
    }
}

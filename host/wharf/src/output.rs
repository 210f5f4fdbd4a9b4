//! Standard output that a signal can end the wait for: a runtime may have stopped reading.

use std::io::{self, Write};
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use wharf_broker::signals::Signals;

/// PIPE_BUF: that much fits into a pipe that poll(2) calls writable.
const CHUNK: usize = 4096;

/// A descriptor, written piece by piece. What fits is written even after a signal: an error object, for one.
pub(crate) struct Output<'a> {
    pub(crate) to: BorrowedFd<'a>,
    pub(crate) signals: &'a Signals,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let signal = self.signals.as_fd().unwrap_or(self.to.as_fd());
        let wanted = if self.signals.as_fd().is_some() { PollFlags::POLLIN } else { PollFlags::empty() };
        let caught = self.signals.caught();
        let timeout = if caught.is_some() { PollTimeout::ZERO } else { PollTimeout::NONE };
        let mut descriptors = [PollFd::new(self.to, PollFlags::POLLOUT), PollFd::new(signal, wanted)];
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
        let [writable, _] = descriptors;
        if writable.any().unwrap_or_default() {
            return Ok(nix::unistd::write(self.to, bytes.get(..CHUNK).unwrap_or(bytes))?);
        }
        Err(match caught {
            Some(signal) => io::Error::other(format!("ended by {signal}")),
            // `write_all` tries again, and finds the signal or room.
            None => io::ErrorKind::Interrupted.into(),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use nix::sys::signal::{Signal, raise};

    use super::*;

    #[test]
    fn everything_arrives() {
        let (mut reader, writer) = io::pipe().unwrap();
        let text = "x".repeat(200_000);
        std::thread::scope(|scope| {
            let reading = scope.spawn(move || {
                let mut got = String::new();
                reader.read_to_string(&mut got).map(|_| got)
            });
            let signals = Signals::none();
            Output { to: writer.as_fd(), signals: &signals }.write_all(text.as_bytes()).unwrap();
            drop(writer);
            assert_eq!(reading.join().unwrap().unwrap(), text);
        });
    }

    #[test]
    fn a_reader_that_is_gone_is_an_error() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let signals = Signals::none();
        let error = Output { to: writer.as_fd(), signals: &signals }.write_all(b"x").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_signal_ends_the_wait_for_a_reader_that_does_not_read() {
        let blocked = std::thread::spawn(|| {
            let signals = Signals::block().unwrap();
            let (_reader, writer) = io::pipe().unwrap();
            let mut output = Output { to: writer.as_fd(), signals: &signals };
            raise(Signal::SIGTERM).unwrap();
            output.write_all(b"an error object").unwrap();
            output.write_all(&vec![0; 1 << 20]).unwrap_err()
        });
        let error = blocked.join().unwrap();
        assert!(error.to_string().contains("SIGTERM"), "{error}");
    }
}

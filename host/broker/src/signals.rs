//! Signals that end a call: they are blocked, and looked at where the call can be ended cleanly.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What runtimes and service managers end a plugin with.
const ENDING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// The signals that were caught.
#[derive(Debug, Default)]
pub struct Signals {
    descriptor: Option<SignalFd>,
    caught: Cell<Option<&'static str>>,
}

impl Signals {
    /// Blocks SIGTERM, SIGINT and SIGHUP for this thread, which must be the only one.
    pub fn block() -> io::Result<Self> {
        let ending: SigSet = ENDING.into_iter().collect();
        ending.thread_block()?;
        let flags = SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC;
        Ok(Self { descriptor: Some(SignalFd::with_flags(&ending, flags)?), caught: Cell::new(None) })
    }

    /// Catches none: for calls that nobody can end, and while something is being undone.
    pub const fn none() -> Self {
        Self { descriptor: None, caught: Cell::new(None) }
    }

    /// The first signal that came, from then on.
    pub fn caught(&self) -> Option<&'static str> {
        if self.caught.get().is_none()
            && let Some(descriptor) = &self.descriptor
            && let Ok(Some(info)) = descriptor.read_signal()
        {
            let number = i32::try_from(info.ssi_signo).unwrap_or_default();
            self.caught.set(Some(Signal::try_from(number).map_or("a signal", Signal::as_str)));
        }
        self.caught.get()
    }

    /// Readable when a signal has come.
    pub fn as_fd(&self) -> Option<BorrowedFd<'_>> {
        self.descriptor.as_ref().map(|descriptor| descriptor.as_fd())
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::signal::raise;

    use super::*;

    #[test]
    fn the_first_one_is_kept() {
        // On a thread of its own: what is blocked stays so.
        std::thread::spawn(|| {
            let signals = Signals::block().unwrap();
            assert_eq!(signals.caught(), None);
            raise(Signal::SIGTERM).unwrap();
            assert_eq!(signals.caught(), Some("SIGTERM"));
            raise(Signal::SIGINT).unwrap();
            assert_eq!(signals.caught(), Some("SIGTERM"));
        })
        .join()
        .unwrap();
        assert_eq!(Signals::none().caught(), None);
    }
}

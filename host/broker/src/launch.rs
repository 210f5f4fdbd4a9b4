//! What the broker needs of a sandbox. The one implementation is beside the Wasm engine, which this crate never
//! touches; tests of the pipeline speak the protocol themselves.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;

use crate::grants::Limits;

/// What a sandbox is started for. Its call is sent to it afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Job<'a> {
    /// Whether there is a container namespace.
    pub container_present: bool,
    /// What the guest may use up.
    pub limits: &'a Limits,
}

/// A running sandbox. Dropping it kills it.
pub trait Sandbox {
    /// The socket that operations come by.
    fn socket(&mut self) -> &mut UnixStream;

    /// Brings it to where the broker runs, which is about to talk with it.
    fn summon(&mut self) {}

    /// What its random numbers are made from; none if they are real.
    fn seed(&self) -> Option<u64> {
        None
    }

    /// Ends it now.
    fn kill(&mut self);

    /// Waits for its end and says in words how that was, e.g. `killed by signal SIGSYS`.
    fn wait(&mut self) -> String;
}

/// Starts sandboxes.
pub trait Launcher {
    /// A compiled guest in memory: the bytes that are hashed are the bytes that run.
    type Artefact: AsRef<[u8]>;

    /// Maps a compiled guest.
    fn map(&self, file: &File) -> io::Result<Self::Artefact>;

    /// Makes ready for calls of these guests, as far as is known beforehand: one entry for each call.
    fn foresee(&self, _calls: &[(&Self::Artefact, &Limits)], _container_present: bool) {}

    /// Runs `start`, which starts a program that is no sandbox, without what sandboxes are started with: a program
    /// inherits the processors that its parent is bound to.
    fn unpinned<T>(&self, start: impl FnOnce() -> T) -> T {
        start()
    }

    /// Starts a sandbox that carries out one call.
    fn launch(&self, artefact: &Self::Artefact, job: Job<'_>) -> io::Result<Box<dyn Sandbox>>;

    /// Starts the sandbox of a policy, which waits for what it is about.
    fn launch_policy(
        &self,
        artefact: &Self::Artefact,
        limits: &Limits,
        container_present: bool,
    ) -> io::Result<Box<dyn Sandbox>>;

    /// Takes back a sandbox that was killed. It need not be waited for before the invocation ends.
    fn retire(&self, sandbox: Box<dyn Sandbox>) {
        drop(sandbox);
    }
}

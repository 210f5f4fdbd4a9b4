//! The glue between the broker and the sandbox, which do not know each other.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;

use wharf_broker::launch::{Job, Launcher, Sandbox};
use wharf_broker::log::Log;
use wharf_sandbox::{Artefact, Child, Identity, Limits, Pinned, Zygote};

const MIB: usize = 1024 * 1024;

/// Forks a confined process per call.
pub(crate) struct ForkLauncher {
    identity: Identity,
    log: Log,
    pinned: RefCell<Option<Pinned>>,
    zygote: RefCell<Option<Zygote>>,
}

impl ForkLauncher {
    /// Broker and sandboxes stay on the current processor: a wake-up across processors costs more than the work.
    pub(crate) fn on_this_cpu(log: Log) -> Self {
        // Where the mask cannot be set (a cpuset that forbids it), it is slower and nothing else.
        Self {
            identity: Identity::default(),
            log,
            pinned: RefCell::new(wharf_sandbox::pin_to_current_cpu().ok()),
            zygote: RefCell::new(None),
        }
    }
}

/// A compiled guest in memory.
pub(crate) struct Mapped(Artefact);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl Launcher for ForkLauncher {
    type Artefact = Mapped;

    fn map(&self, file: &File) -> io::Result<Mapped> {
        Artefact::map(file).map(Mapped).map_err(io::Error::other)
    }

    fn unpinned<T>(&self, start: impl FnOnce() -> T) -> T {
        // Dropping it gives the old processors back.
        let was = self.pinned.take().is_some();
        let result = start();
        if was {
            self.pinned.replace(wharf_sandbox::pin_to_current_cpu().ok());
        }
        result
    }

    fn foresee(&self, calls: &[&Mapped]) {
        let mut artefacts: Vec<&Artefact> = Vec::new();
        for Mapped(artefact) in calls {
            if !artefacts.iter().any(|known| std::ptr::eq(*known, artefact)) {
                artefacts.push(artefact);
            }
        }
        // If it cannot be had now, the launch will say why.
        self.zygote.replace(Zygote::start(&artefacts, calls.len(), self.identity).ok());
    }

    fn launch(&self, Mapped(artefact): &Mapped, job: Job<'_>) -> io::Result<Box<dyn Sandbox>> {
        let limits = Limits {
            memory_bytes: usize::try_from(job.limits.memory_mib).unwrap_or(usize::MAX).saturating_mul(MIB),
            log_bytes: usize::try_from(job.limits.log_bytes).unwrap_or(usize::MAX),
            cpu_seconds: u64::from(job.limits.deadline_ms).div_ceil(1000) + 1,
            ..Limits::default()
        };
        let job = wharf_sandbox::Job {
            call: job.call,
            container_present: job.container_present,
            limits,
            identity: self.identity,
            log_level: self.log.level(),
        };
        let child = match self.zygote.borrow_mut().as_mut().filter(|zygote| zygote.has(artefact)) {
            Some(zygote) => zygote.spawn(artefact, &job),
            None => wharf_sandbox::spawn(artefact, &job),
        };
        let child = child.map_err(io::Error::other)?;
        #[cfg(feature = "faults")]
        crate::faults::sandbox_started(child.pid());
        Ok(Box::new(Running(child)))
    }
}

struct Running(Child);

impl Sandbox for Running {
    fn socket(&mut self) -> &mut UnixStream {
        &mut self.0.socket
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
    }

    fn wait(&mut self) -> String {
        match self.0.wait() {
            Ok(ended) => ended.to_string(),
            Err(error) => format!("its end is unknown: {error}"),
        }
    }
}

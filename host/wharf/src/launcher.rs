//! The glue between the broker and the sandbox, which do not know each other.

use std::cell::RefCell;
use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;

use wharf_broker::grants::Limits as GrantedLimits;
use wharf_broker::launch::{self, Launcher, Sandbox};
use wharf_broker::log::Log;
use wharf_sandbox::{Artefact, Child, Identity, Job, Limits, Pinned, Zygote};

const MIB: usize = 1024 * 1024;

/// Forks a confined process per call.
pub struct ForkLauncher {
    /// Is told of each process that runs a guest.
    pub started: fn(i32),
    /// What the random numbers of guests are made from, for tests and replays; without it they are real.
    pub seed: Option<u64>,
    identity: Identity,
    log: Log,
    pinned: RefCell<Option<Pinned>>,
    zygote: RefCell<Option<Zygote>>,
    /// How many calls there were of each guest, by where it is in memory.
    calls: RefCell<Vec<(*const Mapped, u64)>>,
    /// Sandboxes that have done their work and are going: they are waited for at the end.
    going: RefCell<Vec<Box<dyn Sandbox>>>,
}

impl ForkLauncher {
    /// Broker and sandboxes talk on the current processor: a wake-up across processors costs more than the work.
    pub fn on_this_cpu(log: Log) -> Self {
        // Where the mask cannot be set (a cpuset that forbids it), it is slower and nothing else.
        Self {
            started: |_| {},
            seed: None,
            identity: Identity::default(),
            log,
            pinned: RefCell::new(wharf_sandbox::pin_to_current_cpu().ok()),
            zygote: RefCell::new(None),
            calls: RefCell::default(),
            going: RefCell::default(),
        }
    }

    /// A sandbox that waits for its first message: one that was foreseen, else a new one.
    fn child(&self, job: Job<'_>) -> io::Result<Child> {
        let ready = self.zygote.borrow_mut().as_mut().and_then(|zygote| zygote.take(&job));
        ready.unwrap_or_else(|| wharf_sandbox::spawn(job, self.identity)).map_err(io::Error::other)
    }

    /// `before` is how many calls of the same guest come before this one.
    fn job<'a>(
        &self,
        artefact: &'a Artefact,
        limits: &GrantedLimits,
        container_present: bool,
        before: u64,
    ) -> Job<'a> {
        let limits = Limits {
            memory_bytes: usize::try_from(limits.memory_mib).unwrap_or(usize::MAX).saturating_mul(MIB),
            log_bytes: usize::try_from(limits.log_bytes).unwrap_or(usize::MAX),
            cpu_seconds: u64::from(limits.deadline_ms).div_ceil(1000) + 1,
            ..Limits::default()
        };
        let seed = self.seed.map(|seed| seed.wrapping_add(before));
        Job { artefact, container_present, limits, log_level: self.log.level(), seed }
    }

    /// Counts a call of a guest, and answers how many there were before.
    fn count(&self, mapped: &Mapped) -> u64 {
        let mut calls = self.calls.borrow_mut();
        let place = std::ptr::from_ref(mapped);
        if let Some((_, count)) = calls.iter_mut().find(|(known, _)| *known == place) {
            *count += 1;
            return *count - 1;
        }
        calls.push((place, 1));
        0
    }
}

/// A compiled guest in memory.
pub struct Mapped(Artefact);

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

    fn foresee(&self, calls: &[(&Mapped, &GrantedLimits)], container_present: bool) {
        let mut jobs = Vec::with_capacity(calls.len());
        for (number, (mapped, limits)) in calls.iter().enumerate() {
            let same = calls.iter().take(number).filter(|(other, _)| std::ptr::eq(*other, *mapped));
            jobs.push(self.job(&mapped.0, limits, container_present, same.count() as u64));
        }
        let places = self.pinned.borrow().as_ref().and_then(Pinned::places);
        // If it cannot be had now, the launch will say why.
        self.zygote.replace(Zygote::start(&jobs, self.identity, places).ok());
    }

    fn launch(&self, mapped: &Mapped, call: launch::Job<'_>) -> io::Result<Box<dyn Sandbox>> {
        let job = self.job(&mapped.0, call.limits, call.container_present, self.count(mapped));
        let child = self.child(job)?;
        (self.started)(child.pid());
        Ok(Box::new(Running { child, seed: job.seed }))
    }

    fn launch_policy(
        &self,
        mapped: &Mapped,
        limits: &GrantedLimits,
        container_present: bool,
    ) -> io::Result<Box<dyn Sandbox>> {
        let job = self.job(&mapped.0, limits, container_present, self.count(mapped));
        Ok(Box::new(Running { child: self.child(job)?, seed: job.seed }))
    }

    fn retire(&self, sandbox: Box<dyn Sandbox>) {
        self.going.borrow_mut().push(sandbox);
    }
}

struct Running {
    child: Child,
    seed: Option<u64>,
}

impl Sandbox for Running {
    fn socket(&mut self) -> &mut UnixStream {
        &mut self.child.socket
    }

    fn summon(&mut self) {
        self.child.summon();
    }

    fn seed(&self) -> Option<u64> {
        self.seed
    }

    fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
    }

    fn wait(&mut self) -> String {
        match self.child.wait() {
            Ok(ended) => ended.to_string(),
            Err(error) => format!("its end is unknown: {error}"),
        }
    }
}

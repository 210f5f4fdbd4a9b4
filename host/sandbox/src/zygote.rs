//! The process that sandboxes are forked from.
//!
//! All guests of one invocation share what does not depend on the call: given-up privileges, the engine, the loaded and
//! linked components. So one process makes it, and each sandbox is a fork of it, whose parent is the broker
//! (CLONE_PARENT). No guest runs before its own fork has lowered its limits and applied the filter, so none can touch
//! what the next one is forked from.
//!
//! All sandboxes that are expected are forked at once, each as soon as its guest is loaded, and wait for their calls. The
//! first of them stays beside the broker, which waits for it; from then on the zygote works elsewhere while the first
//! guests are being served. The last sandbox is the zygote itself: a lone guest costs no second process.

use std::io;
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, recv, send, socketpair};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, getpid};
use wasmtime::Engine;
use wharf_ops::call::{Call, Failure};
use wharf_ops::logging::Level;
use wharf_ops::wire::{Frames, Timings};

use crate::place::Places;
use crate::run::{Ready, micros};
use crate::spawn::{
    Child, Job, UNREACHABLE, end_on_panics, fork_child, fork_sibling, report, tell_of_panics,
};
use crate::{Artefact, Error, Identity, Limits, confine, engine, seccomp};

/// What a sandbox is to know before its call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    /// The guest, as [`Artefact::id`].
    guest: u64,
    pub(crate) container_present: bool,
    pub(crate) limits: Limits,
    pub(crate) log_level: Level,
    pub(crate) seed: Option<u64>,
}

impl From<&Job<'_>> for Order {
    fn from(job: &Job<'_>) -> Self {
        let Job { artefact, container_present, limits, log_level, seed } = *job;
        Self { guest: artefact.id(), container_present, limits, log_level, seed }
    }
}

#[cfg(test)]
impl Order {
    /// Of no guest.
    pub(crate) fn of_nobody() -> Self {
        let limits = Limits::default();
        Self { guest: 0, container_present: false, limits, log_level: Level::Info, seed: None }
    }
}

/// A sandbox that waits for its call.
#[derive(Debug)]
struct Waiting {
    order: Order,
    /// None once it was taken.
    socket: Option<UnixStream>,
    /// As far as it has told.
    pid: Option<Result<Pid, i32>>,
}

/// The broker's side of a zygote. Dropping it ends the process and the sandboxes that were not taken.
#[derive(Debug)]
pub struct Zygote {
    control: OwnedFd,
    process: Pid,
    /// The last one is the zygote itself.
    waiting: Vec<Waiting>,
    places: Option<Places>,
}

impl Zygote {
    /// Starts one, and the sandboxes for these jobs. The caller has checked the digests of the guests. One that does not
    /// load is reported by the sandbox that is to run it. The caller must be single-threaded.
    pub fn start(jobs: &[Job<'_>], identity: Identity, places: Option<Places>) -> Result<Self, Error> {
        let (control, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(|errno| Error::Socket(errno.into()))?;
        let (mut waiting, mut sockets) = (Vec::with_capacity(jobs.len()), vec![theirs]);
        for job in jobs {
            let (ours, theirs) = UnixStream::pair().map_err(Error::Socket)?;
            waiting.push(Waiting { order: job.into(), socket: Some(ours), pid: None });
            sockets.push(theirs.into());
        }
        let broker = std::process::id();
        let elsewhere = places.as_ref();
        let process = fork_child(move || {
            end_on_panics();
            let mut sockets = match confine::keep_all(sockets) {
                Ok(sockets) => sockets.into_iter(),
                Err(_) => return UNREACHABLE,
            };
            match sockets.next() {
                // What the descriptors are is decided by each fork for itself.
                Some(control) => {
                    nest(&ManuallyDrop::new(control), jobs, sockets.collect(), identity, broker, elsewhere)
                }
                None => UNREACHABLE,
            }
        })?;
        if let Some(last) = waiting.last_mut() {
            last.pid = Some(Ok(process));
        }
        Ok(Self { control, process, waiting, places })
    }

    /// A sandbox that was started for such a job; none if there is none left.
    pub fn take(&mut self, job: &Job<'_>) -> Option<Result<Child, Error>> {
        let order = Order::from(job);
        let index = self.waiting.iter().position(|one| one.order == order && one.socket.is_some())?;
        let pid = match self.pid_of(index) {
            Ok(pid) => pid,
            Err(error) => return Some(Err(Error::Fork(error))),
        };
        let socket = self.waiting.get_mut(index)?.socket.take()?;
        Some(Ok(Child::new(pid, socket, self.places.clone())))
    }

    /// Waits until that sandbox has told its number.
    fn pid_of(&mut self, index: usize) -> io::Result<Pid> {
        loop {
            match self.waiting.get(index).and_then(|one| one.pid) {
                Some(Ok(pid)) => return Ok(pid),
                Some(Err(errno)) => return Err(io::Error::from_raw_os_error(errno)),
                None => {}
            }
            if !self.hear()? {
                return Err(io::Error::other("the process that loads the guests has died"));
            }
        }
    }

    /// Hears of one sandbox more; false if there is nobody left who could tell of one.
    fn hear(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 8];
        let length = loop {
            match recv(self.control.as_raw_fd(), &mut bytes, MsgFlags::empty()) {
                Err(Errno::EINTR) => {}
                other => break other?,
            }
        };
        if length == 0 {
            return Ok(false);
        }
        let [a, b, c, d, number @ ..] = bytes;
        let index = u32::from_le_bytes([a, b, c, d]) as usize;
        let number = i32::from_le_bytes(number);
        if let Some(one) = self.waiting.get_mut(index).filter(|one| one.pid.is_none()) {
            one.pid = Some(if number > 0 { Ok(Pid::from_raw(number)) } else { Err(-number) });
        }
        Ok(true)
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        let Some((last, others)) = self.waiting.split_last() else { return };
        if others.iter().all(|one| one.socket.is_none()) && last.socket.is_none() {
            return;
        }
        if last.socket.is_some() {
            end(self.process);
        }
        // Nobody forks any more. All that were forked have told it, or are about to.
        while let Ok(true) = self.hear() {}
        for one in self.waiting.iter().rev().skip(1).filter(|one| one.socket.is_some()) {
            if let Some(Ok(pid)) = one.pid {
                end(pid);
            }
        }
    }
}

/// Kills and reaps. Neither can fail for a child of ours that was not reaped.
fn end(process: Pid) {
    let _ = kill(process, Signal::SIGKILL);
    while waitpid(process, None) == Err(Errno::EINTR) {}
}

/// What every sandbox inherits.
struct Nest {
    engine: Engine,
    /// By the number that [`Artefact::id`] is.
    guests: Vec<(u64, Result<Ready, Failure>)>,
}

impl Nest {
    /// Loads the guest of a job, unless that has been done.
    fn load(&mut self, artefact: &Artefact) {
        let id = artefact.id();
        if self.guests.iter().all(|(known, _)| *known != id) {
            self.guests.push((id, Ready::new(&self.engine, artefact)));
        }
    }
}

/// The zygote's whole life; answers its exit code.
fn nest(
    control: &OwnedFd,
    jobs: &[Job<'_>],
    sockets: Vec<OwnedFd>,
    identity: Identity,
    broker: u32,
    places: Option<&Places>,
) -> i32 {
    let mut started = Instant::now();
    let nest = confine::give_up(identity, broker).and_then(|()| {
        let fault = |error: wasmtime::Error| Error::Confine("make the engine", format!("{error:#}"));
        Ok(Nest { engine: engine::runner().map_err(fault)?, guests: Vec::new() })
    });
    let mut nest = nest.map_err(|error| Failure::Sandbox(error.to_string()));
    let count = jobs.len();
    for (index, (job, socket)) in jobs.iter().zip(sockets).enumerate() {
        if let Ok(nest) = &mut nest {
            nest.load(job.artefact);
        }
        let load = micros(started);
        let order = Order::from(job);
        if index + 1 == count {
            return serve(nest, &order, socket, broker, load);
        }
        // What a fork takes along stays here as well.
        let forked = fork_sibling(|| {
            tell(control, index, getpid().as_raw());
            let own = std::mem::replace(&mut nest, Err(Failure::Sandbox(String::new())));
            serve(own, &order, socket, broker, load)
        });
        match forked {
            // It tells its number as well, in case this process ends first; but it may have to wait for a processor.
            Ok(pid) => tell(control, index, pid.as_raw()),
            Err(Error::Fork(error)) => tell(control, index, -error.raw_os_error().unwrap_or(libc::EAGAIN)),
            Err(_) => tell(control, index, -libc::EAGAIN),
        }
        if let Some(places) = places.filter(|_| index == 0) {
            places.go_away();
        }
        started = Instant::now();
    }
    0
}

/// Tells the broker the number of a sandbox, or with a minus the errno that came in its place.
fn tell(control: &OwnedFd, index: usize, number: i32) {
    let mut message = [0; 8];
    let (first, second) = message.split_at_mut(4);
    first.copy_from_slice(&u32::try_from(index).unwrap_or(u32::MAX).to_le_bytes());
    second.copy_from_slice(&number.to_le_bytes());
    // If the broker is gone, this process goes as well.
    let _ = send(control.as_raw_fd(), &message, MsgFlags::MSG_NOSIGNAL);
}

/// A sandbox's whole life; answers its exit code.
fn serve(nest: Result<Nest, Failure>, order: &Order, socket: OwnedFd, broker: u32, load: u32) -> i32 {
    let started = Instant::now();
    // Without the socket there is nobody to tell: the broker sees the end of the stream and the code.
    let Ok(socket) = confine::keep_only(socket) else { return UNREACHABLE };
    tell_of_panics();
    let mut socket = UnixStream::from(socket);
    let confined = nest.and_then(|Nest { engine, mut guests }| {
        // Shared with the other guests, and nothing is gained by taking it apart.
        std::mem::forget(engine);
        let number = guests.iter().position(|(id, _)| *id == order.guest);
        let guest = match number {
            Some(number) => guests.swap_remove(number).1?,
            None => return Err(Failure::Sandbox("the guest is not loaded".to_owned())),
        };
        std::mem::forget(guests);
        confine::limit(&order.limits)
            .and_then(|()| confine::end_with(broker))
            .and_then(|()| seccomp::apply())
            .map_err(|error| Failure::Sandbox(error.to_string()))?;
        Ok(guest)
    });
    match confined {
        Ok(guest) => {
            let timings = Timings { load, confine: micros(started), ..Timings::default() };
            guest.run(order, socket, timings);
            // The process ends here: nothing is gained by taking it apart first.
            std::mem::forget(guest);
        }
        Err(failure) => {
            // The conversation begins with the call, also when there is nothing that could make it.
            let _ = Frames::new().receive::<Call>(&mut socket);
            report(&mut socket, failure);
        }
    }
    0
}

//! The process that sandboxes are forked from.
//!
//! All guests of one invocation share what does not depend on the call: given-up privileges, the engine, the loaded and
//! linked components. So one process makes it, once, and each sandbox is a fork of it, whose parent is the broker
//! (CLONE_PARENT). No guest runs before its own fork has lowered its limits and applied the filter, so none can touch
//! what the next one is forked from. The last call that is expected is carried out by the zygote itself: it is not needed
//! any more, and a lone guest costs no second process.

#![allow(unsafe_code)] // A descriptor that recvmsg(2) made has to be given an owner.

use std::io::{self, IoSliceMut};
use std::mem::ManuallyDrop;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Instant;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::socket::{
    AddressFamily, ControlMessage, ControlMessageOwned, MsgFlags, SockFlag, SockType, recv, recvmsg, send,
    sendmsg, socketpair,
};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use wharf_ops::call::{Call, Failure};
use wharf_ops::logging::Level;
use wharf_ops::wire::{self, Frames, Timings};

use crate::run::{Ready, micros};
use crate::seccomp::Filter;
use crate::spawn::{Child, Job, UNREACHABLE, fork_child, fork_sibling, report, tell_of_panics};
use crate::{Artefact, Error, Identity, Limits, confine, engine};

/// What the broker sends, together with the sandbox's socket. The call itself comes by that socket.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Order {
    /// Which of the loaded guests.
    guest: u32,
    /// No other order follows: the zygote carries this one out itself.
    last: bool,
    pub(crate) container_present: bool,
    pub(crate) limits: Limits,
    pub(crate) log_level: Level,
}

/// More than an [`Order`] takes.
const MAX_ORDER: usize = 256;

/// The broker's side of a zygote. Dropping it ends the process; the sandboxes live on.
#[derive(Debug)]
pub struct Zygote {
    control: OwnedFd,
    /// None when it has become a sandbox.
    process: Option<Pid>,
    /// What it has loaded, as [`Artefact::id`].
    guests: Vec<u64>,
    /// How many calls are still expected.
    calls: usize,
}

impl Zygote {
    /// Starts one for these guests, whose digests the caller has checked, and for that many calls. A guest that does not
    /// load is reported by the sandbox that is to run it. The caller must be single-threaded.
    pub fn start(artefacts: &[&Artefact], calls: usize, identity: Identity) -> Result<Self, Error> {
        let (control, theirs) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(|errno| Error::Socket(errno.into()))?;
        let broker = std::process::id();
        let process = fork_child(|| match confine::keep_only(theirs) {
            // Its number will be the sandbox's socket, which has an owner of its own.
            Ok(control) => nest(&ManuallyDrop::new(control), artefacts, identity, broker),
            Err(_) => UNREACHABLE,
        })?;
        let guests = artefacts.iter().map(|artefact| artefact.id()).collect();
        Ok(Self { control, process: Some(process), guests, calls })
    }

    /// Whether [`spawn`](Self::spawn) can start a sandbox for that guest.
    pub fn has(&self, artefact: &Artefact) -> bool {
        self.process.is_some() && self.guests.contains(&artefact.id())
    }

    /// Starts the sandbox for one call.
    pub fn spawn(&mut self, artefact: &Artefact, job: &Job<'_>) -> Result<Child, Error> {
        let guest = self.guests.iter().position(|id| *id == artefact.id());
        let (Some(guest), Some(process)) = (guest, self.process) else {
            return Err(Error::Fork(io::Error::other("the guest is not loaded")));
        };
        let last = self.calls <= 1;
        let order = Order {
            guest: u32::try_from(guest).unwrap_or(u32::MAX),
            last,
            container_present: job.container_present,
            limits: job.limits,
            log_level: job.log_level,
        };
        let message = wire::encode(&order).map_err(|error| Error::Fork(io::Error::other(error)))?;
        let (mut ours, theirs) = UnixStream::pair().map_err(Error::Socket)?;
        let descriptors = [theirs.as_raw_fd()];
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let number = self.control.as_raw_fd();
        sendmsg::<()>(number, &[io::IoSlice::new(&message)], &rights, MsgFlags::MSG_NOSIGNAL, None)
            .map_err(|errno| Error::Fork(errno.into()))?;
        drop(theirs);
        let pid = if last {
            self.process = None;
            process
        } else {
            self.calls -= 1;
            self.answer()?
        };
        let child = Child::new(pid, ours.try_clone().map_err(Error::Socket)?);
        // If it has died meanwhile, the conversation tells.
        match wire::send(&mut ours, job.call) {
            Err(wire::WireError::TooLong(bytes)) => {
                let reason = format!("the call takes {bytes} bytes, {} are the limit", wire::MAX_FRAME);
                Err(Error::Fork(io::Error::other(reason)))
            }
            _ => Ok(child),
        }
    }

    /// The process number of the sandbox that was just forked, or why there is none.
    fn answer(&self) -> Result<Pid, Error> {
        let mut number = [0; 4];
        loop {
            let got = recv(self.control.as_raw_fd(), &mut number, MsgFlags::empty());
            return Err(Error::Fork(match got {
                Ok(4) => match i32::from_le_bytes(number) {
                    pid if pid > 0 => return Ok(Pid::from_raw(pid)),
                    errno => io::Error::from_raw_os_error(-errno),
                },
                Ok(_) => io::Error::other("the process that loads the guests has died"),
                Err(Errno::EINTR) => continue,
                Err(errno) => errno.into(),
            }));
        }
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        if let Some(process) = self.process {
            // Neither can fail for a child of ours that was not reaped.
            let _ = kill(process, Signal::SIGKILL);
            while waitpid(process, None) == Err(Errno::EINTR) {}
        }
    }
}

/// What every sandbox inherits.
struct Nest {
    filter: Filter,
    guests: Vec<Result<Ready, Failure>>,
}

/// The zygote's whole life; answers its exit code.
fn nest(control: &OwnedFd, artefacts: &[&Artefact], identity: Identity, broker: u32) -> i32 {
    let started = Instant::now();
    let ready = confine::give_up(identity, broker).and_then(|()| {
        let filter = Filter::build()?;
        let fault = |error: wasmtime::Error| Error::Confine("make the engine", format!("{error:#}"));
        let engine = engine::runner().map_err(fault)?;
        let guests = artefacts.iter().map(|artefact| Ready::new(&engine, artefact)).collect();
        Ok(Nest { filter, guests })
    });
    let mut load = micros(started);
    let mut ready = ready.map_err(|error| Failure::Sandbox(error.to_string()));
    loop {
        let Some((order, socket)) = receive(control) else { return 0 };
        if order.last {
            return serve(ready, &order, socket, broker, load);
        }
        // What a fork takes along stays here as well.
        let number = match fork_sibling(|| {
            let own = std::mem::replace(&mut ready, Err(Failure::Sandbox(String::new())));
            serve(own, &order, socket, broker, load)
        }) {
            Ok(pid) => pid.as_raw(),
            Err(Error::Fork(error)) => -error.raw_os_error().unwrap_or(libc::EAGAIN),
            Err(_) => -libc::EAGAIN,
        };
        // Told once: it was for all of them.
        load = 0;
        if send(control.as_raw_fd(), &number.to_le_bytes(), MsgFlags::MSG_NOSIGNAL).is_err() {
            return 0;
        }
    }
}

/// The next order; none if the broker is gone.
fn receive(control: &OwnedFd) -> Option<(Order, OwnedFd)> {
    let mut bytes = [0; MAX_ORDER];
    let mut rights = nix::cmsg_space!(RawFd);
    let mut parts = [IoSliceMut::new(&mut bytes)];
    let (length, socket) = loop {
        match recvmsg::<()>(control.as_raw_fd(), &mut parts, Some(&mut rights), MsgFlags::MSG_CMSG_CLOEXEC) {
            Ok(message) => {
                let socket = message.cmsgs().ok()?.find_map(|part| match part {
                    ControlMessageOwned::ScmRights(descriptors) => descriptors.first().copied(),
                    _ => None,
                });
                break (message.bytes, socket?);
            }
            Err(Errno::EINTR) => {}
            Err(_) => return None,
        }
    };
    // SAFETY: the kernel has just made this descriptor for us, and nobody else knows it.
    let socket = unsafe { OwnedFd::from_raw_fd(socket) };
    // The length in front is not needed: a packet is a message.
    let order = wire::decode(bytes.get(4..length)?).ok()?;
    Some((order, socket))
}

/// A sandbox's whole life; answers its exit code.
fn serve(ready: Result<Nest, Failure>, order: &Order, socket: OwnedFd, broker: u32, load: u32) -> i32 {
    let started = Instant::now();
    // Without the socket there is nobody to tell: the broker sees the end of the stream and the code.
    let Ok(socket) = confine::keep_only(socket) else { return UNREACHABLE };
    tell_of_panics();
    let mut socket = UnixStream::from(socket);
    let mut frames = Frames::new();
    let Ok(call) = frames.receive::<Call>(&mut socket) else { return UNREACHABLE };
    let confined = ready.and_then(|Nest { filter, mut guests }| {
        let number = order.guest as usize;
        if number >= guests.len() {
            return Err(Failure::Sandbox("the guest is not loaded".to_owned()));
        }
        let guest = guests.swap_remove(number)?;
        std::mem::forget(guests);
        confine::limit(&order.limits)
            .and_then(|()| confine::end_with(broker))
            .and_then(|()| filter.apply())
            .map_err(|error| Failure::Sandbox(error.to_string()))?;
        Ok(guest)
    });
    match confined {
        Ok(guest) => {
            let timings = Timings { load, confine: micros(started), ..Timings::default() };
            guest.run(&call, order, socket, timings);
            // The process ends here: nothing is gained by taking it apart first.
            std::mem::forget((guest, call));
        }
        Err(failure) => report(&mut socket, failure),
    }
    0
}

//! One netlink socket: requests that are acknowledged, gets, dumps that are whole, batches, events until a deadline.
//!
//! A socket belongs to the network namespace it was opened in for as long as it lives; any thread may use it.
//! The kernel answers inside send(2), so that receiving never blocks; a bounded poll guards against surprises.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, connect, send, socket,
};
use std::os::fd::AsRawFd;

use super::attr::Builder;
use super::error::NetlinkError;
use super::message::{Datagram, Message, Messages};
use super::sys::{receive, set_option};

const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_ACK: u16 = 0x4;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;

/// The kernel cuts the datagrams of a dump to what the reader offers, 32 KiB at most; a single answer can be longer.
const INPUT: usize = 64 * 1024;
/// How often a dump is started again because the list changed meanwhile.
const ATTEMPTS: u32 = 32;
/// For an answer that should be there already.
const PATIENCE: Duration = Duration::from_secs(5);

/// Which of the kernel's netlink families.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    /// NETLINK_ROUTE.
    Route,
    /// NETLINK_NETFILTER.
    Netfilter,
}

/// A socket to the kernel, and to nobody else.
#[derive(Debug)]
pub(crate) struct Socket {
    fd: OwnedFd,
    next: u32,
    input: Vec<u8>,
    output: Vec<u8>,
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Socket {
    /// In the network namespace of the calling thread.
    pub(crate) fn open(protocol: Protocol) -> Result<Self, NetlinkError> {
        let family = match protocol {
            Protocol::Route => SockProtocol::NetlinkRoute,
            Protocol::Netfilter => SockProtocol::NetlinkNetFilter,
        };
        let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, family)
            .map_err(NetlinkError::socket("open"))?;
        // Connecting binds the socket too, and lets nobody but the kernel send to it.
        connect(fd.as_raw_fd(), &NetlinkAddr::new(0, 0)).map_err(NetlinkError::socket("connect"))?;
        for option in [libc::NETLINK_EXT_ACK, libc::NETLINK_CAP_ACK] {
            set_option(fd.as_fd(), option, 1).map_err(NetlinkError::socket("set an option"))?;
        }
        // Linux before 4.20 has no strict checking; every reader filters what it gets anyway.
        let _ = set_option(fd.as_fd(), libc::NETLINK_GET_STRICT_CHK, 1);
        Ok(Self::over(fd))
    }

    fn over(fd: OwnedFd) -> Self {
        Self { fd, next: 1, input: Vec::new(), output: Vec::new() }
    }

    /// A change that the kernel acknowledges. NLM_F_REQUEST and NLM_F_ACK are added to `flags`.
    pub(crate) fn request(
        &mut self,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Builder),
    ) -> Result<(), NetlinkError> {
        self.request_with(kind, flags, body, |_| ())
    }

    /// As `request`, and hands every other answer to `on_answer`: what NLM_F_ECHO sends back.
    pub(crate) fn request_with(
        &mut self,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Builder),
        mut on_answer: impl FnMut(&Message<'_>),
    ) -> Result<(), NetlinkError> {
        let sequence = self.send_one(kind, flags | NLM_F_REQUEST | NLM_F_ACK, body)?;
        let mut outcome = None;
        while outcome.is_none() {
            self.receive_answer(|message| {
                if message.sequence == sequence && outcome.is_none() {
                    if message.kind == NLMSG_ERROR {
                        outcome = Some(message.acknowledgement());
                    } else {
                        on_answer(message);
                    }
                }
                Ok(())
            })?;
        }
        outcome.unwrap_or(Ok(()))
    }

    /// A question with one answer.
    pub(crate) fn get<T>(
        &mut self,
        kind: u16,
        body: impl FnOnce(&mut Builder),
        read: impl FnOnce(&Message<'_>) -> T,
    ) -> Result<T, NetlinkError> {
        let sequence = self.send_one(kind, NLM_F_REQUEST, body)?;
        let mut read = Some(read);
        let mut outcome = None;
        while outcome.is_none() {
            self.receive_answer(|message| {
                if message.sequence != sequence || outcome.is_some() || message.kind == NLMSG_NOOP {
                    return Ok(());
                }
                outcome = Some(if message.kind == NLMSG_ERROR {
                    // An acknowledgement without an answer before it is no answer.
                    message
                        .acknowledgement()
                        .and(Err(NetlinkError::Malformed("nothing but an acknowledgement")))
                } else {
                    read.take().map(|read| read(message)).ok_or(NetlinkError::Malformed("two answers"))
                });
                Ok(())
            })?;
        }
        outcome.unwrap_or(Err(NetlinkError::Malformed("no answer")))
    }

    /// A list, whole and of one moment: started again when the kernel says that it changed meanwhile.
    pub(crate) fn dump<T>(
        &mut self,
        kind: u16,
        body: impl Fn(&mut Builder),
        mut read: impl FnMut(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, NetlinkError> {
        let mut list = Vec::new();
        for _ in 0..ATTEMPTS {
            list.clear();
            match self.dump_once(kind, &body, |message| list.extend(read(message))) {
                Ok(true) => return Ok(list),
                Ok(false) => {}
                Err(NetlinkError::Lost) => self.drain()?,
                Err(error) => return Err(error),
            }
        }
        Err(NetlinkError::Unstable(ATTEMPTS))
    }

    /// False if the list changed while it was read.
    fn dump_once(
        &mut self,
        kind: u16,
        body: impl Fn(&mut Builder),
        mut on_message: impl FnMut(&Message<'_>),
    ) -> Result<bool, NetlinkError> {
        let sequence = self.send_one(kind, NLM_F_REQUEST | NLM_F_DUMP, body)?;
        let mut whole = true;
        let mut outcome = None;
        while outcome.is_none() {
            self.receive_answer(|message| {
                if message.sequence != sequence || outcome.is_some() {
                    return Ok(());
                }
                whole &= message.flags & NLM_F_DUMP_INTR == 0;
                match message.kind {
                    NLMSG_ERROR => outcome = Some(message.acknowledgement()),
                    NLMSG_DONE => outcome = Some(message.end_of_dump()),
                    NLMSG_NOOP => {}
                    _ => on_message(message),
                }
                Ok(())
            })?;
        }
        outcome.unwrap_or(Ok(())).map(|()| whole)
    }

    /// Many independent changes in one send, each with its outcome. `build` is given the flags to add to each.
    pub(crate) fn pipeline(
        &mut self,
        build: impl FnOnce(&mut Messages, u16),
    ) -> Result<Vec<Result<(), NetlinkError>>, NetlinkError> {
        let mut messages = self.messages();
        build(&mut messages, NLM_F_REQUEST | NLM_F_ACK);
        let (first, count) = (messages.first(), messages.count() as usize);
        self.send(messages)?;
        let mut outcomes: Vec<Option<Result<(), NetlinkError>>> = vec![None; count];
        while outcomes.iter().any(Option::is_none) {
            self.receive_answer(|message| {
                let at = message.sequence.wrapping_sub(first) as usize;
                if let (NLMSG_ERROR, Some(outcome @ None)) = (message.kind, outcomes.get_mut(at)) {
                    *outcome = Some(message.acknowledgement());
                }
                Ok(())
            })?;
        }
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// An empty batch with the sequence numbers of this socket, for [`Socket::send`].
    pub(crate) fn messages(&mut self) -> Messages {
        Messages::reusing(std::mem::take(&mut self.output), self.next)
    }

    /// Sends a batch as it is; the caller receives.
    pub(crate) fn send(&mut self, messages: Messages) -> Result<(), NetlinkError> {
        self.next = self.next.wrapping_add(messages.count());
        let result = messages.bytes().and_then(|bytes| {
            loop {
                match send(self.fd.as_raw_fd(), bytes, MsgFlags::empty()) {
                    Err(Errno::EINTR) => {}
                    Err(errno) => break Err(NetlinkError::socket("send")(errno)),
                    Ok(_) => break Ok(()),
                }
            }
        });
        self.output = messages.into_buffer();
        result
    }

    /// One datagram that is there already, message by message. False if there is none.
    pub(crate) fn receive_now(
        &mut self,
        on_message: impl FnMut(&Message<'_>) -> Result<(), NetlinkError>,
    ) -> Result<bool, NetlinkError> {
        let mut input = std::mem::take(&mut self.input);
        input.reserve_exact(INPUT.saturating_sub(input.len()));
        let result = self.receive_into(&mut input, on_message);
        self.input = input;
        result
    }

    fn receive_into(
        &self,
        input: &mut Vec<u8>,
        mut on_message: impl FnMut(&Message<'_>) -> Result<(), NetlinkError>,
    ) -> Result<bool, NetlinkError> {
        let length = loop {
            match receive(self.fd.as_fd(), input, libc::MSG_DONTWAIT | libc::MSG_TRUNC) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(false),
                Err(Errno::ENOBUFS) => return Err(NetlinkError::Lost),
                Err(errno) => return Err(NetlinkError::socket("receive")(errno)),
                Ok(length) => break length,
            }
        };
        let datagram = input.get(..length).ok_or(NetlinkError::Malformed("a datagram over 64 KiB"))?;
        for message in Datagram::new(datagram) {
            on_message(&message?)?;
        }
        Ok(true)
    }

    /// Becomes a listener to a multicast group (RTNLGRP_*).
    pub(crate) fn subscribe(&mut self, group: u32) -> Result<(), NetlinkError> {
        let group = i32::try_from(group).unwrap_or(i32::MAX);
        set_option(self.fd.as_fd(), libc::NETLINK_ADD_MEMBERSHIP, group)
            .map_err(NetlinkError::socket("subscribe"))
    }

    /// Waits for one datagram of events. Events that the kernel had to drop are `Lost`: look at the state again.
    pub(crate) fn events(
        &mut self,
        deadline: Instant,
        on_message: impl FnMut(&Message<'_>) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        self.wait_readable(deadline)?;
        self.receive_now(on_message).map(drop)
    }

    fn receive_answer(
        &mut self,
        mut on_message: impl FnMut(&Message<'_>) -> Result<(), NetlinkError>,
    ) -> Result<(), NetlinkError> {
        if self.receive_now(&mut on_message)? {
            return Ok(());
        }
        self.events(Instant::now() + PATIENCE, on_message)
    }

    fn wait_readable(&self, deadline: Instant) -> Result<(), NetlinkError> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(NetlinkError::TimedOut);
            }
            // One more than the whole milliseconds: waking up early would be a busy loop.
            let left = PollTimeout::try_from(left.as_millis() + 1).unwrap_or(PollTimeout::MAX);
            match poll(&mut [PollFd::new(self.fd.as_fd(), PollFlags::POLLIN)], left) {
                Err(Errno::EINTR) | Ok(0) => {}
                Err(errno) => return Err(NetlinkError::socket("poll")(errno)),
                Ok(_) => return Ok(()),
            }
        }
    }

    /// Throws away what is queued.
    fn drain(&mut self) -> Result<(), NetlinkError> {
        loop {
            match self.receive_now(|_| Ok(())) {
                Ok(true) | Err(NetlinkError::Lost | NetlinkError::Malformed(_)) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }

    fn send_one(
        &mut self,
        kind: u16,
        flags: u16,
        body: impl FnOnce(&mut Builder),
    ) -> Result<u32, NetlinkError> {
        let mut messages = self.messages();
        let sequence = messages.push(kind, flags, body);
        self.send(messages)?;
        Ok(sequence)
    }
}

#[cfg(test)]
mod tests;

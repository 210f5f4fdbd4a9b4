//! What the host functions of one guest share: the conversation with the broker, the handles, the limits, the log.

use std::os::unix::net::UnixStream;

use wasmtime::component::{Resource, ResourceTable};
use wharf_ops::call::Call;
use wharf_ops::logging::{Level, LogLine};
use wharf_ops::wire::{self, Frames, Message, ToBroker, ToSandbox, WireError};
use wharf_ops::{Error, ErrorKind, Link, Ns, Op, Reply};

use crate::bindings::wharf::types::errors::Error as WitError;
use crate::limits::Limiter;
use crate::random::Random;
use crate::streams::Streams;
use crate::zygote::Order;

/// What a host function answers: the outer error ends the guest, the inner one is the guest's to handle.
pub(crate) type Answer<T> = wasmtime::Result<Result<T, WitError>>;

/// The broker is gone, or talks nonsense. Ends the guest in silence: there is nobody to tell.
#[derive(Debug, thiserror::Error)]
#[error("the broker ended the conversation: {0}")]
pub(crate) struct Gone(WireError);

/// What the guest is here for comes before any answer.
enum Expected {
    /// It has not come yet.
    Later,
    /// It has come before it was wanted: the guest asked for something while it was being made.
    Here(Box<Call>),
    /// It is being made, or was.
    Taken,
}

pub(crate) struct State {
    socket: UnixStream,
    frames: Frames,
    call: Expected,
    log_level: Level,
    log_left: usize,
    pub(crate) table: ResourceTable,
    pub(crate) limiter: Limiter,
    pub(crate) streams: Streams,
    pub(crate) random: Random,
}

impl State {
    pub(crate) fn new(socket: UnixStream, order: &Order) -> Self {
        Self {
            socket,
            frames: Frames::new(),
            call: Expected::Later,
            log_level: order.log_level,
            log_left: order.limits.log_bytes,
            table: ResourceTable::new(),
            limiter: Limiter::new(order.limits),
            streams: Streams::default(),
            random: Random::of(order.seed),
        }
    }

    /// Sends one message.
    pub(crate) fn send(&mut self, message: &ToBroker) -> Result<(), WireError> {
        wire::send(&mut self.socket, message)
    }

    /// Waits for the call.
    pub(crate) fn call(&mut self) -> Result<Call, WireError> {
        match std::mem::replace(&mut self.call, Expected::Taken) {
            Expected::Here(call) => Ok(*call),
            Expected::Later | Expected::Taken => self.frames.receive(&mut self.socket),
        }
    }

    /// Waits for the next message of a conversation that the broker leads.
    pub(crate) fn receive<T: Message>(&mut self) -> Result<T, WireError> {
        self.frames.receive(&mut self.socket)
    }

    /// Waits until the broker has done with this conversation.
    pub(crate) fn linger(&mut self) {
        // Nothing more comes: this returns at the end of the stream, or of this process.
        let _ = self.frames.receive::<Call>(&mut self.socket);
    }

    /// Asks the broker and waits for what came of it.
    pub(crate) fn perform(&mut self, op: Op) -> wasmtime::Result<Result<Reply, Error>> {
        let operation = op.operation().name;
        if matches!(self.call, Expected::Later) {
            self.call = Expected::Here(Box::new(self.call().map_err(Gone)?));
        }
        match self.send(&ToBroker::Op(op)) {
            Ok(()) => {}
            Err(WireError::TooLong(bytes)) => {
                return Ok(Err(Error {
                    operation: operation.to_owned(),
                    ..Error::new(
                        ErrorKind::Exhausted,
                        format!("the arguments take {bytes} bytes and {} are the limit", wire::MAX_FRAME),
                    )
                }));
            }
            Err(error) => return Err(Gone(error).into()),
        }
        let answer: ToSandbox = self.frames.receive(&mut self.socket).map_err(Gone)?;
        Ok(answer)
    }

    /// Asks the broker and takes the value out of its reply.
    pub(crate) fn ask<T>(&mut self, op: Op, take: impl FnOnce(Reply) -> Result<T, Error>) -> Answer<T> {
        Ok(self.perform(op)?.and_then(take).map_err(WitError::from))
    }

    /// Whether a line of that level is kept.
    pub(crate) fn logs(&self, level: Level) -> bool {
        level >= self.log_level
    }

    /// Passes a line on. Past the limit, one line says so and the rest is dropped.
    pub(crate) fn log(&mut self, line: LogLine) -> wasmtime::Result<()> {
        if !self.logs(line.level) || self.log_left == 0 {
            return Ok(());
        }
        let fields: usize = line.fields.iter().map(|(name, value)| name.len() + value.len()).sum();
        let size = line.message.len() + fields + 1;
        let line = if size <= self.log_left {
            self.log_left -= size;
            line
        } else {
            self.log_left = 0;
            let message = "the guest's log has reached its limit; the rest is dropped".to_owned();
            LogLine { level: Level::Warn, message, fields: Vec::new() }
        };
        self.send(&ToBroker::Log(line)).map_err(Gone)?;
        Ok(())
    }

    /// The link behind a handle.
    pub(crate) fn link(&self, handle: &Resource<Link>) -> wasmtime::Result<Link> {
        Ok(self.table.get(handle)?.clone())
    }

    /// A handle for a link that the broker answered with.
    pub(crate) fn hand_out(&mut self, link: Link) -> wasmtime::Result<Resource<Link>> {
        Ok(self.table.push(link)?)
    }

    /// A handle for the link in an answer.
    pub(crate) fn hand_out_answer(&mut self, answer: Result<Link, WitError>) -> Answer<Resource<Link>> {
        Ok(match answer {
            Ok(link) => Ok(self.hand_out(link)?),
            Err(error) => Err(error),
        })
    }

    /// A handle for the link in an answer, if there is one.
    pub(crate) fn hand_out_option(
        &mut self,
        answer: Result<Option<Link>, WitError>,
    ) -> Answer<Option<Resource<Link>>> {
        Ok(match answer {
            Ok(Some(link)) => Ok(Some(self.hand_out(link)?)),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        })
    }
}

const HOST: u32 = 0;
const CONTAINER: u32 = 1;

/// What a guest is lent for a namespace. Guests see indices into their own handle table, never this number.
pub(crate) fn lend(ns: Ns) -> Resource<Ns> {
    Resource::new_borrow(match ns {
        Ns::Host => HOST,
        Ns::Container => CONTAINER,
    })
}

/// The namespace behind a handle.
pub(crate) fn ns(handle: &Resource<Ns>) -> Ns {
    if handle.rep() == HOST { Ns::Host } else { Ns::Container }
}

/// An argument that was found wrong before anything was sent.
pub(crate) fn refuse(operation: &str, error: Error) -> WitError {
    Error { operation: operation.to_owned(), ..error }.into()
}

/// The value of a checked argument, or the end of the host function.
macro_rules! valid {
    ($operation:literal, $argument:expr) => {
        match $argument {
            Ok(value) => value,
            Err(error) => return Ok(Err(crate::state::refuse($operation, error))),
        }
    };
}
pub(crate) use valid;

#[cfg(test)]
mod tests {
    use wharf_ops::call::Answer;
    use wharf_ops::nat::NatOp;
    use wharf_ops::{KernelOp, nat};

    use super::*;

    /// A guest may ask while it is being made, before its call has come.
    #[test]
    fn the_call_comes_before_any_answer() {
        let (ours, mut broker) = UnixStream::pair().unwrap();
        let mut state = State::new(ours, &Order::of_nobody());
        let call = Call::Status { config: "{}".into() };
        // What the broker sends, in this order, whenever the guest asks.
        wire::send(&mut broker, &call).unwrap();
        let reply: ToSandbox = Ok(Reply::Backend(nat::Backend::Nftables));
        wire::send(&mut broker, &reply).unwrap();
        wire::send(&mut broker, &reply).unwrap();
        let ask = || Op::Kernel(KernelOp::Nat(NatOp::Detect));
        assert_eq!(state.perform(ask()).unwrap(), reply);
        assert_eq!(state.call().unwrap(), call);
        assert_eq!(state.perform(ask()).unwrap(), reply);
        // When all is said it waits for the end.
        let outcome = Ok(Answer::Done);
        state.send(&ToBroker::Finished { outcome, timings: wire::Timings::default() }).unwrap();
        drop(broker);
        state.linger();
    }
}

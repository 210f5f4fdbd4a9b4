//! The protocol between sandbox and broker: postcard messages, each behind its length in four bytes.
//!
//! The broker does not trust the other side: a frame over [`MAX_FRAME`] ends the conversation, and a message that
//! does not decode to the last byte is an error.

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use crate::call::{Answer, Call, Failure};
use crate::logging::LogLine;
use crate::policy::{Question, Subject};
use crate::{Error, Op, Reply};

/// The largest message, in bytes.
pub const MAX_FRAME: usize = 8 * 1024 * 1024;

/// From the sandbox.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToBroker {
    /// Do this; a [`ToSandbox`] answers.
    Op(Op),
    /// Note this; nothing answers.
    Log(LogLine),
    /// The call is over; nothing answers.
    Finished {
        /// What came of it.
        outcome: Result<Answer, Failure>,
        /// Where the time went.
        timings: Timings,
    },
}

/// From the broker: what came of the last `Op`.
pub type ToSandbox = Result<Reply, Error>;

/// Microseconds that the sandbox spent on each step, and what it took up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// Engine and mapping of the components, of all that are loaded at once: only the first call's sandbox tells it.
    pub load: u32,
    /// Giving up privileges.
    pub confine: u32,
    /// Linking and instantiation.
    pub instantiate: u32,
    /// The call itself, operations included.
    pub run: u32,
    /// Not a time: the bytes of all its linear memories when it told this. They never shrink.
    pub memory: u64,
}

/// Why a conversation ended.
#[derive(Debug, thiserror::Error)]
pub enum WireError {
    /// The other side closed the socket between two messages.
    #[error("the other side closed the connection")]
    Closed,
    /// The socket failed, also in the middle of a message.
    #[error("the connection failed: {0}")]
    Io(#[from] io::Error),
    /// A length over [`MAX_FRAME`].
    #[error("a message of {0} bytes is over the limit of {MAX_FRAME}")]
    TooLong(usize),
    /// Bytes that are no message.
    #[error("a message does not decode: {0}")]
    Malformed(postcard::Error),
    /// Bytes behind the message.
    #[error("{0} bytes too many behind a message")]
    Trailing(usize),
}

/// What one side sends. The codec of each is compiled here, once: both sides name operations, and a copy in each of their
/// crates would be a tenth of a megabyte of the CNI binary.
pub trait Message: Sized {
    /// Its body behind `head`.
    fn write(&self, head: Vec<u8>) -> Result<Vec<u8>, postcard::Error>;

    /// A message, and the bytes behind it.
    fn read(body: &[u8]) -> Result<(Self, &[u8]), postcard::Error>;
}

macro_rules! messages {
    ($($message:ty),*) => {$(
        impl Message for $message {
            #[inline(never)]
            fn write(&self, head: Vec<u8>) -> Result<Vec<u8>, postcard::Error> {
                postcard::to_extend(self, head)
            }

            #[inline(never)]
            fn read(body: &[u8]) -> Result<(Self, &[u8]), postcard::Error> {
                postcard::take_from_bytes(body)
            }
        }
    )*};
}

messages!(ToBroker, ToSandbox, Call, Subject, Question<'_>);

/// The frame of `message`: length and body in one buffer, so that one write sends it.
pub fn encode<T: Message>(message: &T) -> Result<Vec<u8>, WireError> {
    let mut frame = message.write(vec![0; 4]).map_err(WireError::Malformed)?;
    let body = frame.len() - 4;
    match u32::try_from(body) {
        Ok(length) if body <= MAX_FRAME => {
            for (to, from) in frame.iter_mut().zip(length.to_le_bytes()) {
                *to = from;
            }
            Ok(frame)
        }
        _ => Err(WireError::TooLong(body)),
    }
}

/// The message in the body of a frame.
pub fn decode<T: Message>(body: &[u8]) -> Result<T, WireError> {
    let (message, rest) = T::read(body).map_err(WireError::Malformed)?;
    if rest.is_empty() { Ok(message) } else { Err(WireError::Trailing(rest.len())) }
}

/// Sends one message.
pub fn send<T: Message>(to: &mut impl Write, message: &T) -> Result<(), WireError> {
    Ok(to.write_all(&encode(message)?)?)
}

/// Collects the bytes of a stream into messages. A short message costs one read, a long one a few.
#[derive(Debug, Default)]
pub struct Frames {
    buffer: Vec<u8>,
}

impl Frames {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The next message that is complete already.
    pub fn pop<T: Message>(&mut self) -> Result<Option<T>, WireError> {
        let Some((head, rest)) = self.buffer.split_first_chunk::<4>() else { return Ok(None) };
        let length = u32::from_le_bytes(*head) as usize;
        if length > MAX_FRAME {
            return Err(WireError::TooLong(length));
        }
        let Some(body) = rest.get(..length) else { return Ok(None) };
        let message = decode(body)?;
        self.buffer.drain(..4 + length);
        Ok(Some(message))
    }

    /// How many bytes the next message is known to want yet.
    fn missing(&self) -> usize {
        let head = self.buffer.first_chunk::<4>();
        let whole =
            head.map_or(0, |head| (u32::from_le_bytes(*head) as usize).min(MAX_FRAME).saturating_add(4));
        whole.saturating_sub(self.buffer.len())
    }

    /// Reads once. `Closed` at the end of the stream.
    pub fn fill(&mut self, from: &mut impl Read) -> Result<(), WireError> {
        // Most messages have less than a hundred bytes, and what is offered is zeroed first. Of a long one no more is offered
        // than four times what has come of it: to promise much costs the other side as much.
        let mut few = [0; 2048];
        let mut many;
        let offer = self.missing().min(4 * self.buffer.len());
        let chunk = if offer <= few.len() {
            few.as_mut_slice()
        } else {
            many = vec![0; offer];
            many.as_mut_slice()
        };
        let read = loop {
            match from.read(chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        match chunk.get(..read) {
            Some([]) | None if self.buffer.is_empty() => Err(WireError::Closed),
            Some([]) | None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            Some(bytes) => {
                self.buffer.extend_from_slice(bytes);
                Ok(())
            }
        }
    }

    /// Waits for the next message.
    pub fn receive<T: Message>(&mut self, from: &mut impl Read) -> Result<T, WireError> {
        loop {
            if let Some(message) = self.pop()? {
                return Ok(message);
            }
            self.fill(from)?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::KernelOp;
    use crate::Ns;
    use crate::links::LinkOp;
    use crate::logging::Level;

    fn sample() -> ToBroker {
        ToBroker::Op(Op::Kernel(KernelOp::Link(LinkOp::Get { ns: Ns::Host, name: "cni0".into() })))
    }

    #[test]
    fn messages_survive_any_cut_of_the_stream() {
        let mut bytes = Vec::new();
        for _ in 0..3 {
            send(&mut bytes, &sample()).unwrap();
        }
        for cut in 1..bytes.len() {
            let (a, b) = bytes.split_at(cut);
            let mut stream = a.chain(b);
            let mut frames = Frames::new();
            for _ in 0..3 {
                assert_eq!(frames.receive::<ToBroker>(&mut stream).unwrap(), sample());
            }
            assert!(matches!(frames.receive::<ToBroker>(&mut stream), Err(WireError::Closed)));
        }
    }

    #[test]
    fn a_long_message_is_read_in_few_pieces() {
        struct Counted<'a>(&'a [u8], usize);
        impl Read for Counted<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.1 += 1;
                self.0.read(into)
            }
        }
        let line = LogLine { level: Level::Info, message: "x".repeat(1 << 20), fields: Vec::new() };
        let mut bytes = encode(&ToBroker::Log(line.clone())).unwrap();
        bytes.extend(encode(&sample()).unwrap());
        let (mut stream, mut frames) = (Counted(&bytes, 0), Frames::new());
        assert_eq!(frames.receive::<ToBroker>(&mut stream).unwrap(), ToBroker::Log(line));
        assert_eq!(frames.receive::<ToBroker>(&mut stream).unwrap(), sample());
        assert!(stream.1 <= 12, "{} reads", stream.1);
    }

    #[test]
    fn a_promise_alone_gets_no_memory() {
        struct Dribble<'a>(&'a [u8], usize);
        impl Read for Dribble<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                self.1 = self.1.max(into.len());
                let end = into.len().min(1);
                self.0.read(&mut into[..end])
            }
        }
        let bytes = [u32::try_from(MAX_FRAME).unwrap().to_le_bytes().as_slice(), &[0; 100]].concat();
        let (mut stream, mut frames) = (Dribble(&bytes, 0), Frames::new());
        assert!(frames.receive::<ToBroker>(&mut stream).is_err());
        assert_eq!(stream.1, 2048, "the most that was offered for a byte");
    }

    #[test]
    fn a_stream_that_ends_inside_a_message_is_not_a_clean_end() {
        let frame = encode(&sample()).unwrap();
        let mut frames = Frames::new();
        let result = frames.receive::<ToBroker>(&mut &frame[..frame.len() - 1]);
        assert!(matches!(result, Err(WireError::Io(_))), "{result:?}");
    }

    #[test]
    fn a_length_over_the_limit_is_refused_before_it_is_read() {
        let mut frames = Frames::new();
        let bytes = u32::MAX.to_le_bytes();
        assert!(matches!(frames.receive::<ToBroker>(&mut &bytes[..]), Err(WireError::TooLong(_))));
    }

    #[test]
    fn trailing_bytes_are_refused() {
        let mut frame = encode(&sample()).unwrap();
        frame.push(0);
        frame[0] += 1;
        let mut frames = Frames::new();
        assert!(matches!(frames.receive::<ToBroker>(&mut &frame[..]), Err(WireError::Trailing(1))));
    }
}

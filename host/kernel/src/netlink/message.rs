//! Message framing: many messages in one buffer on the way out, a datagram cut into messages on the way in.

use super::attr::{Attributes, Builder, align};
use super::error::NetlinkError;

const HEADER: usize = 16;
/// NLM_F_CAPPED and NLM_F_ACK_TLVS of an NLMSG_ERROR.
const CAPPED: u16 = 0x100;
const ACK_TLVS: u16 = 0x200;
/// NLMSGERR_ATTR_MSG.
const ATTR_MSG: u16 = 1;

/// Messages on their way out, each with its own sequence number.
#[derive(Debug)]
pub(crate) struct Messages {
    builder: Builder,
    first: u32,
    count: u32,
}

impl Messages {
    /// None yet, in a buffer that is there; the first will have the sequence number `first`.
    pub(super) fn reusing(buffer: Vec<u8>, first: u32) -> Self {
        Self { builder: Builder::reusing(buffer), first, count: 0 }
    }

    /// One more. `flags` are taken as they are; answers its sequence number.
    pub(crate) fn push(&mut self, kind: u16, flags: u16, body: impl FnOnce(&mut Builder)) -> u32 {
        let sequence = self.first.wrapping_add(self.count);
        self.count += 1;
        let start = self.builder.bytes().len();
        let mut header = [0; HEADER];
        let fields = kind.to_ne_bytes().into_iter().chain(flags.to_ne_bytes()).chain(sequence.to_ne_bytes());
        for (to, from) in header.iter_mut().skip(4).zip(fields) {
            *to = from;
        }
        self.builder.raw(&header);
        body(&mut self.builder);
        // 4 GiB are never reached: an attribute holds 64 KiB and the socket refuses far less.
        let length = u32::try_from(self.builder.bytes().len() - start).unwrap_or(u32::MAX);
        self.builder.patch(start, &length.to_ne_bytes());
        sequence
    }

    /// How many.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The sequence number of the first.
    pub(crate) fn first(&self) -> u32 {
        self.first
    }

    /// What goes through send(2).
    pub(crate) fn bytes(&self) -> Result<&[u8], NetlinkError> {
        if self.builder.overflowed() { Err(NetlinkError::TooLong) } else { Ok(self.builder.bytes()) }
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.builder.into_bytes()
    }
}

/// One message as it was received.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    /// RTM_NEWLINK, ...
    pub(crate) kind: u16,
    /// NLM_F_*.
    pub(crate) flags: u16,
    /// Of the request that it answers; 0 for an event.
    pub(crate) sequence: u32,
    /// Behind the netlink header.
    pub(crate) payload: &'a [u8],
}

impl<'a> Message<'a> {
    /// The attributes behind the protocol's own header of `header` bytes.
    pub(crate) fn attributes(&self, header: usize) -> Attributes<'a> {
        Attributes::behind(header, self.payload)
    }

    /// The fixed header's bytes from `at`.
    pub(crate) fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.payload.get(at..)?.first_chunk().copied()
    }

    /// What an NLMSG_ERROR says: success, or why not.
    pub(crate) fn acknowledgement(&self) -> Result<(), NetlinkError> {
        let code =
            self.bytes(0).map(i32::from_ne_bytes).ok_or(NetlinkError::Malformed("a short NLMSG_ERROR"))?;
        if code == 0 {
            return Ok(());
        }
        let text = (self.flags & ACK_TLVS != 0).then(|| self.extended_text()).flatten();
        Err(NetlinkError::Refused { errno: code.saturating_neg(), text, sequence: self.sequence })
    }

    /// What an NLMSG_DONE says.
    pub(super) fn end_of_dump(&self) -> Result<(), NetlinkError> {
        match self.bytes(0).map(i32::from_ne_bytes) {
            Some(code) if code < 0 => {
                let text = Attributes::behind(4, self.payload).find(ATTR_MSG);
                let text = text.and_then(|attribute| attribute.text().map(str::to_owned));
                Err(NetlinkError::Refused { errno: code.saturating_neg(), text, sequence: self.sequence })
            }
            _ => Ok(()),
        }
    }

    fn extended_text(&self) -> Option<String> {
        // Behind the errno the kernel repeats the request: its header alone if capped.
        let repeated = if self.flags & CAPPED != 0 {
            HEADER
        } else {
            self.bytes(4).map(u32::from_ne_bytes).and_then(|length| usize::try_from(length).ok())?
        };
        let attributes = self.payload.get(4_usize.checked_add(align(repeated.min(self.payload.len())))?..)?;
        Some(Attributes::new(attributes).find(ATTR_MSG)?.text()?.to_owned())
    }
}

/// The messages in one datagram.
pub(super) struct Datagram<'a> {
    rest: &'a [u8],
}

impl<'a> Datagram<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }
}

impl<'a> Iterator for Datagram<'a> {
    type Item = Result<Message<'a>, NetlinkError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let bytes = std::mem::take(&mut self.rest);
        let field = |at: usize| bytes.get(at..).and_then(|bytes| bytes.first_chunk::<4>()).copied();
        let (Some(length), Some([a, b, c, d]), Some(sequence)) = (field(0), field(4), field(8)) else {
            return Some(Err(NetlinkError::Malformed("a short header")));
        };
        let length = usize::try_from(u32::from_ne_bytes(length)).unwrap_or(usize::MAX);
        let Some(payload) = bytes.get(HEADER..length) else {
            return Some(Err(NetlinkError::Malformed("a length that does not fit")));
        };
        self.rest = bytes.get(align(length)..).unwrap_or_default();
        Some(Ok(Message {
            kind: u16::from_ne_bytes([a, b]),
            flags: u16::from_ne_bytes([c, d]),
            sequence: u32::from_ne_bytes(sequence),
            payload,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two() -> Vec<u8> {
        let mut messages = Messages::reusing(Vec::new(), 7);
        assert_eq!(
            messages.push(16, 5, |body| {
                body.raw(&[1; 16]).u32(1, 2);
            }),
            7
        );
        assert_eq!(
            messages.push(17, 1, |body| {
                body.raw(&[2; 4]);
            }),
            8
        );
        messages.bytes().unwrap().to_vec()
    }

    #[test]
    fn messages_come_out_as_they_went_in() {
        let bytes = two();
        let read: Vec<Message<'_>> = Datagram::new(&bytes).map(Result::unwrap).collect();
        assert_eq!(read.len(), 2);
        assert_eq!((read[0].kind, read[0].flags, read[0].sequence), (16, 5, 7));
        assert_eq!(read[0].attributes(16).find(1).unwrap().u32(), Some(2));
        assert_eq!((read[1].kind, read[1].flags, read[1].sequence, read[1].payload), (17, 1, 8, &[2; 4][..]));
    }

    #[test]
    fn hostile_datagrams_are_errors_and_end() {
        let bytes = two();
        for cut in 1..bytes.len() {
            for message in Datagram::new(&bytes[..cut]).flatten() {
                let _ = (message.acknowledgement(), message.end_of_dump());
            }
        }
        for length in [0_u32, 1, 15, 1000, u32::MAX] {
            let mut bytes = bytes.clone();
            bytes[..4].copy_from_slice(&length.to_ne_bytes());
            assert!(Datagram::new(&bytes).next().unwrap().is_err(), "{length}");
            assert_eq!(Datagram::new(&bytes).count(), 1, "{length}");
        }
    }

    #[test]
    fn the_text_of_an_extended_acknowledgement_is_found_capped_or_not() {
        for (flags, repeated) in [
            (ACK_TLVS | CAPPED, vec![0; 16]),
            (ACK_TLVS, vec![24, 0, 0, 0].into_iter().chain([0; 20]).collect()),
        ] {
            if cfg!(target_endian = "big") {
                continue;
            }
            let mut builder = Builder::default();
            builder.raw(&(-17_i32).to_ne_bytes()).raw(&repeated).text(ATTR_MSG, "no way");
            let message = Message { kind: 2, flags, sequence: 3, payload: builder.bytes() };
            let wanted = NetlinkError::Refused { errno: 17, text: Some("no way".into()), sequence: 3 };
            assert_eq!(message.acknowledgement(), Err(wanted));
        }
    }

    #[test]
    fn a_lying_extended_acknowledgement_has_no_text() {
        let mut payload = (-1_i32).to_ne_bytes().to_vec();
        payload.extend(u32::MAX.to_ne_bytes());
        payload.extend([0; 12]);
        let message = Message { kind: 2, flags: ACK_TLVS, sequence: 3, payload: &payload };
        assert!(matches!(message.acknowledgement(), Err(NetlinkError::Refused { errno: 1, text: None, .. })));
        let message = Message { kind: 2, flags: 0, sequence: 3, payload: &[0, 0] };
        assert!(matches!(message.acknowledgement(), Err(NetlinkError::Malformed(_))));
    }
}

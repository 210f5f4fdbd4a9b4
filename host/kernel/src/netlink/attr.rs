//! Netlink attributes: a builder that pads and nests, a parser that no bytes can make panic.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use netlink_packet_core::Emitable;

/// NLA_F_NESTED.
const NESTED: u16 = 0x8000;
/// The bits of an attribute's type that are its number.
const TYPE_MASK: u16 = 0x3fff;
const HEADER: usize = 4;

/// Rounds up to the alignment of messages and attributes.
pub(crate) const fn align(length: usize) -> usize {
    (length + 3) & !3
}

/// Appends headers and attributes to a message. A length that does not fit is remembered and refused at sending.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    bytes: Vec<u8>,
    overflow: bool,
}

impl Builder {
    /// One that keeps the capacity of `bytes`.
    pub(crate) fn reusing(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, overflow: false }
    }

    /// What was built so far.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether an attribute or a message was too long for its length field.
    pub(crate) fn overflowed(&self) -> bool {
        self.overflow
    }

    /// Gives the buffer back.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// A fixed part, padded.
    pub(crate) fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.bytes.extend_from_slice(bytes);
        self.pad()
    }

    /// A message of `netlink-packet-route`, or one of its attributes.
    pub(crate) fn emit(&mut self, part: &impl Emitable) -> &mut Self {
        let start = self.bytes.len();
        self.bytes.resize(start + part.buffer_len(), 0);
        if let Some(room) = self.bytes.get_mut(start..) {
            part.emit(room);
        }
        self.pad()
    }

    /// Any attribute.
    pub(crate) fn attribute(&mut self, kind: u16, value: &[u8]) -> &mut Self {
        self.header(kind, value.len());
        self.raw(value)
    }

    /// One byte.
    pub(crate) fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.attribute(kind, &[value])
    }

    /// Native order.
    pub(crate) fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Native order.
    pub(crate) fn u64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
    }

    /// Network order.
    pub(crate) fn be16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Network order.
    pub(crate) fn be32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Network order.
    pub(crate) fn be64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.attribute(kind, &value.to_be_bytes())
    }

    /// Text with the NUL that the kernel wants behind it.
    pub(crate) fn text(&mut self, kind: u16, value: &str) -> &mut Self {
        self.header(kind, value.len() + 1);
        self.bytes.extend_from_slice(value.as_bytes());
        self.raw(&[0])
    }

    /// An attribute of attributes, marked as such.
    pub(crate) fn nested(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.nested_plain(kind | NESTED, fill)
    }

    /// An attribute of attributes without the mark, where the kernel's policy predates it.
    pub(crate) fn nested_plain(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.bytes.len();
        self.header(kind, 0);
        fill(self);
        let length = self.bytes.len() - start;
        match u16::try_from(length) {
            Ok(length) => self.patch(start, &length.to_ne_bytes()),
            Err(_) => self.overflow = true,
        }
        self
    }

    /// Overwrites bytes that are there already, as a length that is known late.
    pub(super) fn patch(&mut self, at: usize, bytes: &[u8]) {
        match self.bytes.get_mut(at..at + bytes.len()) {
            Some(room) => room.copy_from_slice(bytes),
            None => self.overflow = true,
        }
    }

    fn header(&mut self, kind: u16, value_length: usize) {
        let length = u16::try_from(HEADER + value_length).unwrap_or_else(|_| {
            self.overflow = true;
            u16::MAX
        });
        self.bytes.extend_from_slice(&length.to_ne_bytes());
        self.bytes.extend_from_slice(&kind.to_ne_bytes());
    }

    fn pad(&mut self) -> &mut Self {
        self.bytes.resize(align(self.bytes.len()), 0);
        self
    }
}

/// One attribute as it was received. Every reader answers none when the bytes do not fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attribute<'a> {
    /// Its number, without the flags.
    pub(crate) kind: u16,
    /// What is in it.
    pub(crate) value: &'a [u8],
}

impl<'a> Attribute<'a> {
    /// The first byte.
    pub(crate) fn u8(&self) -> Option<u8> {
        self.value.first().copied()
    }

    /// Native order.
    pub(crate) fn u32(&self) -> Option<u32> {
        self.value.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
    }

    /// Native order.
    pub(crate) fn u64(&self) -> Option<u64> {
        self.value.first_chunk().map(|bytes| u64::from_ne_bytes(*bytes))
    }

    /// Network order.
    pub(crate) fn be16(&self) -> Option<u16> {
        self.value.first_chunk().map(|bytes| u16::from_be_bytes(*bytes))
    }

    /// Network order.
    pub(crate) fn be32(&self) -> Option<u32> {
        self.value.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
    }

    /// Network order.
    pub(crate) fn be64(&self) -> Option<u64> {
        self.value.first_chunk().map(|bytes| u64::from_be_bytes(*bytes))
    }

    /// Text up to the first NUL.
    pub(crate) fn text(&self) -> Option<&'a str> {
        std::str::from_utf8(self.value.split(|byte| *byte == 0).next()?).ok()
    }

    /// An address, of the family that its length tells.
    pub(crate) fn ip(&self) -> Option<IpAddr> {
        if let Ok(v4) = <[u8; 4]>::try_from(self.value) {
            return Some(IpAddr::V4(Ipv4Addr::from(v4)));
        }
        <[u8; 16]>::try_from(self.value).ok().map(|v6| IpAddr::V6(Ipv6Addr::from(v6)))
    }

    /// The attributes in it.
    pub(crate) fn nested(&self) -> Attributes<'a> {
        Attributes::new(self.value)
    }
}

/// The attributes in a run of bytes. Ends at the first that does not fit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Attributes<'a> {
    rest: &'a [u8],
}

impl<'a> Attributes<'a> {
    /// Over `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Behind a fixed header of `header` bytes.
    pub(crate) fn behind(header: usize, payload: &'a [u8]) -> Self {
        Self { rest: payload.get(align(header)..).unwrap_or_default() }
    }

    /// The first of that kind.
    pub(crate) fn find(mut self, kind: u16) -> Option<Attribute<'a>> {
        Iterator::find(&mut self, |attribute| attribute.kind == kind)
    }
}

#[allow(clippy::copy_iterator, reason = "a slice; looking something up must not use it up")]
impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let ([a, b, c, d], _) = self.rest.split_first_chunk::<HEADER>()?;
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        let kind = u16::from_ne_bytes([*c, *d]) & TYPE_MASK;
        let Some(value) = self.rest.get(HEADER..length) else {
            self.rest = &[];
            return None;
        };
        self.rest = self.rest.get(align(length)..).unwrap_or_default();
        Some(Attribute { kind, value })
    }
}

#[cfg(test)]
mod tests;

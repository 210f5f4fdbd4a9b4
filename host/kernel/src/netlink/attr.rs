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

    /// An attribute without a value.
    pub(crate) fn flag(&mut self, kind: u16) -> &mut Self {
        self.attribute(kind, &[])
    }

    /// One byte.
    pub(crate) fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.attribute(kind, &[value])
    }

    /// Native order.
    pub(crate) fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.attribute(kind, &value.to_ne_bytes())
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

    /// An address in the bytes of its family.
    pub(crate) fn ip(&mut self, kind: u16, value: IpAddr) -> &mut Self {
        match value {
            IpAddr::V4(v4) => self.attribute(kind, &v4.octets()),
            IpAddr::V6(v6) => self.attribute(kind, &v6.octets()),
        }
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
    pub(crate) fn u16(&self) -> Option<u16> {
        self.value.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
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
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_read_back() {
        let mut builder = Builder::default();
        builder.u8(1, 7).u16(2, 300).be32(3, 0x0102_0304).text(4, "eth0");
        builder.nested(5, |inside| {
            inside.ip(1, "10.0.0.1".parse().unwrap()).ip(2, "fd00::1".parse().unwrap()).u64(3, u64::MAX);
        });
        assert_eq!(builder.bytes().len() % 4, 0);
        assert!(!builder.overflowed());
        let attributes = Attributes::new(builder.bytes());
        assert_eq!(attributes.find(1).unwrap().u8(), Some(7));
        assert_eq!(attributes.find(2).unwrap().u16(), Some(300));
        assert_eq!(attributes.find(3).unwrap().be32(), Some(0x0102_0304));
        assert_eq!(attributes.find(4).unwrap().text(), Some("eth0"));
        let nested = attributes.find(5).unwrap().nested();
        assert_eq!(nested.find(1).unwrap().ip(), Some("10.0.0.1".parse().unwrap()));
        assert_eq!(nested.find(2).unwrap().ip(), Some("fd00::1".parse().unwrap()));
        assert_eq!(nested.find(3).unwrap().u64(), Some(u64::MAX));
        assert_eq!(attributes.count(), 5);
    }

    #[test]
    fn the_bytes_are_those_of_the_kernel() {
        let mut builder = Builder::default();
        builder.text(1, "tbf").nested(2, |inside| {
            inside.u32(6, 0x0a0b_0c0d);
        });
        let mut wanted = vec![8, 0, 1, 0, b't', b'b', b'f', 0, 12, 0, 2, 0x80, 8, 0, 6, 0];
        wanted.extend(0x0a0b_0c0d_u32.to_ne_bytes());
        if cfg!(target_endian = "little") {
            assert_eq!(builder.bytes(), wanted);
        }
    }

    #[test]
    fn hostile_lengths_end_the_iteration() {
        for bytes in [
            &[][..],
            &[4],
            &[4, 0, 1],
            &[0, 0, 1, 0, 9, 9, 9, 9],
            &[3, 0, 1, 0],
            &[9, 0, 1, 0, 1, 2, 3, 4],
            &[0xff, 0xff, 1, 0, 1, 2, 3, 4],
        ] {
            assert_eq!(Attributes::new(bytes).count(), 0, "{bytes:?}");
        }
        assert_eq!(Attributes::behind(16, &[1, 2, 3]).count(), 0);
        // The last attribute may lack its padding.
        assert_eq!(Attributes::new(&[5, 0, 1, 0, 7]).next().unwrap().u8(), Some(7));
    }

    #[test]
    fn every_truncation_and_every_flipped_byte_is_survived() {
        let mut builder = Builder::default();
        builder.u32(1, 9).text(2, "abcdef").nested(3, |inside| {
            inside.u16(1, 2).nested(2, |deeper| {
                deeper.u8(9, 9);
            });
        });
        let walk = |bytes: &[u8]| {
            for attribute in Attributes::new(bytes) {
                let _ = (attribute.u8(), attribute.u16(), attribute.u32(), attribute.u64(), attribute.be16());
                let _ = (attribute.be32(), attribute.be64(), attribute.text(), attribute.ip());
                for inner in attribute.nested() {
                    let _ = (inner.u32(), inner.nested().count());
                }
            }
        };
        for end in 0..builder.bytes().len() {
            walk(&builder.bytes()[..end]);
            for value in [0, 1, 3, 4, 0x7f, 0x80, 0xff] {
                let mut bytes = builder.bytes().to_vec();
                bytes[end] = value;
                walk(&bytes);
            }
        }
    }

    #[test]
    fn short_values_answer_none() {
        let attribute = Attribute { kind: 1, value: &[1] };
        assert_eq!((attribute.u16(), attribute.u32(), attribute.u64(), attribute.ip()), (None, None, None, None));
        assert_eq!(Attribute { kind: 1, value: &[0xff, 0xfe] }.text(), None);
        assert_eq!(Attribute { kind: 1, value: &[] }.text(), Some(""));
    }

    #[test]
    fn a_value_over_64_kib_is_remembered() {
        let mut builder = Builder::default();
        builder.attribute(1, &vec![0; 70_000]);
        assert!(builder.overflowed());
        let mut builder = Builder::default();
        builder.nested(1, |inside| {
            for _ in 0..3 {
                inside.attribute(1, &vec![0; 30_000]);
            }
        });
        assert!(builder.overflowed());
    }
}

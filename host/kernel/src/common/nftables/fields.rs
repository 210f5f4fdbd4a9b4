//! Conditions on fields of the IP header and on the type of an address.

use wharf_ops::Error;

use crate::common::grammar::{Words, bad};

use super::conditions::{each, unknown};
use super::expr::{Comparison, Expr, Header, REG_1, Side};

/// RTN_* of the kernel.
const ADDRESS_TYPES: [(&str, u32); 9] = [
    ("unspec", 0),
    ("unicast", 1),
    ("local", 2),
    ("broadcast", 3),
    ("anycast", 4),
    ("multicast", 5),
    ("blackhole", 6),
    ("unreachable", 7),
    ("prohibit", 8),
];

/// Names of code points: class selectors, assured and expedited forwarding, voice-admit.
const CODE_POINTS: [(&str, u8); 22] = [
    ("cs0", 0),
    ("cs1", 8),
    ("cs2", 16),
    ("cs3", 24),
    ("cs4", 32),
    ("cs5", 40),
    ("cs6", 48),
    ("cs7", 56),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("va", 44),
    ("ef", 46),
];

/// A number in the IP header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    what: &'static str,
    offset: u32,
    /// The bytes that it is in, and by how much it is shifted there.
    mask: &'static [u8],
    shift: u32,
    highest: u8,
    names: &'static [(&'static str, u8)],
}

impl Field {
    /// `ip ttl` or `ip6 hoplimit`.
    pub(super) const fn hops(v4: bool) -> Self {
        let offset = if v4 { 8 } else { 7 };
        Self { what: "hop limit", offset, mask: &[0xff], shift: 0, highest: u8::MAX, names: &[] }
    }

    /// `ip dscp` or `ip6 dscp`.
    pub(super) const fn code_point(v4: bool) -> Self {
        let (offset, mask, shift): (_, &[u8], _) = if v4 { (1, &[0xfc], 2) } else { (0, &[0x0f, 0xc0], 6) };
        Self { what: "code point", offset, mask, shift, highest: 63, names: &CODE_POINTS }
    }

    /// What is behind the field's name.
    pub(super) fn condition(&self, rest: &mut Words<'_>) -> Result<Vec<Vec<Expr>>, Error> {
        let (below, with_limit) = match rest.peek() {
            Some("<" | "lt") => (true, false),
            Some("<=" | "le") => (true, true),
            Some(">" | "gt") => (false, false),
            Some(">=" | "ge") => (false, true),
            _ => return each(rest, self.what, &[], |comparison, text| self.compare(comparison, text)),
        };
        rest.next();
        let text = rest.value(self.what)?;
        let limit = self.parse(text)?;
        let range = match (below, with_limit) {
            (true, true) => Some((0, limit)),
            (true, false) => limit.checked_sub(1).map(|to| (0, to)),
            (false, true) => Some((limit, self.highest)),
            (false, false) => limit.checked_add(1).map(|from| (from, self.highest)),
        };
        let range = range.filter(|(from, to)| from <= to);
        let (from, to) = range.ok_or_else(|| {
            Error::invalid(format!("no {} is {} {text:?}", self.what, if below { "below" } else { "above" }))
        })?;
        Ok(vec![self.range(Comparison::Equal, from, to)])
    }

    fn compare(&self, comparison: Comparison, text: &str) -> Result<Vec<Expr>, Error> {
        if let Some((from, to)) = text.split_once('-') {
            let (from, to) = (self.parse(from)?, self.parse(to)?);
            return if from > to { Err(bad("range", text)) } else { Ok(self.range(comparison, from, to)) };
        }
        let value = self.bytes(self.parse(text)?);
        Ok(self.load().into_iter().chain([Expr::Compare(comparison, value)]).collect())
    }

    fn range(&self, comparison: Comparison, from: u8, to: u8) -> Vec<Expr> {
        let range = Expr::Range { comparison, from: self.bytes(from), to: self.bytes(to) };
        self.load().into_iter().chain([range]).collect()
    }

    fn load(&self) -> Vec<Expr> {
        let len = u32::try_from(self.mask.len()).unwrap_or(0);
        let mut exprs =
            vec![Expr::Payload { header: Header::Network, offset: self.offset, len, register: REG_1 }];
        if self.mask.iter().any(|byte| *byte != 0xff) {
            exprs.push(Expr::Mask(self.mask.to_vec()));
        }
        exprs
    }

    /// As they are in the packet.
    fn bytes(&self, value: u8) -> Vec<u8> {
        let [high, low] = (u16::from(value) << self.shift).to_be_bytes();
        if self.mask.len() == 1 { vec![low] } else { vec![high, low] }
    }

    fn parse(&self, text: &str) -> Result<u8, Error> {
        let named = self.names.iter().find(|(name, _)| *name == text).map(|(_, value)| *value);
        let number = match text.strip_prefix("0x") {
            Some(digits) => u8::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        named.or(number).filter(|value| *value <= self.highest).ok_or_else(|| bad(self.what, text))
    }
}

/// What is behind `fib`: `saddr type` or `daddr type`.
pub(super) fn address_type(rest: &mut Words<'_>) -> Result<Vec<Vec<Expr>>, Error> {
    let (of, what) = (rest.value("fib")?, rest.value("fib")?);
    let side = match (of, what) {
        ("saddr", "type") => Side::Source,
        ("daddr", "type") => Side::Destination,
        _ => return Err(unknown(&format!("fib {of} {what}"))),
    };
    each(rest, "type of address", &[], |comparison, text| {
        let (_, number) = ADDRESS_TYPES
            .iter()
            .find(|(name, _)| *name == text)
            .ok_or_else(|| bad("type of address", text))?;
        Ok(vec![Expr::AddressType(side), Expr::Compare(comparison, number.to_ne_bytes().to_vec())])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_points_are_where_the_header_has_them() {
        assert_eq!(Field::code_point(true).bytes(46), [0xb8]);
        assert_eq!(Field::code_point(false).bytes(46), [0x0b, 0x80]);
        assert_eq!(Field::code_point(false).bytes(63), [0x0f, 0xc0]);
        assert_eq!(Field::hops(true).bytes(255), [255]);
    }

    #[test]
    fn values_are_names_or_numbers_that_fit() {
        let point = Field::code_point(true);
        assert_eq!((point.parse("cs1").unwrap(), point.parse("0x2e").unwrap()), (8, 46));
        for text in ["64", "cs9", "-1", ""] {
            assert!(point.parse(text).unwrap_err().message.contains("code point"), "{text}");
        }
        assert_eq!(Field::hops(false).parse("255").unwrap(), 255);
    }
}

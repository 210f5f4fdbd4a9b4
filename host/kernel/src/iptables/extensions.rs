//! The extensions that only conditions use, as xtables takes them: `-m multiport`, `-m iprange`, `-m conntrack`.

use std::net::IpAddr;

use crate::nftables::expr::{Expr, Side, address, bytes};

use super::rule::{MULTIPORT_NUMBERS, Match, PortsOf};
use super::xt::{half, word, xt};

/// Where `pflags` is in struct xt_multiport_v1, behind flags, count and the ports; `invert` follows.
const MULTIPORT_FLAGS: usize = 2 + 2 * MULTIPORT_NUMBERS;
const MULTIPORT_INVERT: usize = MULTIPORT_FLAGS + MULTIPORT_NUMBERS;
/// A union nf_inet_addr, of which struct xt_iprange_mtinfo has four: the ends of the source, those of the destination.
const ADDRESS: usize = 16;
/// Where its `flags` are, and how long it is.
const RANGE_FLAGS: usize = 4 * ADDRESS;
const RANGE_SIZE: usize = 68;
/// Where `match_flags` is in struct xt_conntrack_mtinfo3; `invert_flags` and `state_mask` follow.
const STATE_FLAGS: usize = 146;
const STATE_SIZE: usize = 164;
/// XT_CONNTRACK_STATE, and XT_CONNTRACK_STATE_ALIAS, by which iptables prints `-m state`.
const STATE: u16 = 1;
const STATE_ALIAS: u16 = 1 << 13;

/// `struct xt_multiport_v1`.
pub(super) fn multiport(of: PortsOf, ranges: &[(u16, u16)], negated: bool) -> Expr {
    let mut numbers = Vec::new();
    for (from, to) in ranges {
        // A flag on the first number: the range ends with the next one.
        numbers.push((*from, from != to));
        if from != to {
            numbers.push((*to, false));
        }
    }
    numbers.truncate(MULTIPORT_NUMBERS);
    let mut info = vec![of as u8, u8::try_from(numbers.len()).unwrap_or(0)];
    info.extend(numbers.iter().flat_map(|(number, _)| number.to_ne_bytes()));
    info.resize(MULTIPORT_FLAGS, 0);
    info.extend(numbers.iter().map(|(_, begins)| u8::from(*begins)));
    info.resize(MULTIPORT_INVERT, 0);
    info.push(u8::from(negated));
    xt("multiport", 1, info)
}

/// The match in it.
pub(super) fn read_multiport(info: &[u8]) -> Option<Match> {
    let of = match *info.first()? {
        0 => PortsOf::Source,
        1 => PortsOf::Destination,
        2 => PortsOf::Either,
        _ => return None,
    };
    let count = usize::from(*info.get(1)?).min(MULTIPORT_NUMBERS);
    let mut ranges = Vec::new();
    let mut index = 0;
    while index < count {
        let from = half(info, 2 + index * 2)?;
        let begins = *info.get(MULTIPORT_FLAGS + index)? != 0;
        index += usize::from(begins);
        ranges.push((from, half(info, 2 + index * 2)?));
        index += 1;
    }
    Some(Match::Multiport { of, ranges, negated: *info.get(MULTIPORT_INVERT)? != 0 })
}

/// The flag of a side in struct xt_iprange_mtinfo, and the one that inverts it.
fn range_flags(side: Side) -> (u8, u8) {
    match side {
        Side::Source => (1, 1 << 4),
        Side::Destination => (1 << 1, 1 << 5),
    }
}

/// `struct xt_iprange_mtinfo`.
pub(super) fn range(side: Side, from: IpAddr, to: IpAddr, negated: bool) -> Expr {
    let mut info = vec![0; if side == Side::Source { 0 } else { 2 * ADDRESS }];
    for end in [from, to] {
        let next = info.len() + ADDRESS;
        info.extend(bytes(end));
        info.resize(next, 0);
    }
    info.resize(RANGE_FLAGS, 0);
    let (used, inverted) = range_flags(side);
    info.push(used | if negated { inverted } else { 0 });
    info.resize(RANGE_SIZE, 0);
    xt("iprange", 1, info)
}

/// The one or two matches in it.
pub(super) fn read_range(info: &[u8], v4: bool) -> Option<Vec<Match>> {
    let flags = *info.get(RANGE_FLAGS)?;
    let end = |at: usize| address(info.get(at..at + if v4 { 4 } else { ADDRESS })?);
    let mut matches = Vec::new();
    for (side, at) in [(Side::Source, 0), (Side::Destination, 2 * ADDRESS)] {
        let (used, inverted) = range_flags(side);
        if flags & used != 0 {
            let (from, to) = (end(at)?, end(at + ADDRESS)?);
            matches.push(Match::Range { side, from, to, negated: flags & inverted != 0 });
        }
    }
    Some(matches)
}

/// `struct xt_conntrack_mtinfo3`, of which nothing but the state is looked at.
pub(super) fn state(bits: u16, negated: bool) -> Expr {
    let mut info = vec![0; STATE_FLAGS];
    for field in [STATE, if negated { STATE } else { 0 }, bits] {
        info.extend(field.to_ne_bytes());
    }
    info.resize(STATE_SIZE, 0);
    xt("conntrack", 3, info)
}

/// The match in it, unless it looks at more.
pub(super) fn read_state(info: &[u8]) -> Option<Match> {
    word(info, STATE_SIZE - 4)?;
    if half(info, STATE_FLAGS)? & !STATE_ALIAS != STATE {
        return None;
    }
    let inverted = half(info, STATE_FLAGS + 2)?;
    Some(Match::State { bits: half(info, STATE_FLAGS + 4)?, negated: inverted & STATE != 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(expr: Expr) -> Vec<u8> {
        let Expr::Match { info, .. } = expr else { panic!() };
        info
    }

    #[test]
    fn as_iptables_writes_them() {
        // ! --sports 1:5,9
        let mut wanted = vec![0, 3, 1, 0, 5, 0, 9, 0];
        wanted.resize(MULTIPORT_FLAGS, 0);
        wanted.push(1);
        wanted.resize(MULTIPORT_INVERT, 0);
        wanted.push(1);
        assert_eq!(info(multiport(PortsOf::Source, &[(1, 5), (9, 9)], true)), wanted);
        assert_eq!(wanted.len(), 48);

        // ! --ctstate NEW,UNTRACKED,INVALID,SNAT,DNAT
        let mut wanted = vec![0; 146];
        wanted.extend([1, 0, 1, 0, 0xc9, 1]);
        wanted.resize(164, 0);
        assert_eq!(info(state(0x1c9, true)), wanted);

        // ! --dst-range 192.0.2.4-192.0.2.5
        let mut wanted = vec![0; 32];
        wanted.extend([192, 0, 2, 4]);
        wanted.resize(48, 0);
        wanted.extend([192, 0, 2, 5]);
        wanted.resize(64, 0);
        wanted.push(0x22);
        wanted.resize(68, 0);
        let (from, to) = ("192.0.2.4".parse().unwrap(), "192.0.2.5".parse().unwrap());
        assert_eq!(info(range(Side::Destination, from, to, true)), wanted);
    }

    #[test]
    fn what_looks_at_more_is_not_understood() {
        let mut more = info(state(8, false));
        assert_eq!(read_state(&more), Some(Match::State { bits: 8, negated: false }));
        more[STATE_FLAGS] |= 1 << 1;
        assert_eq!(read_state(&more), None);
        let of_both = {
            let mut info = info(range(Side::Source, [10, 0, 0, 1].into(), [10, 0, 0, 2].into(), false));
            info[RANGE_FLAGS] |= 2;
            info
        };
        assert_eq!(read_range(&of_both, true).unwrap().len(), 2);
    }

    #[test]
    fn any_bytes_can_be_read() {
        for fill in [0_u8, 1, 0xff] {
            for len in 0..180 {
                let bytes = vec![fill; len];
                let _ = (read_multiport(&bytes), read_range(&bytes, true), read_range(&bytes, false));
                let _ = read_state(&bytes);
            }
        }
    }
}

//! Rules of iptables as the expressions that iptables-nft uses, and back. Anything else in such a table would
//! make `iptables -S` fail for everybody on the host.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::nftables::conditions::name_bytes;
use crate::nftables::expr::{
    Comparison, Expr, Header, MetaKey, REG_1, Side, Verdict, address, address_offset, bytes, prefix_mask,
};
use crate::nftables::transaction::Compat;

use super::extensions;
use super::rule::{Match, Rule, Target, protocol_name};

/// RTN_LOCAL as a bit of xt_addrtype.
const TYPE_LOCAL: u16 = 1 << 2;
/// NF_NAT_RANGE_MAP_IPS and NF_NAT_RANGE_PROTO_SPECIFIED.
const RANGE_ADDRESS_AND_PORT: u32 = 3;
const COMMENT_SIZE: usize = 256;
const SCTP: u8 = 132;
/// Where `flags` is in struct xt_sctp_info; `invflags` follows.
const SCTP_FLAGS: usize = 284;
/// Where the four entries of `flag_info` begin, and how long one is. iptables makes each stand for no chunk type, and
/// compares it with what it would have written.
const SCTP_CHUNK_FLAGS: usize = 268;
const SCTP_CHUNK_FLAG: [u8; 3] = [0xff, 0, 0];

/// The expressions, and what the extensions need to know of the protocol.
pub(crate) fn encode(rule: &Rule, v4: bool) -> (Vec<Expr>, Option<Compat>) {
    let mut exprs = Vec::new();
    let mut compat = None;
    // The order of iptables-nft: what every rule can say comes first, extensions follow as they were given.
    for one in &rule.matches {
        if let Match::Interface { input: true, name, negated } = one {
            interface(&mut exprs, MetaKey::IifName, name, *negated);
        }
    }
    for one in &rule.matches {
        if let Match::Interface { input: false, name, negated } = one {
            interface(&mut exprs, MetaKey::OifName, name, *negated);
        }
    }
    for one in &rule.matches {
        if let Match::Protocol { number, negated } = one {
            exprs.push(Expr::Meta { key: MetaKey::L4Proto, register: REG_1 });
            exprs.push(Expr::Compare(comparison(*negated), vec![*number]));
            compat = Some(Compat { protocol: *number, inverted: *negated });
        }
    }
    for wanted in [Side::Source, Side::Destination] {
        for one in &rule.matches {
            if let Match::Address { side, network, negated } = one
                && *side == wanted
            {
                put_network(&mut exprs, *side, *network, *negated);
            }
        }
    }
    let mut ports_done = false;
    for one in &rule.matches {
        match one {
            Match::Interface { .. } | Match::Protocol { .. } | Match::Address { .. } => {}
            // One extension holds both sides.
            Match::Ports { .. } if ports_done => {}
            Match::Ports { .. } => {
                ports_done = true;
                exprs.push(ports(rule));
            }
            Match::Multiport { of, ranges, negated } => {
                exprs.push(extensions::multiport(*of, ranges, *negated));
            }
            Match::Range { side, from, to, negated } => {
                exprs.push(extensions::range(*side, *from, *to, *negated));
            }
            Match::State { bits, negated } => exprs.push(extensions::state(*bits, *negated)),
            Match::Mark { value, mask, negated } => {
                let info =
                    [value.to_ne_bytes(), mask.to_ne_bytes(), u32::from(*negated).to_le_bytes()].concat();
                exprs.push(xt("mark", 1, info));
            }
            Match::Local { side, negated } => {
                let type_of = |this| if *side == this { TYPE_LOCAL } else { 0 };
                let mut info = type_of(Side::Source).to_ne_bytes().to_vec();
                info.extend(type_of(Side::Destination).to_ne_bytes());
                let invert = match (negated, side) {
                    (false, _) => 0_u32,
                    (true, Side::Source) => 1,
                    (true, Side::Destination) => 2,
                };
                info.extend(invert.to_ne_bytes());
                exprs.push(xt("addrtype", 1, info));
            }
            Match::Comment(text) => {
                let mut info = text.as_bytes().to_vec();
                info.resize(COMMENT_SIZE, 0);
                exprs.push(xt("comment", 0, info));
            }
        }
    }
    exprs.push(Expr::Counter);
    exprs.push(put_target(&rule.target, v4));
    (exprs, compat)
}

pub(super) fn xt(name: &str, revision: u32, info: Vec<u8>) -> Expr {
    Expr::Match { name: name.into(), revision, info }
}

fn comparison(negated: bool) -> Comparison {
    if negated { Comparison::NotEqual } else { Comparison::Equal }
}

/// iptables compares a whole name with its NUL, and a beginning without.
fn interface(exprs: &mut Vec<Expr>, key: MetaKey, name: &str, negated: bool) {
    let Ok(mut data) = name_bytes(name, '+') else { return };
    if !name.ends_with('+') {
        data.truncate(name.len() + 1);
    }
    exprs.push(Expr::Meta { key, register: REG_1 });
    exprs.push(Expr::Compare(comparison(negated), data));
}

/// Whole bytes of a prefix are loaded alone, others are masked.
fn put_network(exprs: &mut Vec<Expr>, side: Side, network: IpNetwork, negated: bool) {
    let prefix = usize::from(network.prefix());
    if prefix == 0 {
        return;
    }
    let mut data = bytes(network.network());
    let whole = prefix.is_multiple_of(8);
    let offset = address_offset(network.is_ipv4(), side);
    if whole {
        data.truncate(prefix / 8);
    }
    let len = u32::try_from(data.len()).unwrap_or(0);
    exprs.push(Expr::Payload { header: Header::Network, offset, len, register: REG_1 });
    if !whole {
        exprs.push(Expr::Mask(prefix_mask(data.len(), network.prefix())));
    }
    exprs.push(Expr::Compare(comparison(negated), data));
}

/// `struct xt_tcp`, `struct xt_udp` or `struct xt_sctp_info`: the `-m tcp` that every iptables-nft can read.
fn ports(rule: &Rule) -> Expr {
    let mut sides = [(0_u16, u16::MAX, false); 2];
    for one in &rule.matches {
        if let Match::Ports { side, from, to, negated } = one {
            let [source, destination] = &mut sides;
            *(if *side == Side::Source { source } else { destination }) = (*from, *to, *negated);
        }
    }
    let [source, destination] = sides;
    let range = |(from, to, _): (u16, u16, bool)| [from.to_ne_bytes(), to.to_ne_bytes()].concat();
    let inverted = u8::from(source.2) | u8::from(destination.2) << 1;
    let protocol = rule.protocol().unwrap_or(0);
    if protocol == SCTP {
        // A side that is not looked at is zero. Flags: which of destination and source are, and which are inverted.
        let used = |side: (u16, u16, bool)| (side.0, side.1) != (0, u16::MAX);
        let ports = |side| if used(side) { range(side) } else { vec![0; 4] };
        let mut info = [ports(destination), ports(source)].concat();
        // Between them: 64 words of chunk types, which are not looked at.
        info.resize(SCTP_CHUNK_FLAGS, 0);
        info.extend(SCTP_CHUNK_FLAG.repeat(4));
        info.resize(SCTP_FLAGS, 0);
        let flags = u32::from(used(source)) | u32::from(used(destination)) << 1;
        info.extend(flags.to_ne_bytes());
        info.extend(u32::from(inverted).to_ne_bytes());
        return xt("sctp", 0, info);
    }
    let mut info = [range(source), range(destination)].concat();
    if protocol == 6 {
        info.extend([0, 0, 0]);
    }
    info.push(inverted);
    xt(protocol_name(protocol), 0, info)
}

fn put_target(target: &Target, v4: bool) -> Expr {
    let xt = |name: &str, revision, info| Expr::Target { name: name.into(), revision, info };
    match target {
        Target::Accept => Expr::Verdict(Verdict::Accept),
        Target::Jump(chain) => Expr::Verdict(Verdict::Jump(chain.clone())),
        // struct nf_nat_ipv4_multi_range_compat with one range, or struct nf_nat_range.
        Target::Masquerade if v4 => {
            let mut info = 1_u32.to_ne_bytes().to_vec();
            info.resize(20, 0);
            xt("MASQUERADE", 0, info)
        }
        Target::Masquerade => xt("MASQUERADE", 0, vec![0; 40]),
        Target::Mark(bits) => xt("MARK", 2, [bits.to_ne_bytes(), bits.to_ne_bytes()].concat()),
        Target::Dnat(to, port) => {
            // struct nf_nat_range2.
            let mut info = RANGE_ADDRESS_AND_PORT.to_ne_bytes().to_vec();
            for end in [20, 36] {
                info.extend(bytes(*to));
                info.resize(end, 0);
            }
            info.extend([port.to_be_bytes(), port.to_be_bytes()].concat());
            info.resize(44, 0);
            xt("DNAT", 2, info)
        }
    }
}

/// The rule in expressions, unless something in it is of no kind that Wharf makes.
pub(crate) fn decode(exprs: &[Expr], v4: bool) -> Option<Rule> {
    let mut matches = Vec::new();
    let mut rest = exprs;
    loop {
        rest = match rest {
            [target] => return Some(Rule { matches, target: read_target(target, v4)? }),
            [Expr::Counter, rest @ ..] => rest,
            [Expr::Meta { key: MetaKey::L4Proto, .. }, Expr::Compare(comparison, data), rest @ ..] => {
                let negated = *comparison == Comparison::NotEqual;
                matches.push(Match::Protocol { number: *data.first()?, negated });
                rest
            }
            [Expr::Meta { key, .. }, Expr::Compare(comparison, data), rest @ ..] => {
                let input = match key {
                    MetaKey::IifName => true,
                    MetaKey::OifName => false,
                    _ => return None,
                };
                let whole = data.last() == Some(&0);
                let name = String::from_utf8(data.split(|byte| *byte == 0).next()?.to_vec()).ok()?;
                let name = if whole { name } else { name + "+" };
                let negated = *comparison == Comparison::NotEqual;
                matches.push(Match::Interface { input, name, negated });
                rest
            }
            [
                Expr::Payload { header: Header::Network, offset, .. },
                Expr::Mask(mask),
                Expr::Compare(comparison, data),
                rest @ ..,
            ] => {
                let prefix = mask.iter().map(|byte| byte.count_ones()).sum();
                matches.push(read_network(*offset, data, prefix, *comparison, v4)?);
                rest
            }
            [
                Expr::Payload { header: Header::Network, offset, .. },
                Expr::Compare(comparison, data),
                rest @ ..,
            ] => {
                let prefix = u32::try_from(data.len() * 8).ok()?;
                matches.push(read_network(*offset, data, prefix, *comparison, v4)?);
                rest
            }
            // As newer iptables writes `-m tcp`.
            [
                Expr::Payload { header: Header::Transport, offset, .. },
                Expr::Compare(comparison, data),
                rest @ ..,
            ] => {
                let port = u16::from_be_bytes(data.as_slice().try_into().ok()?);
                let side = if *offset == 0 { Side::Source } else { Side::Destination };
                let negated = *comparison == Comparison::NotEqual;
                matches.push(Match::Ports { side, from: port, to: port, negated });
                rest
            }
            [Expr::Match { name, info, .. }, rest @ ..] => {
                read_match(&mut matches, name, info, v4)?;
                rest
            }
            _ => return None,
        }
    }
}

fn read_network(offset: u32, data: &[u8], prefix: u32, comparison: Comparison, v4: bool) -> Option<Match> {
    let side =
        [Side::Source, Side::Destination].into_iter().find(|side| address_offset(v4, *side) == offset)?;
    let mut data = data.to_vec();
    data.resize(if v4 { 4 } else { 16 }, 0);
    let network = IpNetwork::new(address(&data)?, u8::try_from(prefix).ok()?).ok()?;
    Some(Match::Address { side, network, negated: comparison == Comparison::NotEqual })
}

pub(super) fn word(info: &[u8], at: usize) -> Option<u32> {
    info.get(at..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

pub(super) fn half(info: &[u8], at: usize) -> Option<u16> {
    info.get(at..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}

fn read_match(matches: &mut Vec<Match>, name: &str, info: &[u8], v4: bool) -> Option<()> {
    match name {
        "comment" => {
            let text = info.split(|byte| *byte == 0).next()?.to_vec();
            matches.push(Match::Comment(String::from_utf8(text).ok()?));
        }
        "addrtype" => {
            for (side, at, bit) in [(Side::Source, 0, 1), (Side::Destination, 2, 2)] {
                match half(info, at)? {
                    0 => {}
                    TYPE_LOCAL => matches.push(Match::Local { side, negated: word(info, 4)? & bit != 0 }),
                    _ => return None,
                }
            }
        }
        "multiport" => matches.push(extensions::read_multiport(info)?),
        "iprange" => matches.extend(extensions::read_range(info, v4)?),
        "conntrack" => matches.push(extensions::read_state(info)?),
        "mark" => matches.push(Match::Mark {
            value: word(info, 0)?,
            mask: word(info, 4)?,
            negated: *info.get(8)? != 0,
        }),
        "tcp" | "udp" | "sctp" => {
            let (source, destination) = if name == "sctp" { (4, 0) } else { (0, 4) };
            let inverted = match name {
                "tcp" => *info.get(11)?,
                "udp" => *info.get(8)?,
                _ => u8::try_from(word(info, SCTP_FLAGS + 4)? & 3).ok()?,
            };
            for (side, at, bit) in [(Side::Source, source, 1), (Side::Destination, destination, 2)] {
                let (from, to) = (half(info, at)?, half(info, at + 2)?);
                let looked_at = if name == "sctp" {
                    word(info, SCTP_FLAGS)? & u32::from(bit) != 0
                } else {
                    (from, to) != (0, u16::MAX)
                };
                if looked_at {
                    matches.push(Match::Ports { side, from, to, negated: inverted & bit != 0 });
                }
            }
        }
        _ => return None,
    }
    Some(())
}

fn read_target(expr: &Expr, v4: bool) -> Option<Target> {
    match expr {
        Expr::Verdict(Verdict::Accept) => Some(Target::Accept),
        Expr::Verdict(Verdict::Jump(chain)) => Some(Target::Jump(chain.clone())),
        Expr::Masquerade => Some(Target::Masquerade),
        Expr::Target { name, info, .. } => match name.as_str() {
            "MASQUERADE" => Some(Target::Masquerade),
            "MARK" => (word(info, 0)? == word(info, 4)?).then_some(Target::Mark(word(info, 0)?)),
            "DNAT" => {
                let to: IpAddr = address(info.get(4..if v4 { 8 } else { 20 })?)?;
                Some(Target::Dnat(to, u16::from_be_bytes(*info.get(36..)?.first_chunk()?)))
            }
            _ => None,
        },
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rule::PortsOf;
    use super::*;
    use crate::nftables::expr::equal;

    #[test]
    fn every_match_and_target_is_read_back() {
        let network = |text: &str| text.parse().unwrap();
        let all = [
            Rule::new(
                vec![
                    Match::Interface { input: true, name: "eth0".into(), negated: false },
                    Match::Interface { input: false, name: "veth+".into(), negated: true },
                    Match::Protocol { number: 6, negated: false },
                    Match::Address { side: Side::Source, network: network("10.0.0.0/9"), negated: true },
                    Match::Address {
                        side: Side::Destination,
                        network: network("192.0.2.1/32"),
                        negated: false,
                    },
                    Match::Comment("dnat".into()),
                    Match::destination_ports(&[80, 443]),
                    Match::Multiport {
                        of: PortsOf::Source,
                        ranges: vec![(1, 5), (9, 9), (20, 30)],
                        negated: true,
                    },
                    Match::State { bits: 0x1c9, negated: true },
                    Match::Range {
                        side: Side::Destination,
                        from: "192.0.2.1".parse().unwrap(),
                        to: "192.0.2.9".parse().unwrap(),
                        negated: true,
                    },
                    Match::Ports { side: Side::Source, from: 1000, to: 2000, negated: true },
                    Match::Ports { side: Side::Destination, from: 80, to: 80, negated: false },
                    Match::Mark { value: 1, mask: 3, negated: true },
                    Match::Local { side: Side::Destination, negated: false },
                ],
                Target::Dnat("10.0.0.2".parse().unwrap(), 80),
            ),
            Rule::new(
                vec![
                    Match::Protocol { number: SCTP, negated: false },
                    Match::Ports { side: Side::Destination, from: 9, to: 9, negated: false },
                ],
                Target::Mark(0x2000),
            ),
            Rule::new(vec![Match::Local { side: Side::Source, negated: true }], Target::Masquerade),
            Rule::new(Vec::new(), Target::Jump("X".into())),
        ];
        for rule in all {
            let (exprs, _) = encode(&rule, true);
            assert_eq!(decode(&exprs, true), Some(rule));
        }
        let six = Rule::new(
            vec![
                Match::Address { side: Side::Destination, network: network("ff00::/8"), negated: true },
                Match::Range {
                    side: Side::Source,
                    from: "fd00::1".parse().unwrap(),
                    to: "fd00::9".parse().unwrap(),
                    negated: false,
                },
            ],
            Target::Dnat("fd00::2".parse().unwrap(), 53),
        );
        assert_eq!(decode(&encode(&six, false).0, false), Some(six));
        assert_eq!(decode(&[Expr::Unknown("numgen".into()), equal([1]), Expr::Masquerade], true), None);
    }
}

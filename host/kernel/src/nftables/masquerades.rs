//! Masquerading: a chain per attachment, reached by source address.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use wharf_ops::nat::MasqueradeRule;
use wharf_ops::{Attachment, Error};

use crate::netlink::Socket;

use super::base::masquerades::sources;
use super::expr::{
    Comparison, Expr, Side, Verdict, address, address_offset, bytes, equal, family_is, load_address,
    network_is,
};
use super::in_force::in_force;
use super::parts::{Entry, Kind, Part, remove, replace};

const WHAT: &str = "masquerading";

/// Replaces what the attachment has.
pub(crate) fn masquerade(
    socket: &mut Socket,
    owner: &Attachment,
    masquerades: &[MasqueradeRule],
) -> Result<(), Error> {
    replace(socket, owner, &[Kind::Sources], &[part(masquerades)], WHAT)
}

/// What the attachment has in force.
pub(crate) fn get_masquerades(socket: &mut Socket, owner: &Attachment) -> Result<Vec<MasqueradeRule>, Error> {
    let mut found = Vec::new();
    let mut except = Vec::new();
    for rule in in_force(socket, owner, Kind::Sources)? {
        match read(&rule.exprs) {
            Some((_, Some(network))) => except.push(network),
            Some((source, None)) => {
                found.push(MasqueradeRule { source, except: std::mem::take(&mut except) });
            }
            None => {}
        }
    }
    Ok(found)
}

/// Absent is success.
pub(crate) fn remove_masquerades(socket: &mut Socket, owner: &Attachment) -> Result<(), Error> {
    remove(socket, owner, &[Kind::Sources], WHAT)
}

fn part(masquerades: &[MasqueradeRule]) -> Part {
    let mut part = Part::new(Kind::Sources);
    for MasqueradeRule { source, except } in masquerades {
        part.enter(entry(*source));
        for network in except.iter().filter(|network| network.is_ipv4() == source.is_ipv4()) {
            let to = network_is(Side::Destination, Comparison::Equal, *network);
            part.rules.push([selector(*source), to, vec![Expr::Verdict(Verdict::Return)]].concat());
        }
        part.rules.push([selector(*source), vec![Expr::Masquerade]].concat());
    }
    part
}

fn selector(source: IpAddr) -> Vec<Expr> {
    let v4 = source.is_ipv4();
    [family_is(v4).to_vec(), vec![load_address(v4, Side::Source), equal(bytes(source))]].concat()
}

fn entry(source: IpAddr) -> Entry {
    Entry { map: sources(source.is_ipv4()), key: bytes(source), selector: selector(source) }
}

/// The way to a chain with this rule.
pub(super) fn entry_of(exprs: &[Expr]) -> Option<Entry> {
    read(exprs).map(|(source, _)| entry(source))
}

/// The source, and the destination that is excepted for it.
fn read(exprs: &[Expr]) -> Option<(IpAddr, Option<IpNetwork>)> {
    let (source, rest) = exact_address(exprs.get(2..)?, Side::Source)?;
    match rest {
        [Expr::Masquerade] => Some((source, None)),
        _ => Some((source, Some(network(rest, Side::Destination)?.0))),
    }
}

/// `ip saddr 10.0.0.1` at the beginning of expressions, and what follows.
pub(super) fn exact_address(exprs: &[Expr], side: Side) -> Option<(IpAddr, &[Expr])> {
    match exprs {
        [Expr::Payload { offset, .. }, Expr::Compare(Comparison::Equal, data), rest @ ..] => {
            let address = address(data)?;
            (*offset == address_offset(address.is_ipv4(), side)).then_some((address, rest))
        }
        _ => None,
    }
}

/// `ip daddr 10.0.0.0/8` at the beginning of expressions, and what follows.
pub(super) fn network(exprs: &[Expr], side: Side) -> Option<(IpNetwork, &[Expr])> {
    match exprs {
        [
            Expr::Payload { offset, .. },
            Expr::Mask(mask),
            Expr::Compare(Comparison::Equal, data),
            rest @ ..,
        ] => {
            let address = address(data)?;
            let prefix = mask.iter().map(|byte| byte.count_ones()).sum::<u32>();
            let network = IpNetwork::new(address, u8::try_from(prefix).ok()?).ok()?;
            (*offset == address_offset(address.is_ipv4(), side)).then_some((network, rest))
        }
        _ => exact_address(exprs, side).map(|(address, rest)| (IpNetwork::from(address), rest)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exceptions_come_before_the_masquerade_and_are_read_back() {
        let wanted = [
            MasqueradeRule {
                source: "10.1.0.2".parse().unwrap(),
                except: vec!["10.1.0.0/16".parse().unwrap(), "192.0.2.1/32".parse().unwrap()],
            },
            MasqueradeRule { source: "fd00::2".parse().unwrap(), except: vec!["fd00::/64".parse().unwrap()] },
        ];
        let part = part(&wanted);
        let read: Vec<_> = part.rules.iter().map(|rule| read(rule).unwrap()).collect();
        assert_eq!(
            read,
            [
                (wanted[0].source, Some(wanted[0].except[0])),
                (wanted[0].source, Some(wanted[0].except[1])),
                (wanted[0].source, None),
                (wanted[1].source, Some(wanted[1].except[0])),
                (wanted[1].source, None),
            ]
        );
        assert_eq!(part.entries.len(), 2);
        assert_eq!(entry_of(&part.rules[0]).unwrap(), part.entries[0]);
    }
}

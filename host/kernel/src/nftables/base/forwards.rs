//! `table inet wharf`: mapped ports, and the sources of what was forwarded.
//!
//! Mapped ports on 127.0.0.1 need `route_localnet`, by which what listens on 127.0.0.0/8 only could be reached from
//! beyond the host (CVE-2020-8558): the chain `loopback` drops that.

use wharf_ops::Error;

use crate::netlink::Socket;

use super::super::expr::{
    Comparison, Expr, MetaKey, REG_1, REG32_0, Side, Verdict, destination_is_local, family_is, load_address,
    load_port, network_is, opens_connection, was_forwarded, was_not_forwarded,
};
use super::super::loopback as loopback_network;
use super::super::transaction::{Change, Hook, Table, Transaction};
use super::{
    POSTROUTING, PROTOCOL, SERVICE, address_type, by_family, declare_map, declare_rules, is_whole, jump,
};

pub(crate) const TABLE: Table = Table { family: 1, name: "wharf" };

/// Behind the maps of ports.
pub(in super::super) const MORE_FORWARDS: &str = "more-forwards";
/// Behind the maps of forwarded destinations.
pub(in super::super) const MORE_REPLIES: &str = "more-replies";
const FORWARDS: &str = "forwards";
const PREROUTING: &str = "prerouting";
const OUTPUT: &str = "output";
const LOOPBACK: &str = "loopback";

/// IFNAMSIZ.
const NAME_LEN: usize = 16;

/// `ports4`, `ports6`: protocol and port.
pub(in super::super) fn ports(v4: bool) -> &'static str {
    by_family(v4, "ports4", "ports6")
}

/// `hostports4`, `hostports6`: protocol, address and port.
pub(in super::super) fn hostports(v4: bool) -> &'static str {
    by_family(v4, "hostports4", "hostports6")
}

/// `replies4`, `replies6`: the container's address as destination.
pub(in super::super) fn replies(v4: bool) -> &'static str {
    by_family(v4, "replies4", "replies6")
}

/// Whether the base is there, by the chains that everything else leads to.
pub(in super::super) fn present(socket: &mut Socket) -> Result<bool, Error> {
    Ok(leads_to_forwards(socket)? && leads_to_replies(socket)?)
}

/// Whether packets are looked up in the maps of ports. What opens a port needs the guard of the loopback as well.
pub(in super::super) fn leads_to_forwards(socket: &mut Socket) -> Result<bool, Error> {
    let least = forwards().len() + [PREROUTING, OUTPUT].len();
    Ok(is_whole(socket, TABLE, FORWARDS, least)? && is_whole(socket, TABLE, LOOPBACK, loopback().len())?)
}

/// Whether packets are looked up in the maps of forwarded destinations.
pub(in super::super) fn leads_to_replies(socket: &mut Socket) -> Result<bool, Error> {
    is_whole(socket, TABLE, POSTROUTING, postrouting().len())
}

/// Declares everything. Whoever comes second in a race replaces it by the same.
pub(in super::super) fn declare(transaction: &mut Transaction) {
    transaction.push(Change::Table);
    for v4 in [true, false] {
        let (address, len) = address_type(v4);
        declare_map(transaction, ports(v4), PROTOCOL << 6 | SERVICE, 8);
        declare_map(transaction, hostports(v4), PROTOCOL << 12 | address << 6 | SERVICE, 8 + len);
        declare_map(transaction, replies(v4), address, len);
    }
    for name in [MORE_FORWARDS, MORE_REPLIES, FORWARDS] {
        transaction.push(Change::Chain { name: name.into(), exclusive: false });
    }
    for (name, number, priority) in [(PREROUTING, 0, -100), (OUTPUT, 3, -100), (POSTROUTING, 4, 100)] {
        transaction.push(Change::BaseChain { name, hook: Hook { kind: "nat", number, priority } });
    }
    let input = Hook { kind: "filter", number: 1, priority: 0 };
    transaction.push(Change::BaseChain { name: LOOPBACK, hook: input });
    let to_forwards = || vec![[destination_is_local().to_vec(), jump(FORWARDS)].concat()];
    for (chain, rules) in [
        (FORWARDS, forwards()),
        (PREROUTING, to_forwards()),
        (OUTPUT, to_forwards()),
        (POSTROUTING, postrouting()),
        (LOOPBACK, loopback()),
    ] {
        declare_rules(transaction, chain, rules);
    }
}

/// The more specific mappings first.
fn forwards() -> Vec<Vec<Expr>> {
    let mut rules = Vec::new();
    let protocol = Expr::Meta { key: MetaKey::L4Proto, register: REG_1 };
    for v4 in [true, false] {
        let mut address = load_address(v4, Side::Destination);
        if let Expr::Payload { register, .. } = &mut address {
            *register = REG32_0 + 1;
        }
        // Protocol, address and port, each from the next 32-bit word.
        let port = load_port(Side::Destination, REG32_0 + if v4 { 2 } else { 5 });
        let look = vec![protocol.clone(), address, port, Expr::VerdictMap(hostports(v4).into())];
        rules.push([family_is(v4).to_vec(), look].concat());
    }
    for v4 in [true, false] {
        let port = load_port(Side::Destination, REG32_0 + 1);
        let look = vec![protocol.clone(), port, Expr::VerdictMap(ports(v4).into())];
        rules.push([family_is(v4).to_vec(), look].concat());
    }
    rules.push(jump(MORE_FORWARDS));
    rules
}

/// For 127.0.0.0/8 nothing opens a connection from another link than `lo`, unless it was for another address.
fn loopback() -> Vec<Vec<Expr>> {
    let mut lo = b"lo".to_vec();
    lo.resize(NAME_LEN, 0);
    let from_elsewhere =
        [Expr::Meta { key: MetaKey::IifName, register: REG_1 }, Expr::Compare(Comparison::NotEqual, lo)];
    let drop = Expr::Verdict(Verdict::Drop);
    vec![
        [
            family_is(true).to_vec(),
            network_is(Side::Destination, Comparison::Equal, loopback_network()),
            from_elsewhere.to_vec(),
            opens_connection().to_vec(),
            was_not_forwarded().to_vec(),
            vec![drop],
        ]
        .concat(),
    ]
}

/// Forwarded traffic whose answers must come back here.
fn postrouting() -> Vec<Vec<Expr>> {
    let mut rules = Vec::new();
    for v4 in [true, false] {
        let look = vec![load_address(v4, Side::Destination), Expr::VerdictMap(replies(v4).into())];
        rules.push([was_forwarded().to_vec(), family_is(v4).to_vec(), look].concat());
    }
    rules.push([was_forwarded().to_vec(), jump(MORE_REPLIES)].concat());
    rules
}

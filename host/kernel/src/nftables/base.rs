//! What all attachments share: `table inet wharf` with its maps and the chains that the kernel calls.
//!
//! Made once, in the batch of the first ADD that misses it. Every packet that opens a connection is looked up by
//! address or port in a map, however many attachments there are; the value is a jump to a chain of one attachment.
//! Keys that two attachments want stand in the `more-` chains behind the maps.
//!
//! Mapped ports on 127.0.0.1 need `route_localnet`, by which what listens on 127.0.0.0/8 only could be reached from
//! beyond the host (CVE-2020-8558): the chain `loopback` drops that.

use wharf_ops::Error;

use crate::netlink::Socket;

use super::expr::{
    Comparison, Expr, MetaKey, REG_1, REG32_0, Side, Verdict, destination_is_local, family_is, load_address,
    load_port, network_is, opens_connection, was_forwarded, was_not_forwarded,
};
use super::query::chain_use;
use super::transaction::{Change, Hook, KeyOrder, Table, Transaction};

/// The one table of address translation.
pub(crate) const TABLE: Table = Table { family: 1, name: "wharf" };

/// Behind the maps of ports.
pub(super) const MORE_FORWARDS: &str = "more-forwards";
/// Behind the maps of forwarded destinations.
pub(super) const MORE_REPLIES: &str = "more-replies";
/// Behind the maps of masqueraded sources.
pub(super) const MORE_SOURCES: &str = "more-sources";
const FORWARDS: &str = "forwards";
const PREROUTING: &str = "prerouting";
const OUTPUT: &str = "output";
const POSTROUTING: &str = "postrouting";
const LOOPBACK: &str = "loopback";

/// `ipv4_addr`, `ipv6_addr`, `inet_proto` and `inet_service` in nft's numbering; a concatenation shifts by six.
const IPV4: u32 = 7;
const IPV6: u32 = 8;
const PROTOCOL: u32 = 12;
const SERVICE: u32 = 13;
/// IFNAMSIZ.
const NAME_LEN: usize = 16;

/// A map's name for one family.
pub(super) fn by_family(v4: bool, four: &'static str, six: &'static str) -> &'static str {
    if v4 { four } else { six }
}

/// `ports4`, `ports6`: protocol and port.
pub(super) fn ports(v4: bool) -> &'static str {
    by_family(v4, "ports4", "ports6")
}

/// `hostports4`, `hostports6`: protocol, address and port.
pub(super) fn hostports(v4: bool) -> &'static str {
    by_family(v4, "hostports4", "hostports6")
}

/// `replies4`, `replies6`: the container's address as destination.
pub(super) fn replies(v4: bool) -> &'static str {
    by_family(v4, "replies4", "replies6")
}

/// `sources4`, `sources6`: the container's address as source.
pub(super) fn sources(v4: bool) -> &'static str {
    by_family(v4, "sources4", "sources6")
}

/// Whether the base is there, by the chains that everything else leads to.
pub(super) fn present(socket: &mut Socket) -> Result<bool, Error> {
    Ok(leads_to_forwards(socket)? && leads_to_masquerades(socket)?)
}

/// Whether packets are looked up in the maps of ports. What opens a port needs the guard of the loopback as well.
pub(super) fn leads_to_forwards(socket: &mut Socket) -> Result<bool, Error> {
    Ok(is_whole(socket, FORWARDS)? && is_whole(socket, LOOPBACK)?)
}

/// Whether packets are looked up in the maps of sources and of forwarded destinations.
pub(super) fn leads_to_masquerades(socket: &mut Socket) -> Result<bool, Error> {
    is_whole(socket, POSTROUTING)
}

/// A chain that somebody flushed has fewer rules than it should, and the one behind it is led to less often.
fn is_whole(socket: &mut Socket, chain: &str) -> Result<bool, Error> {
    let least = match chain {
        FORWARDS => forwards().len() + [PREROUTING, OUTPUT].len(),
        POSTROUTING => postrouting().len(),
        _ => loopback().len(),
    };
    let used = chain_use(socket, TABLE, chain)?;
    Ok(used.is_some_and(|used| usize::try_from(used).is_ok_and(|used| used >= least)))
}

/// Declares everything. Whoever comes second in a race replaces it by the same.
pub(super) fn declare(transaction: &mut Transaction) {
    transaction.push(Change::Table);
    for v4 in [true, false] {
        let (address, len) = if v4 { (IPV4, 4) } else { (IPV6, 16) };
        let maps = [
            (ports(v4), PROTOCOL << 6 | SERVICE, 8),
            (hostports(v4), PROTOCOL << 12 | address << 6 | SERVICE, 8 + len),
            (replies(v4), address, len),
            (sources(v4), address, len),
        ];
        for (name, key_type, key_len) in maps {
            transaction.push(Change::Map { name, key_type, key_len, key_order: KeyOrder::Network });
        }
    }
    for name in [MORE_FORWARDS, MORE_REPLIES, MORE_SOURCES] {
        transaction.push(Change::Chain { name: name.into(), exclusive: false });
    }
    transaction.push(Change::Chain { name: FORWARDS.into(), exclusive: false });
    for (name, number, priority) in [(PREROUTING, 0, -100), (OUTPUT, 3, -100), (POSTROUTING, 4, 100)] {
        transaction.push(Change::BaseChain { name, hook: Hook { kind: "nat", number, priority } });
    }
    let input = Hook { kind: "filter", number: 1, priority: 0 };
    transaction.push(Change::BaseChain { name: LOOPBACK, hook: input });
    let to_forwards = || vec![[destination_is_local().to_vec(), jump(FORWARDS)].concat()];
    let chains = [
        (FORWARDS, forwards()),
        (PREROUTING, to_forwards()),
        (OUTPUT, to_forwards()),
        (POSTROUTING, postrouting()),
        (LOOPBACK, loopback()),
    ];
    for (chain, rules) in chains {
        transaction.push(Change::Flush(chain.into()));
        transaction.changes.extend(rules.into_iter().map(|rule| Change::rule(chain, rule)));
    }
}

fn jump(chain: &str) -> Vec<Expr> {
    vec![Expr::Verdict(Verdict::Jump(chain.into()))]
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
            network_is(Side::Destination, Comparison::Equal, super::loopback()),
            from_elsewhere.to_vec(),
            opens_connection().to_vec(),
            was_not_forwarded().to_vec(),
            vec![drop],
        ]
        .concat(),
    ]
}

/// Forwarded traffic whose answers must come back here, then containers' own traffic, but never multicast.
fn postrouting() -> Vec<Vec<Expr>> {
    let mut rules = Vec::new();
    for v4 in [true, false] {
        let look = vec![load_address(v4, Side::Destination), Expr::VerdictMap(replies(v4).into())];
        rules.push([was_forwarded().to_vec(), family_is(v4).to_vec(), look].concat());
    }
    rules.push([was_forwarded().to_vec(), jump(MORE_REPLIES)].concat());
    for (v4, network) in [(true, super::multicast(true)), (false, super::multicast(false))] {
        let to = network_is(Side::Destination, Comparison::Equal, network);
        rules.push([family_is(v4).to_vec(), to, vec![Expr::Verdict(Verdict::Return)]].concat());
    }
    for v4 in [true, false] {
        let look = vec![load_address(v4, Side::Source), Expr::VerdictMap(sources(v4).into())];
        rules.push([family_is(v4).to_vec(), look].concat());
    }
    rules.push(jump(MORE_SOURCES));
    rules
}

//! The way of a packet.

use std::net::IpAddr;

use wharf_ops::IpNetwork;
use wharf_ops::routes::Route;

use super::{DEFAULT, Entry, LOCAL, MAIN, Type};
use crate::addresses::v4::is_of_many;
use crate::device::{Device, Held};
use crate::world::{At, Space, World};

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) to: IpAddr,
    /// Only ways by this link.
    pub(crate) link: Option<u32>,
    /// IPv4: only routes of this scope or a narrower one.
    pub(crate) scope: u8,
}

/// The route that a packet to an address takes: through the tables in the kernel's order.
pub(crate) fn find<'a>(world: &'a World, space: Space, question: &Question) -> Option<&'a Entry> {
    let v4 = question.to.is_ipv4();
    let tables = [LOCAL, MAIN, DEFAULT].into_iter().filter(|table| v4 || *table != DEFAULT);
    let mut found = tables.filter_map(|table| in_table(world, space, table, question));
    found.next()
}

/// The most specific route of one table, of the lowest metric, the first of those.
pub(crate) fn in_table<'a>(
    world: &'a World,
    space: Space,
    table: u32,
    question: &Question,
) -> Option<&'a Entry> {
    let routes = world.space(space)?.routes.iter();
    let mut best: Option<&Entry> = None;
    for entry in routes.filter(|entry| entry.table == table && matches(entry, question)) {
        let better = best.is_none_or(|best| {
            (entry.dst.prefix(), std::cmp::Reverse(entry.metric))
                > (best.dst.prefix(), std::cmp::Reverse(best.metric))
        });
        if better {
            best = Some(entry);
        }
    }
    best
}

fn matches(entry: &Entry, question: &Question) -> bool {
    entry.dst.contains(question.to)
        && question.link.is_none_or(|link| link == entry.link)
        && (entry.dst.is_ipv6() || entry.scope >= question.scope)
}

/// The route to an address. What is here is reached over the loopback, if that speaks IPv4.
pub(crate) fn resolve(world: &World, space: Space, to: IpAddr) -> Option<Entry> {
    let found = find(world, space, &Question { to, link: None, scope: 0 })?;
    let over_loopback = found.kind == Type::Local && to.is_ipv4();
    let speaks = || world.device(At { space, index: 1 }).is_some_and(|lo| lo.conf4.is_some());
    (!over_loopback || speaks()).then(|| found.clone())
}

/// Whether the namespace has the address.
pub(crate) fn is_local(world: &World, space: Space, address: IpAddr) -> bool {
    let question = Question { to: address, link: None, scope: 0 };
    !is_of_many(address)
        && in_table(world, space, LOCAL, &question).is_some_and(|entry| entry.kind == Type::Local)
}

/// A way in the words of a look-up.
pub(crate) fn told(world: &World, space: Space, way: &Entry, to: IpAddr) -> Route {
    // What is here is reached over the loopback.
    let link = if way.kind == Type::Local { 1 } else { way.link };
    let v6 = to.is_ipv6();
    // Of IPv4, local and main table are one as long as nobody adds rules.
    let table = if way.table == LOCAL && !v6 { MAIN } else { way.table };
    Route {
        dst: IpNetwork::from(to),
        gateway: way.next_hop(),
        link: Some(link),
        source: source(world, space, way, to),
        metric: v6.then_some(way.metric),
        table: Some(table),
        mtu: way.mtu,
        advmss: way.advmss,
        scope: Some(0),
    }
}

/// The address that a packet leaves with.
pub(crate) fn source(world: &World, space: Space, way: &Entry, to: IpAddr) -> Option<IpAddr> {
    if way.source.is_some() {
        return way.source;
    }
    if way.kind == Type::Local && to.is_ipv4() {
        return Some(to);
    }
    let device = world.device(At { space, index: way.link })?;
    if to.is_ipv4() { source_v4(world, space, device, way) } else { source_v6(world, space, device, to) }
}

/// inet_select_addr: of the gateway's network if there is one, else the first; of another link if this one has none.
fn source_v4(world: &World, space: Space, device: &Device, way: &Entry) -> Option<IpAddr> {
    let usable = |held: &&Held| !held.secondary && held.scope <= way.scope;
    let mut own = device.v4.iter().filter(usable);
    let near = |held: &&Held| way.gateway.is_none_or(|gateway| held.address.contains(gateway));
    let first = own.clone().next();
    let chosen = own.find(near).or(first);
    let elsewhere = || {
        let all = world.devices(space).flat_map(|device| &device.v4);
        all.filter(usable).find(|held| held.scope != 253)
    };
    chosen.or_else(elsewhere).map(|held| held.address.ip())
}

/// The rules of RFC 6724 that matter here: the destination itself, the scope, the outgoing link, the longest prefix.
fn source_v6(world: &World, space: Space, device: &Device, to: IpAddr) -> Option<IpAddr> {
    let wanted = reach(to);
    let candidates =
        world.devices(space).flat_map(|other| other.v6.iter().map(move |held| (other.index, held)));
    // To somebody on the link only from the link.
    let candidates =
        candidates.filter(|(index, held)| !held.tentative && (*index == device.index || wanted == GLOBAL));
    let rank = |(index, held): &(u32, &Held)| {
        let ip = held.address.ip();
        let reach = reach(ip);
        // The narrowest that is wide enough, else the widest.
        let scope = if reach >= wanted { -reach } else { reach - 128 };
        (ip == to, scope, *index == device.index, common_bits(ip, to).min(held.address.prefix()))
    };
    // The last of the best would be taken, and the kernel takes the first.
    let best = candidates.fold(None, |best: Option<(u32, &Held)>, one| match best {
        Some(best) if rank(&best) >= rank(&one) => Some(best),
        _ => Some(one),
    });
    best.map(|(_, held)| held.address.ip())
}

/// IPV6_ADDR_SCOPE_GLOBAL and IPV6_ADDR_SCOPE_LINKLOCAL.
const GLOBAL: i16 = 14;
const LINK_LOCAL: i16 = 2;

/// How far an address is known.
fn reach(ip: IpAddr) -> i16 {
    match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() || ip.is_loopback() || ip.is_multicast() => LINK_LOCAL,
        _ => GLOBAL,
    }
}

fn common_bits(a: IpAddr, b: IpAddr) -> u8 {
    match (a, b) {
        (IpAddr::V6(a), IpAddr::V6(b)) => {
            u8::try_from((u128::from(a) ^ u128::from(b)).leading_zeros()).unwrap_or(u8::MAX)
        }
        _ => 0,
    }
}

//! IPv4 addresses, as net/ipv4/devinet.c and fib_frontend.c keep them.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::{IpNetwork, Ipv4Network};

use super::Refusal;
use crate::device::{Held, Kind};
use crate::routes::{Entry, LOCAL, MAIN, Type};
use crate::world::{At, Space, World};

const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;

/// Adds an address and the routes that follow from it.
pub(crate) fn add(world: &mut World, at: At, address: IpNetwork) -> Result<(), Refusal> {
    let Some(device) = world.device_mut(at) else { return Err((libc::ENODEV, None)) };
    let Some(conf) = &mut device.conf4 else { return Err((libc::ENOBUFS, None)) };
    conf.settle();
    // The kernel takes it and forgets it.
    if address.ip().is_unspecified() {
        return Ok(());
    }
    insert(&mut device.v4, address, SCOPE_UNIVERSE)?;
    add_routes(world, at, address);
    Ok(())
}

/// Behind the other primaries, or at the end if another of the same network is there.
fn insert(all: &mut Vec<Held>, address: IpNetwork, scope: u8) -> Result<(), Refusal> {
    let same =
        |held: &&Held| held.address.prefix() == address.prefix() && network(held.address) == network(address);
    if all.iter().any(|held| held.address == address) {
        return Err((libc::EEXIST, Some("ipv4: Address already assigned")));
    }
    let secondary = all.iter().find(same).is_some();
    let place =
        all.iter().rposition(|held| !held.secondary && scope <= held.scope).map_or(0, |last| last + 1);
    let place = if secondary { all.len() } else { place };
    all.insert(place, Held { address, scope, secondary, tentative: false });
    Ok(())
}

fn network(address: IpNetwork) -> IpAddr {
    address.network()
}

/// Removes an address, and the secondary ones of its network if it was the primary one. Absent is success.
pub(crate) fn remove(world: &mut World, at: At, address: IpNetwork) {
    let Some(device) = world.device_mut(at) else { return };
    let Some(found) = device.v4.iter().position(|held| held.address == address) else { return };
    let gone = device.v4.remove(found);
    let same = |held: &Held| {
        held.secondary
            && held.address.prefix() == address.prefix()
            && network(held.address) == network(address)
    };
    let promote = !gone.secondary && promotes(world, at);
    let Some(device) = world.device_mut(at) else { return };
    let mut lost = vec![gone.address];
    let mut promoted = None;
    if promote {
        if let Some(next) = device.v4.iter().position(same) {
            let mut heir = device.v4.remove(next);
            heir.secondary = false;
            let place = device.v4.iter().rposition(|held| !held.secondary).map_or(0, |last| last + 1);
            device.v4.insert(place, heir);
            promoted = Some(heir.address);
        }
    } else if !gone.secondary {
        lost.extend(device.v4.iter().filter(|held| same(held)).map(|held| held.address));
        device.v4.retain(|held| !same(held));
    }
    let empty = device.v4.is_empty();
    for address in lost {
        remove_routes(world, at, address);
    }
    if let Some(address) = promoted {
        add_routes(world, at, address);
    }
    if empty && let Some(space) = world.space_mut(at.space) {
        // IPv4 is off for the device then.
        space.routes.retain(|route| !(route.dst.is_ipv4() && route.link == at.index));
        if let Some(device) = space.devices.get_mut(&at.index) {
            device.neighbours.retain(|address, _| address.is_ipv6());
        }
    }
}

/// Whether either switch says that a secondary address takes the place of a primary one.
fn promotes(world: &World, at: At) -> bool {
    let own = world.device(at).and_then(|device| device.conf4.as_ref());
    let all = world.space(at.space).map(|space| &space.sysctls.all4);
    own.into_iter().chain(all).any(|conf| conf.get("promote_secondaries") != 0)
}

/// The loopback gets its address, and all addresses the routes to their networks.
pub(crate) fn came_up(world: &mut World, at: At) {
    let Some(device) = world.device_mut(at).filter(|device| device.conf4.is_some()) else { return };
    if device.kind == Kind::Loopback
        && let Ok(localhost) = Ipv4Network::new(Ipv4Addr::LOCALHOST, 8)
    {
        // It is there already if the loopback was up before.
        let _ = insert(&mut device.v4, localhost.into(), SCOPE_HOST);
    }
    let addresses: Vec<IpNetwork> = device.v4.iter().map(|held| held.address).collect();
    for address in addresses {
        add_routes(world, at, address);
    }
}

/// Only local addresses stay reachable, from here.
pub(crate) fn went_down(world: &mut World, at: At) {
    if let Some(space) = world.space_mut(at.space) {
        space
            .routes
            .retain(|route| route.link != at.index || route.dst.is_ipv6() || route.scope == SCOPE_HOST);
    }
}

/// Below 68 bytes there is no IPv4.
pub(crate) fn mtu_changed(world: &mut World, at: At) {
    let Some(space) = world.space_mut(at.space) else { return };
    let Some(device) = space.devices.get_mut(&at.index) else { return };
    match (device.mtu >= 68, device.conf4.is_some()) {
        (true, false) => device.conf4 = Some(space.sysctls.conf4(&device.kind)),
        (false, true) => {
            device.conf4 = None;
            device.neighbours.retain(|address, _| address.is_ipv6());
            let gone: Vec<IpAddr> = device.v4.drain(..).map(|held| held.address.ip()).collect();
            space.routes.retain(|route| route.link != at.index || route.dst.is_ipv6());
            forget_sources(world, at.space, gone.into_iter());
        }
        _ => {}
    }
}

/// Routes with a source that is nobody's any more go.
pub(crate) fn forget_sources(world: &mut World, space: Space, gone: impl Iterator<Item = IpAddr>) {
    for address in gone {
        let held = |held: &Held| held.address.ip() == address;
        let there = world.devices(space).any(|device| device.v4.iter().any(held));
        if let Some(space) = world.space_mut(space).filter(|_| !there) {
            space.routes.retain(|route| route.dst.is_ipv6() || route.source != Some(address));
        }
    }
}

/// fib_add_ifaddr.
fn add_routes(world: &mut World, at: At, address: IpNetwork) {
    let Some(device) = world.device(at) else { return };
    let Some(held) = device.v4.iter().find(|held| held.address == address) else { return };
    let primary = device.v4.iter().find(|other| {
        !other.secondary
            && other.address.prefix() == address.prefix()
            && network(other.address) == network(address)
    });
    // What the kernel calls prim: by it, secondary addresses share one source.
    let source = if held.secondary { primary.map(|held| held.address.ip()) } else { Some(address.ip()) };
    let (up, loopback, secondary) = (device.up, device.kind == Kind::Loopback, held.secondary);
    let entry = |kind, dst: IpNetwork| Entry {
        table: if kind == Type::Unicast { MAIN } else { LOCAL },
        source,
        scope: if kind == Type::Local { SCOPE_HOST } else { SCOPE_LINK },
        ..Entry::of_kernel(kind, dst, at.index)
    };
    let mut routes = vec![entry(Type::Local, IpNetwork::from(address.ip()))];
    // An address that is nobody's can be no source of routes.
    if up && !is_of_many(address.ip()) {
        let prefix = address.prefix();
        let broadcast = address.broadcast();
        if prefix < 31 && !loopback {
            routes.push(entry(Type::Broadcast, broadcast.into()));
        }
        if !network(address).is_unspecified() && !secondary && prefix < 32 {
            let kind = if loopback { Type::Local } else { Type::Unicast };
            routes.extend(IpNetwork::new(network(address), prefix).map(|dst| entry(kind, dst)));
            if prefix < 31 {
                routes.push(entry(Type::Broadcast, broadcast.into()));
            }
        }
    }
    let Some(space) = world.space_mut(at.space) else { return };
    for route in routes {
        space.append(route);
    }
}

/// A multicast or broadcast address.
pub(crate) fn is_of_many(ip: IpAddr) -> bool {
    ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}

/// fib_del_ifaddr: what no other address of the device still needs.
fn remove_routes(world: &mut World, at: At, address: IpNetwork) {
    let Some(space) = world.space_mut(at.space) else { return };
    let Some(device) = space.devices.get(&at.index) else { return };
    let same_network =
        |held: &&Held| held.address.prefix() == address.prefix() && network(held.address) == network(address);
    let network_stays = device.v4.iter().find(same_network).is_some();
    let broadcast_stays = device.v4.iter().any(|held| held.address.broadcast() == address.broadcast());
    let address_stays = device.v4.iter().any(|held| held.address.ip() == address.ip());
    space.routes.retain(|route| {
        let own = route.kernel && route.link == at.index && route.dst.is_ipv4();
        let to_network = route.dst.prefix() == address.prefix()
            && route.dst.ip() == network(address)
            && matches!(route.kind, Type::Unicast | Type::Local)
            && route.dst.prefix() < 32;
        let to_broadcast = route.kind == Type::Broadcast && route.dst.ip() == address.broadcast();
        let to_address =
            route.kind == Type::Local && route.dst.prefix() == 32 && route.dst.ip() == address.ip();
        let goes = (to_network && !network_stays)
            || (to_broadcast && !broadcast_stays)
            || (to_address && !address_stays);
        !(own && goes)
    });
    if !address_stays {
        forget_sources(world, at.space, std::iter::once(address.ip()));
    }
}

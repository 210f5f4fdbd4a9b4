//! IPv6 addresses, as net/ipv6/addrconf.c keeps them.

use std::net::{IpAddr, Ipv6Addr};

use ipnetwork::{IpNetwork, Ipv6Network};

use super::Refusal;
use crate::device::{Device, Held, Kind};
use crate::routes::{Entry, LOCAL, MAIN, Type};
use crate::world::{At, Space, World};

const SCOPE_UNIVERSE: u8 = 0;
const SCOPE_LINK: u8 = 253;
const SCOPE_HOST: u8 = 254;
/// Of routes that the kernel makes for addresses.
const METRIC: u32 = 256;
/// The lowest MTU that IPv6 works with.
const LOWEST_MTU: u32 = 1280;

/// Adds an address and the route to its network.
pub(crate) fn add(world: &mut World, at: At, address: IpNetwork) -> Result<(), Refusal> {
    let Some(device) = world.device(at) else { return Err((libc::ENODEV, None)) };
    if device.conf6.is_none() {
        return Err((libc::EINVAL, None));
    }
    if !device.has_ipv6() {
        return Err((libc::EACCES, Some("ipv6: IPv6 is disabled on this device")));
    }
    check(address, &device.kind)?;
    if device.v6.iter().any(|held| held.address.ip() == address.ip()) {
        return Err((libc::EEXIST, Some("ipv6: address already assigned")));
    }
    insert(world, at, address);
    add_network(world, at, address);
    Ok(())
}

fn check(address: IpNetwork, kind: &Kind) -> Result<(), Refusal> {
    let IpAddr::V6(ip) = address.ip() else { return Err((libc::EINVAL, None)) };
    let misplaced = ip.is_loopback() && *kind != Kind::Loopback;
    if ip.is_unspecified() || ip.is_multicast() || misplaced {
        return Err((libc::EADDRNOTAVAIL, Some("ipv6: Invalid address")));
    }
    Ok(())
}

/// The newest of the widest scope comes first.
fn insert(world: &mut World, at: At, address: IpNetwork) {
    let checked = checks_duplicates(world, at);
    let Some(device) = world.device_mut(at) else { return };
    let scope = scope_of(address.ip());
    let place = device.v6.iter().position(|held| scope <= held.scope).unwrap_or(device.v6.len());
    device.v6.insert(place, Held { address, scope, secondary: false, tentative: checked });
    if !checked {
        add_local(world, at, address.ip());
    }
}

/// Whether duplicates are looked for, on a device that can ask, and one of the two switches says so.
fn checks_duplicates(world: &World, at: At) -> bool {
    let Some(device) = world.device(at).filter(|device| !device.kind.no_arp()) else { return false };
    let all = world.space(at.space).map(|space| &space.sysctls.all6);
    let on = device.conf6.iter().chain(all).any(|conf| conf.get("accept_dad") >= 1);
    on && device.conf6.as_ref().is_some_and(|conf| conf.get("dad_transmits") != 0)
}

fn scope_of(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V6(ip) if ip.is_loopback() => SCOPE_HOST,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => SCOPE_LINK,
        _ => SCOPE_UNIVERSE,
    }
}

fn add_local(world: &mut World, at: At, ip: IpAddr) {
    let Some(space) = world.space_mut(at.space) else { return };
    let route = Entry { table: LOCAL, ..Entry::of_kernel(Type::Local, ip.into(), at.index) };
    if !space.routes.contains(&route) {
        space.append(route);
    }
}

/// The route to the network of an address, on a device that is up.
fn add_network(world: &mut World, at: At, address: IpNetwork) {
    let Some(device) = world.device(at).filter(|device| device.up) else { return };
    let Ok(dst) = IpNetwork::new(address.network(), address.prefix()) else { return };
    let index = device.index;
    let route = Entry { table: MAIN, metric: METRIC, ..Entry::of_kernel(Type::Unicast, dst, index) };
    let Some(space) = world.space_mut(at.space) else { return };
    let there = |other: &Entry| {
        other.dst == dst && other.link == index && other.table == MAIN && other.metric == METRIC
    };
    if !space.routes.iter().any(there) {
        space.append(route);
    }
}

/// Removes an address. Absent is success.
pub(crate) fn remove(world: &mut World, at: At, address: IpNetwork) {
    let Some(device) = world.device_mut(at) else { return };
    let Some(found) = device.v6.iter().position(|held| held.address == address) else { return };
    device.v6.remove(found);
    let network = (address.network(), address.prefix());
    let stays = device.v6.iter().any(|held| (held.address.network(), held.address.prefix()) == network);
    let Some(space) = world.space_mut(at.space) else { return };
    space.routes.retain(|route| {
        let local = route.kind == Type::Local && route.dst.ip() == address.ip();
        let to_network =
            route.kind == Type::Unicast && route.kernel && (route.dst.ip(), route.dst.prefix()) == network;
        route.dst.is_ipv4() || route.link != at.index || !(local || (to_network && !stays))
    });
    forget_sources(world, at.space, std::iter::once(address.ip()));
}

/// Permanent addresses get their routes back, the loopback gets its own.
pub(crate) fn came_up(world: &mut World, at: At) {
    let Some(device) = world.device(at).filter(|device| device.has_ipv6()) else { return };
    if device.kind == Kind::Loopback {
        let localhost = IpNetwork::from(IpAddr::from(Ipv6Addr::LOCALHOST));
        if !device.v6.iter().any(|held| held.address == localhost) {
            insert(world, at, localhost);
        }
    }
    let held: Vec<Held> = world.device(at).map(|device| device.v6.clone()).unwrap_or_default();
    for held in held {
        if scope_of(held.address.ip()) != SCOPE_HOST {
            add_network(world, at, held.address);
        }
        if !held.tentative {
            add_local(world, at, held.address.ip());
        }
    }
}

/// A link-local address is made up, in the way that is set, when there is somebody to talk to.
pub(crate) fn make_link_local(world: &mut World, at: At) {
    let Some(device) = world.device(at).filter(|device| device.has_ipv6()) else { return };
    if device.kind == Kind::Loopback {
        return;
    }
    let mode = device.conf6.as_ref().map_or(1, |conf| conf.get("addr_gen_mode"));
    let identifier = match mode {
        0 => eui64(device),
        1 => return,
        _ => world.random().to_be_bytes(),
    };
    let mut octets = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0).octets();
    octets.iter_mut().skip(8).zip(identifier).for_each(|(to, from)| *to = from);
    let Ok(address) = Ipv6Network::new(octets.into(), 64).map(IpNetwork::V6) else { return };
    let there = |device: &Device| device.v6.iter().any(|held| held.address.ip() == address.ip());
    if !world.device(at).is_some_and(there) {
        insert(world, at, address);
    }
    add_network(world, at, address);
}

/// The hardware address with a bit turned over and two bytes in its middle.
fn eui64(device: &Device) -> [u8; 8] {
    let mac = u64::from_be_bytes([&[0, 0], &device.mac.0[..]].concat().try_into().unwrap_or_default());
    let (upper, lower) = (mac >> 24, mac & 0xff_ffff);
    ((upper ^ 0x02_0000) << 40 | 0xff_fe00_0000 | lower).to_be_bytes()
}

/// Addresses and routes go with the link, unless it keeps its addresses.
pub(crate) fn went_down(world: &mut World, at: At) {
    let Some(space) = world.space_mut(at.space) else { return };
    let Some(device) = space.devices.get_mut(&at.index) else { return };
    let keep = device.conf6.as_ref().is_some_and(|conf| conf.get("keep_addr_on_down") > 0);
    let gone: Vec<IpAddr> = device
        .v6
        .extract_if(.., |held| !keep || held.scope != SCOPE_UNIVERSE)
        .map(|held| held.address.ip())
        .collect();
    space.routes.retain(|route| route.link != at.index || route.dst.is_ipv4());
    forget_sources(world, at.space, gone.into_iter());
}

/// `disable_ipv6` was written: addresses go, or those that the kernel makes come back.
pub(crate) fn disabled(world: &mut World, at: At, disabled: bool) {
    if disabled {
        if let Some(device) = world.device_mut(at) {
            device.neighbours.retain(|address, _| address.is_ipv4());
        }
        went_down(world, at);
    } else if world.device(at).is_some_and(|device| device.up) {
        came_up(world, at);
        if world.operational(at) {
            make_link_local(world, at);
        }
    }
}

/// Below 1280 bytes there is no IPv6.
pub(crate) fn mtu_changed(world: &mut World, at: At) {
    let Some(space) = world.space_mut(at.space) else { return };
    let Some(device) = space.devices.get_mut(&at.index) else { return };
    let mtu = device.mtu;
    match (mtu >= LOWEST_MTU, device.conf6.is_some()) {
        (true, true) => device.conf6.iter_mut().for_each(|conf| conf.set_mtu(mtu)),
        (true, false) => {
            let mut conf = space.sysctls.conf6(&device.kind);
            conf.set_mtu(mtu);
            device.conf6 = Some(conf);
            if device.up {
                came_up(world, at);
                if world.operational(at) {
                    make_link_local(world, at);
                }
            }
        }
        (false, true) => {
            device.neighbours.retain(|address, _| address.is_ipv4());
            went_down(world, at);
            if let Some(device) = world.device_mut(at) {
                device.v6.clear();
                // The loopback keeps what is set for it.
                device.conf6 = device.conf6.take().filter(|_| device.kind == Kind::Loopback);
            }
        }
        (false, false) => {}
    }
}

/// Routes lose a source that is nobody's any more, and stay.
pub(crate) fn forget_sources(world: &mut World, space: Space, gone: impl Iterator<Item = IpAddr>) {
    let gone: Vec<IpAddr> = gone.collect();
    let Some(space) = world.space_mut(space) else { return };
    for route in space.routes.iter_mut().filter(|route| route.source.is_some_and(|it| gone.contains(&it))) {
        if route.dst.is_ipv6() {
            route.source = None;
        }
    }
}

/// Ends duplicate address detection on a link that carries traffic. An address that somebody else has is answered, and
/// stays tentative.
pub(crate) fn check_duplicates(world: &mut World, at: At) -> Option<IpNetwork> {
    if !world.operational(at) {
        return None;
    }
    let tentative: Vec<IpNetwork> =
        world.device(at)?.v6.iter().filter(|held| held.tentative).map(|held| held.address).collect();
    let others = world.neighbourhood(at);
    let mut duplicate = None;
    for address in tentative {
        let has = |at: &At| {
            let held = world.device(*at).into_iter().flat_map(|device| &device.v6);
            held.filter(|held| !held.tentative).any(|held| held.address.ip() == address.ip())
        };
        if others.iter().any(has) {
            duplicate = duplicate.or(Some(address));
            continue;
        }
        let held =
            world.device_mut(at).and_then(|device| device.v6.iter_mut().find(|held| held.address == address));
        if let Some(held) = held {
            held.tentative = false;
        }
        add_local(world, at, address.ip());
    }
    duplicate
}

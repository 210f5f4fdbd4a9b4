//! New routes: what the kernel refuses, in the order in which it looks.

use std::net::IpAddr;

use wharf_ops::routes::Route;

use super::lookup::{self, Question};
use super::{Entry, MAIN, Type, table_of};
use crate::addresses::Refusal;
use crate::device::{Device, Kind};
use crate::world::{At, Space, World};

/// RT_SCOPE_LINK, RT_SCOPE_HOST and RT_SCOPE_NOWHERE.
pub(super) const LINK: u8 = 253;
const HOST: u8 = 254;
pub(super) const NOWHERE: u8 = 255;
/// The index of every namespace's loopback.
const LOOPBACK: u32 = 1;
/// IP6_RT_PRIO_USER.
const METRIC_V6: u32 = 1024;

/// fib_table_insert, without NLM_F_EXCL.
pub(super) fn v4(world: &mut World, space: Space, route: &Route) -> Result<(), Refusal> {
    let default = if route.gateway.is_none() { LINK } else { 0 };
    let scope = route.scope.unwrap_or(default);
    if scope > HOST {
        return Err((libc::EINVAL, Some("Invalid scope")));
    }
    // An unspecified gateway is none.
    let gateway = route.gateway.filter(|gateway| !gateway.is_unspecified());
    let (link, gateway_scope) = match gateway {
        Some(_) if scope == HOST => {
            return Err((libc::EINVAL, Some("Route with host scope can not have a gateway")));
        }
        Some(gateway) => through_v4(world, space, route, gateway, scope)?,
        None => (directly_v4(world, space, route.link.unwrap_or_default(), scope)?, HOST),
    };
    if let Some(source) = route.source
        && !lookup::is_local(world, space, source)
    {
        return Err((libc::EINVAL, Some("Invalid prefsrc address")));
    }
    let entry = Entry {
        kind: Type::Unicast,
        table: table_of(route.table),
        dst: route.dst,
        gateway,
        link,
        source: route.source,
        metric: route.metric.unwrap_or_default(),
        mtu: route.mtu.filter(|mtu| *mtu != 0).map(|mtu| mtu.min(65535 - 15)),
        advmss: route.advmss.filter(|mss| *mss != 0).map(|mss| mss.min(65535 - 40)),
        scope,
        gateway_scope,
        kernel: false,
    };
    let Some(inside) = world.space_mut(space) else { return Err((libc::ENODEV, None)) };
    if inside.routes.contains(&entry) {
        return Err((libc::EEXIST, None));
    }
    inside.prepend(entry);
    Ok(())
}

/// A link that is to be reached directly: it must be up, unless only this host is meant.
fn directly_v4(world: &World, space: Space, link: u32, scope: u8) -> Result<u32, Refusal> {
    let device = world.device(At { space, index: link }).ok_or((libc::ENODEV, None))?;
    if scope == HOST {
        return Ok(link);
    }
    if device.conf4.is_none() {
        return Err((libc::ENODEV, None));
    }
    if device.up { Ok(link) } else { Err((libc::ENETDOWN, Some("Device for nexthop is not up"))) }
}

/// A gateway must be on a link: the way to it has a narrower scope than what is routed through it.
fn through_v4(
    world: &World,
    space: Space,
    route: &Route,
    gateway: IpAddr,
    scope: u8,
) -> Result<(u32, u8), Refusal> {
    let link = route.link.filter(|link| *link != 0);
    let question = Question { to: gateway, link, scope: LINK.max(scope.saturating_add(1)) };
    let table = table_of(route.table);
    let own = (table != MAIN).then(|| lookup::in_table(world, space, table, &question)).flatten();
    let way = own.or_else(|| lookup::find(world, space, &question));
    let invalid = Some("Nexthop has invalid gateway");
    let way = way.ok_or((libc::ENETUNREACH, invalid))?;
    if !matches!(way.kind, Type::Unicast | Type::Local) {
        return Err((libc::EINVAL, invalid));
    }
    let device = world.device(At { space, index: way.link }).ok_or((libc::EINVAL, None))?;
    if device.up { Ok((way.link, way.scope)) } else { Err((libc::ENETDOWN, None)) }
}

/// ip6_route_add.
pub(super) fn v6(world: &mut World, space: Space, route: &Route) -> Result<(), Refusal> {
    let mut link = route.link.filter(|link| *link != 0);
    if let Some(index) = link {
        let device = world.device(At { space, index }).ok_or((libc::ENODEV, None))?;
        device.conf6.as_ref().ok_or((libc::ENODEV, None))?;
    }
    if let Some(gateway) = route.gateway {
        link = Some(gateway_v6(world, space, route, gateway, link)?);
    }
    let index = link.ok_or((libc::ENODEV, None))?;
    let device = world.device(At { space, index }).ok_or((libc::ENODEV, None))?;
    if !device.has_ipv6() {
        return Err((libc::EACCES, Some("IPv6 is disabled on nexthop device")));
    }
    if !device.up {
        return Err((libc::ENETDOWN, Some("Nexthop device is not up")));
    }
    if let Some(source) = route.source
        && !has_address(world, space, source)
    {
        return Err((libc::EINVAL, Some("Invalid source address")));
    }
    let entry = Entry {
        kind: Type::Unicast,
        table: table_of(route.table),
        dst: route.dst,
        gateway: route.gateway,
        link: index,
        source: route.source,
        metric: route.metric.filter(|metric| *metric != 0).unwrap_or(METRIC_V6),
        mtu: route.mtu.filter(|mtu| *mtu != 0).map(|mtu| mtu.min(65535 - 15)),
        advmss: route.advmss.filter(|mss| *mss != 0).map(|mss| mss.min(65535 - 40)),
        scope: 0,
        gateway_scope: LINK,
        kernel: false,
    };
    let Some(inside) = world.space_mut(space) else { return Err((libc::ENODEV, None)) };
    let same =
        |other: &Entry| other.beside(&entry) && (other.link, other.gateway) == (entry.link, entry.gateway);
    if inside.routes.iter().any(same) {
        return Err((libc::EEXIST, None));
    }
    inside.append(entry);
    Ok(())
}

/// ip6_validate_gw: the link by which a gateway is reached.
fn gateway_v6(
    world: &World,
    space: Space,
    route: &Route,
    gateway: IpAddr,
    link: Option<u32>,
) -> Result<u32, Refusal> {
    let IpAddr::V6(ip) = gateway else { return Err((libc::EINVAL, None)) };
    let own = (libc::EINVAL, Some("Gateway can not be a local address"));
    let link_local = ip.is_unicast_link_local();
    let is_own = |link: u32| {
        let mut devices = world.devices(space).filter(|device| !link_local || device.index == link);
        devices.any(|device| holds(device, gateway))
    };
    if link.is_some_and(is_own) {
        return Err(own);
    }
    let mut found = link;
    if !link_local {
        if ip.is_multicast() || ip.is_unspecified() {
            return Err((libc::EINVAL, Some("Invalid gateway address")));
        }
        let question = Question { to: gateway, link, scope: 0 };
        // What is routed to the loopback goes nowhere.
        let nowhere = |way: &Entry| way.kind == Type::Unicast && way.link == LOOPBACK;
        let usable = |way: Option<&Entry>| way.is_some_and(|way| way.gateway.is_none() && !nowhere(way));
        let inside = lookup::in_table(world, space, table_of(route.table), &question);
        let way = if usable(inside) { inside } else { lookup::find(world, space, &question) };
        let way = way.filter(|way| usable(Some(way))).ok_or((libc::EHOSTUNREACH, None))?;
        if link.is_some_and(|link| link != way.link) {
            return Err((libc::EHOSTUNREACH, None));
        }
        found = Some(way.link);
    }
    let index = found.ok_or((libc::EINVAL, Some("Egress device not specified")))?;
    let device = world.device(At { space, index }).ok_or((libc::EINVAL, None))?;
    if device.kind == Kind::Loopback {
        return Err((libc::EINVAL, Some("Egress device can not be loopback device for this route")));
    }
    if link.is_none() && is_own(index) { Err(own) } else { Ok(index) }
}

fn holds(device: &Device, address: IpAddr) -> bool {
    device.v6.iter().any(|held| held.address.ip() == address)
}

fn has_address(world: &World, space: Space, address: IpAddr) -> bool {
    let held = |device: &Device| device.v6.iter().any(|held| held.address.ip() == address && !held.tentative);
    world.devices(space).any(held)
}

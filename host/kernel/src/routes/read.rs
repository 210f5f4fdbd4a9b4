//! Routes as the kernel tells them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{RouteAttribute, RouteHeader, RouteMessage, RouteType};
use wharf_ops::routes::Route;
use wharf_ops::{Error, Ns};

use crate::netlink::{Attributes, Message};
use crate::real::{RealKernel, place};

/// sizeof(struct rtmsg).
const HEADER: usize = 12;
const RTN_UNICAST: u8 = 1;
const RTN_LOCAL: u8 = 2;
const RTN_BROADCAST: u8 = 3;
const RTN_MULTICAST: u8 = 5;
const RTM_F_CLONED: u32 = 0x200;
const RTAX_MTU: u16 = 2;
const RTAX_ADVMSS: u16 = 8;
/// sizeof(struct rtnexthop).
const NEXT_HOP: usize = 8;

/// linux/rtnetlink.h; not in every libc.
const RTA_VIA: u16 = 18;

/// The unicast routes of one table. A table that is not there is empty.
pub(super) fn all(kernel: &mut RealKernel, ns: Ns, table: Option<u32>) -> Result<Vec<Route>, Error> {
    let table = table.filter(|table| *table != 0).unwrap_or(RouteHeader::RT_TABLE_MAIN.into());
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        request.header.kind = RouteType::Unicast;
        request.attributes = vec![RouteAttribute::Table(table)];
        let found = kernel.route(ns)?.dump(
            libc::RTM_GETROUTE,
            |body| {
                body.emit(&request);
            },
            // Filtered here too: a kernel without strict checking answers with everything.
            |message| read(message, |kind| kind == RTN_UNICAST, Some(table)),
        );
        match found {
            Ok(found) => routes.extend(found.into_iter().flatten()),
            Err(error) if matches!(error.errno(), Some(libc::ENOENT | libc::EOPNOTSUPP)) => {}
            Err(error) => {
                return Err(error.explain(format!("listing the routes of table {table} in {}", place(ns))));
            }
        }
    }
    Ok(routes)
}

/// The answer to a look-up: none if it is a route that leads nowhere.
pub(super) fn resolved(message: &Message<'_>) -> Option<Route> {
    let leads_somewhere = |kind| matches!(kind, RTN_UNICAST | RTN_LOCAL | RTN_BROADCAST | RTN_MULTICAST);
    read(message, leads_somewhere, None)?.into_iter().next()
}

/// One route for each next hop.
fn read(message: &Message<'_>, wanted: impl Fn(u8) -> bool, table: Option<u32>) -> Option<Vec<Route>> {
    if message.kind != libc::RTM_NEWROUTE {
        return None;
    }
    let [family, prefix, _source_prefix, _tos] = message.bytes(0)?;
    let [low_table, _protocol, scope, kind] = message.bytes(4)?;
    let flags = u32::from_ne_bytes(message.bytes(8)?);
    if !wanted(kind) || (table.is_some() && flags & RTM_F_CLONED != 0) {
        return None;
    }
    let any: IpAddr = match i32::from(family) {
        libc::AF_INET => Ipv4Addr::UNSPECIFIED.into(),
        libc::AF_INET6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let mut route = Route {
        table: Some(low_table.into()),
        scope: Some(scope),
        ..Route::to(IpNetwork::new(any, 0).ok()?)
    };
    let mut hops = None;
    for attribute in message.attributes(HEADER) {
        match attribute.kind {
            libc::RTA_DST => route.dst = IpNetwork::new(attribute.ip()?, prefix).ok()?,
            libc::RTA_GATEWAY | RTA_VIA | libc::RTA_OIF => hop(attribute, &mut route),
            libc::RTA_PREFSRC => route.source = attribute.ip(),
            libc::RTA_PRIORITY => route.metric = attribute.u32(),
            libc::RTA_TABLE => route.table = attribute.u32(),
            libc::RTA_METRICS => metrics(attribute.nested(), &mut route),
            libc::RTA_MULTIPATH => hops = Some(next_hops(attribute.value)),
            _ => {}
        }
    }
    if table.is_some() && route.table != table {
        return None;
    }
    let Some(hops) = hops else { return Some(vec![route]) };
    let each = hops.map(|(link, attributes)| {
        let mut route = Route { link: Some(link), ..route.clone() };
        attributes.for_each(|attribute| hop(attribute, &mut route));
        route
    });
    Some(each.collect())
}

fn hop(attribute: crate::netlink::Attribute<'_>, route: &mut Route) {
    match attribute.kind {
        libc::RTA_GATEWAY => route.gateway = attribute.ip(),
        libc::RTA_OIF => route.link = attribute.u32(),
        // struct rtvia: the family, then the address.
        RTA_VIA => {
            route.gateway = attribute
                .value
                .get(2..)
                .and_then(|value| crate::netlink::Attribute { value, ..attribute }.ip());
        }
        _ => {}
    }
}

fn metrics(attributes: Attributes<'_>, route: &mut Route) {
    for metric in attributes {
        match metric.kind {
            RTAX_MTU => route.mtu = metric.u32(),
            RTAX_ADVMSS => route.advmss = metric.u32(),
            _ => {}
        }
    }
}

/// The interface and the attributes of each struct rtnexthop.
fn next_hops(bytes: &[u8]) -> impl Iterator<Item = (u32, Attributes<'_>)> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let ([a, b, _flags, _hops, index @ ..], _) = rest.split_first_chunk::<NEXT_HOP>()?;
        let length = usize::from(u16::from_ne_bytes([*a, *b]));
        let hop = rest.get(NEXT_HOP..length)?;
        rest = rest.get(crate::netlink::attr::align(length)..).unwrap_or_default();
        Some((u32::from_ne_bytes(*index), Attributes::new(hop)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::Builder;

    fn message(builder: &Builder) -> Message<'_> {
        Message { kind: libc::RTM_NEWROUTE, flags: 0, sequence: 0, payload: builder.bytes() }
    }

    #[test]
    fn a_gateway_of_the_other_family_is_read() {
        let mut builder = Builder::default();
        builder.raw(&[2, 24, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]);
        let mut via = vec![10, 0];
        via.extend("fe80::1".parse::<Ipv6Addr>().unwrap().octets());
        builder.attribute(libc::RTA_DST, &[10, 9, 0, 0]).attribute(RTA_VIA, &via);
        let route = resolved(&message(&builder)).unwrap();
        assert_eq!(route.gateway, Some("fe80::1".parse().unwrap()));
        assert_eq!(route.dst, "10.9.0.0/24".parse().unwrap());
    }

    #[test]
    fn hostile_next_hops_end_the_list() {
        for bytes in [&[][..], &[8, 0, 0, 0], &[0; 8], &[7, 0, 0, 0, 1, 0, 0, 0], &[200, 0, 0, 0, 1, 0, 0, 0]]
        {
            assert_eq!(next_hops(bytes).count(), 0, "{bytes:?}");
        }
        assert_eq!(next_hops(&[8, 0, 0, 0, 1, 0, 0, 0]).count(), 1);
    }

    #[test]
    fn a_bad_prefix_or_family_is_no_route() {
        for header in [[2, 33, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0], [28, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0]] {
            let mut builder = Builder::default();
            builder.raw(&header).attribute(libc::RTA_DST, &[10, 9, 0, 0]);
            assert_eq!(resolved(&message(&builder)), None);
        }
        assert_eq!(
            resolved(&Message { kind: libc::RTM_NEWROUTE, flags: 0, sequence: 0, payload: &[2, 24] }),
            None
        );
    }
}

//! `wharf:net/routes`: unicast routes over rtnetlink.

mod read;

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::route::{
    RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope, RouteType,
};
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::{Error, Ns, Reply};

use crate::common::{check_route as check, describe_route as describe};
use crate::netlink::{CREATE, NetlinkError};
use crate::real::{RealKernel, place};

/// Carries out one operation.
pub(crate) fn apply(kernel: &mut RealKernel, op: &RouteOp) -> Result<Reply, Error> {
    match op {
        RouteOp::Add { ns, route } => add(kernel, *ns, route),
        RouteOp::Remove { ns, route } => remove(kernel, *ns, route),
        RouteOp::GetAll { ns, table } => read::all(kernel, *ns, *table).map(Reply::Routes),
        RouteOp::Lookup { ns, to } => lookup(kernel, *ns, *to).map(Reply::MaybeRoute),
    }
}

/// Without NLM_F_EXCL: a route to the same network by another way joins the first, and only the very same route is
/// one too many.
fn add(kernel: &mut RealKernel, ns: Ns, route: &Route) -> Result<Reply, Error> {
    check(route)?;
    if route.gateway.is_none() && route.link.is_none() {
        return Err(Error::invalid(format!("{} cannot be: it needs a gateway or a link", describe(route))));
    }
    let mut request = message(route);
    request.header.protocol = RouteProtocol::Boot;
    let default =
        if route.gateway.is_none() && route.dst.is_ipv4() { RouteScope::Link } else { RouteScope::Universe };
    request.header.scope = route.scope.map_or(default, RouteScope::from);
    let result = kernel.route(ns)?.request(libc::RTM_NEWROUTE, CREATE, |body| {
        body.emit(&request);
    });
    result
        .map(|()| Reply::Done)
        .map_err(|error| error.explain(format!("adding {} in {}", describe(route), place(ns))))
}

fn remove(kernel: &mut RealKernel, ns: Ns, route: &Route) -> Result<Reply, Error> {
    check(route)?;
    if !kernel.has(ns) {
        return Ok(Reply::Done);
    }
    let mut request = message(route);
    // Nowhere stands for any scope, protocol 0 for any protocol.
    request.header.scope = route.scope.map_or(RouteScope::NoWhere, RouteScope::from);
    let result = kernel.route(ns)?.request(libc::RTM_DELROUTE, 0, |body| {
        body.emit(&request);
    });
    match result {
        // ENODEV: the link is gone, and its routes with it. ENOENT: there is no such table.
        Err(error) if !matches!(error.errno(), Some(libc::ESRCH | libc::ENODEV | libc::ENOENT)) => {
            Err(error.explain(format!("removing {} in {}", describe(route), place(ns))))
        }
        _ => Ok(Reply::Done),
    }
}

/// What `ip route get` says.
fn lookup(kernel: &mut RealKernel, ns: Ns, to: IpAddr) -> Result<Option<Route>, Error> {
    let mut request = RouteMessage::default();
    request.header.address_family = family(to);
    request.header.destination_prefix_length = if to.is_ipv4() { 32 } else { 128 };
    if to.is_ipv4() {
        // IPv6 always tells the table, and refuses to be asked for it.
        request.header.flags = RouteFlags::LookupTable;
    }
    request.attributes = vec![RouteAttribute::Destination(to.into())];
    let found = kernel.route(ns)?.get(
        libc::RTM_GETROUTE,
        |body| {
            body.emit(&request);
        },
        read::resolved,
    );
    match found {
        Ok(route) => Ok(route),
        Err(error) if leads_nowhere(&error) => Ok(None),
        Err(error) => Err(error.explain(format!("looking up the route to {to} in {}", place(ns)))),
    }
}

/// No route, and what the kernel says of unreachable, prohibit and blackhole routes. A wrong question is EINVAL too,
/// but with an explanation.
fn leads_nowhere(error: &NetlinkError) -> bool {
    match error {
        NetlinkError::Refused { errno: libc::EINVAL, text, .. } => text.is_none(),
        error => {
            matches!(error.errno(), Some(libc::ENETUNREACH | libc::EHOSTUNREACH | libc::EACCES | libc::ESRCH))
        }
    }
}

fn message(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = family(route.dst.ip());
    message.header.destination_prefix_length = route.dst.prefix();
    message.header.kind = RouteType::Unicast;
    let attributes = &mut message.attributes;
    if route.dst.prefix() != 0 {
        attributes.push(RouteAttribute::Destination(route.dst.ip().into()));
    }
    // Table 0 is "unspecified", which the kernel takes for the main one.
    let table = route.table.filter(|table| *table != 0).unwrap_or(RouteHeader::RT_TABLE_MAIN.into());
    message.header.table = u8::try_from(table).unwrap_or(RouteHeader::RT_TABLE_UNSPEC);
    attributes.push(RouteAttribute::Table(table));
    attributes.extend(route.gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    attributes.extend(route.link.map(RouteAttribute::Oif));
    attributes.extend(route.source.map(|source| RouteAttribute::PrefSource(source.into())));
    attributes.extend(route.metric.map(RouteAttribute::Priority));
    let metrics = [route.mtu.map(RouteMetric::Mtu), route.advmss.map(RouteMetric::Advmss)];
    if metrics.iter().any(Option::is_some) {
        attributes.push(RouteAttribute::Metrics(metrics.into_iter().flatten().collect()));
    }
    message
}

fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

#[cfg(test)]
mod tests;

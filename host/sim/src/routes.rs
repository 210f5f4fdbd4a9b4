//! `routes`: what is where, in which table, and how the kernel finds it.

mod add;
pub(crate) mod lookup;

use std::net::IpAddr;

use wharf_kernel::common::{check_route, describe_route, place, refused};
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::{Error, IpNetwork, Ns, Reply};

use crate::call::Call;
use crate::world::Namespace;

/// RT_TABLE_DEFAULT, RT_TABLE_MAIN and RT_TABLE_LOCAL.
pub(crate) const DEFAULT: u32 = 253;
pub(crate) const MAIN: u32 = 254;
pub(crate) const LOCAL: u32 = 255;

/// Where a route leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Unicast,
    Local,
    Broadcast,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) kind: Type,
    pub(crate) table: u32,
    pub(crate) dst: IpNetwork,
    pub(crate) gateway: Option<IpAddr>,
    pub(crate) link: u32,
    pub(crate) source: Option<IpAddr>,
    pub(crate) metric: u32,
    pub(crate) mtu: Option<u32>,
    pub(crate) advmss: Option<u32>,
    pub(crate) scope: u8,
    /// IPv4: the scope of the way to the gateway. Through one that is not on a link nothing is sent.
    pub(crate) gateway_scope: u8,
    /// Whether the kernel made it.
    pub(crate) kernel: bool,
}

impl Entry {
    /// One that the kernel makes for itself, in the table of local addresses.
    pub(crate) fn of_kernel(kind: Type, dst: IpNetwork, link: u32) -> Self {
        Self {
            kind,
            table: LOCAL,
            dst,
            gateway: None,
            link,
            source: None,
            metric: 0,
            mtu: None,
            advmss: None,
            scope: 0,
            gateway_scope: add::LINK,
            kernel: true,
        }
    }

    fn told(&self) -> Route {
        Route {
            dst: self.dst,
            gateway: self.gateway,
            link: Some(self.link),
            source: self.source,
            // IPv4 does not tell a metric of zero.
            metric: Some(self.metric).filter(|metric| self.dst.is_ipv6() || *metric != 0),
            table: Some(self.table),
            mtu: self.mtu,
            advmss: self.advmss,
            scope: Some(self.scope),
        }
    }

    /// The gateway, if packets are sent to it.
    pub(crate) fn next_hop(&self) -> Option<IpAddr> {
        self.gateway.filter(|_| self.dst.is_ipv6() || self.gateway_scope == add::LINK)
    }

    /// Whether both are looked at for the same packets, one after the other.
    fn beside(&self, other: &Self) -> bool {
        (self.table, self.dst, self.metric) == (other.table, other.dst, other.metric)
    }
}

impl Namespace {
    /// Puts a route behind those to the same destination.
    pub(crate) fn append(&mut self, route: Entry) {
        if self.routes.contains(&route) {
            return;
        }
        let last = self.routes.iter().rposition(|other| other.beside(&route));
        self.routes.insert(last.map_or(self.routes.len(), |last| last + 1), route);
    }

    /// Puts a route before those to the same destination.
    fn prepend(&mut self, route: Entry) {
        let first = self.routes.iter().position(|other| other.beside(&route));
        self.routes.insert(first.unwrap_or(self.routes.len()), route);
    }
}

/// Carries out one operation.
pub(crate) fn apply(call: &mut Call<'_>, op: &RouteOp) -> Result<Reply, Error> {
    match op {
        RouteOp::Add { ns, route } => add(call, *ns, route),
        RouteOp::Remove { ns, route } => remove(call, *ns, route),
        RouteOp::GetAll { ns, table } => get_all(call, *ns, *table),
        RouteOp::Lookup { ns, to } => {
            let space = call.space(*ns)?;
            let found = lookup::resolve(call.world, space, *to);
            Ok(Reply::MaybeRoute(found.map(|way| lookup::told(call.world, space, &way, *to))))
        }
    }
}

fn add(call: &mut Call<'_>, ns: Ns, route: &Route) -> Result<Reply, Error> {
    check_route(route)?;
    if route.gateway.is_none() && route.link.is_none() {
        return Err(Error::invalid(format!(
            "{} cannot be: it needs a gateway or a link",
            describe_route(route)
        )));
    }
    let space = call.space(ns)?;
    let added = if route.dst.is_ipv4() {
        add::v4(call.world, space, route)
    } else {
        add::v6(call.world, space, route)
    };
    added.map(|()| Reply::Done).map_err(|(errno, text)| {
        refused(errno, text, format!("adding {} in {}", describe_route(route), place(ns)))
    })
}

/// The first one that has everything which is asked for; of IPv6, all ways of one that has several.
fn remove(call: &mut Call<'_>, ns: Ns, route: &Route) -> Result<Reply, Error> {
    check_route(route)?;
    if !call.has(ns) {
        return Ok(Reply::Done);
    }
    let space = call.space(ns)?;
    let Some(space) = call.world.space_mut(space) else { return Ok(Reply::Done) };
    let table = table_of(route.table);
    let asked = |wanted: Option<u32>, has: u32| wanted.is_none_or(|wanted| wanted == 0 || wanted == has);
    let v4 = route.dst.is_ipv4();
    let meant = |entry: &Entry| {
        let way = asked(route.link, entry.link) && route.gateway.is_none_or(|to| entry.gateway == Some(to));
        let common =
            (entry.table, entry.dst) == (table, route.dst) && asked(route.metric, entry.metric) && way;
        common && (!v4 || same_fields(entry, route))
    };
    let Some(first) = space.routes.iter().position(meant) else { return Ok(Reply::Done) };
    let gone = space.routes.remove(first);
    if !v4 && route.gateway.is_none() && gone.gateway.is_some() {
        // The siblings of a route with several ways.
        space.routes.retain(|entry| !(entry.beside(&gone) && entry.gateway.is_some()));
    }
    Ok(Reply::Done)
}

/// What only IPv4 compares.
fn same_fields(entry: &Entry, route: &Route) -> bool {
    entry.kind == Type::Unicast
        && route.scope.is_none_or(|scope| scope == add::NOWHERE || scope == entry.scope)
        && route.source.is_none_or(|source| entry.source == Some(source))
        && route.mtu.is_none_or(|mtu| entry.mtu == Some(mtu))
        && route.advmss.is_none_or(|advmss| entry.advmss == Some(advmss))
}

/// 0 is "unspecified", which the kernel takes for the main table.
fn table_of(table: Option<u32>) -> u32 {
    table.filter(|table| *table != 0).unwrap_or(MAIN)
}

/// By address; the more specific first where IPv4 is, the wider first where IPv6 is.
fn get_all(call: &Call<'_>, ns: Ns, table: Option<u32>) -> Result<Reply, Error> {
    let space = call.space(ns)?;
    let table = table_of(table);
    let all = call.world.space(space).map(|space| space.routes.as_slice()).unwrap_or_default();
    let mut found: Vec<&Entry> =
        all.iter().filter(|entry| entry.table == table && entry.kind == Type::Unicast).collect();
    found.sort_by_key(|entry| {
        let prefix = i16::from(entry.dst.prefix());
        let prefix = if entry.dst.is_ipv4() { -prefix } else { prefix };
        (entry.dst.is_ipv6(), entry.dst.ip(), prefix, entry.metric)
    });
    Ok(Reply::Routes(with_siblings(&found).into_iter().map(Entry::told).collect()))
}

/// IPv6 tells several gateways of one route as one, at the place of the first; and what stands between them not at all.
fn with_siblings<'a>(sorted: &[&'a Entry]) -> Vec<&'a Entry> {
    let mut told = Vec::with_capacity(sorted.len());
    for beside in sorted.chunk_by(|a, b| a.beside(b)) {
        let is_sibling = |entry: &&&Entry| entry.dst.is_ipv6() && entry.gateway.is_some();
        let siblings = || beside.iter().filter(is_sibling).copied();
        let first = beside.iter().position(|entry| is_sibling(&entry)).unwrap_or(beside.len());
        let last = beside.iter().rposition(|entry| is_sibling(&entry)).unwrap_or(first);
        let before = beside.get(..first).unwrap_or_default();
        let behind = beside.get(last + 1..).unwrap_or_default();
        told.extend(before.iter().copied().chain(siblings()).chain(behind.iter().copied()));
    }
    told
}

//! Routes.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::Netns;
use crate::bindings::wharf::net::routes as wit;
use crate::error::HostResult;

/// A unicast route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `0.0.0.0/0` or `::/0` is the default route. Host bits must be clear.
    pub dst: IpNetwork,
    /// The next hop.
    pub gateway: Option<IpAddr>,
    /// The outgoing interface's index.
    pub link: Option<u32>,
    /// The preferred source address.
    pub source: Option<IpAddr>,
    /// Priority; the lower wins.
    pub metric: Option<u32>,
    /// None is the main table.
    pub table: Option<u32>,
    /// Path MTU, in bytes.
    pub mtu: Option<u32>,
    /// The maximum segment size to advertise, in bytes.
    pub advmss: Option<u32>,
    /// rtnetlink(7): 0 universe, 200 site, 253 link, 254 host.
    pub scope: Option<u8>,
}

impl Route {
    /// A route with only a destination.
    pub fn new(dst: IpNetwork) -> Self {
        Self {
            dst,
            gateway: None,
            link: None,
            source: None,
            metric: None,
            table: None,
            mtu: None,
            advmss: None,
            scope: None,
        }
    }

    fn to_wit(&self) -> wit::Route {
        wit::Route {
            dst: self.dst.into(),
            gateway: self.gateway.map(Into::into),
            link: self.link,
            source: self.source.map(Into::into),
            metric: self.metric,
            table: self.table,
            mtu: self.mtu,
            advmss: self.advmss,
            scope: self.scope,
        }
    }
}

impl From<wit::Route> for Route {
    fn from(from: wit::Route) -> Self {
        Self {
            dst: from.dst.into(),
            gateway: from.gateway.map(Into::into),
            link: from.link,
            source: from.source.map(Into::into),
            metric: from.metric,
            table: from.table,
            mtu: from.mtu,
            advmss: from.advmss,
            scope: from.scope,
        }
    }
}

impl Netns {
    /// Adds a route; `already-exists` when the kernel holds the very same one.
    pub fn add_route(&self, route: &Route) -> HostResult<()> {
        Ok(wit::add(self, route.to_wit())?)
    }

    /// Removes a route; absent is success.
    pub fn remove_route(&self, route: &Route) -> HostResult<()> {
        Ok(wit::remove(self, route.to_wit())?)
    }

    /// The unicast routes of a table (none: main), both families.
    pub fn routes(&self, table: Option<u32>) -> HostResult<Vec<Route>> {
        Ok(wit::get_all(self, table)?.into_iter().map(Into::into).collect())
    }

    /// The route that a packet to `to` would take; none if it is unreachable.
    pub fn route_to(&self, to: IpAddr) -> HostResult<Option<Route>> {
        Ok(wit::lookup(self, to.into())?.map(Into::into))
    }
}

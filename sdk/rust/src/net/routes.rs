//! Routes.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use super::Netns;
use crate::bindings::wharf::net::routes as wit;
use crate::error::HostResult;

/// A unicast route.
///
/// ```
/// use wharf_sdk::net::Route;
/// let default = Route { gateway: Some([10, 22, 0, 1].into()), ..Route::new("0.0.0.0/0".parse()?) };
/// assert_eq!(default.table, None);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    ///
    /// ```
    /// let route = wharf_sdk::net::Route::new("192.0.2.0/24".parse()?);
    /// assert_eq!((route.gateway, route.link), (None, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, _container| {
    /// use wharf_sdk::{HostErrorKind, net::Route};
    /// let way = Route { gateway: Some([192, 0, 2, 1].into()), ..Route::new("198.51.100.0/24".parse().expect("a constant")) };
    /// host.add_route(&way)?;
    /// let again = host.add_route(&way).expect_err("it is there");
    /// assert_eq!(again.kind, HostErrorKind::AlreadyExists);
    /// # Ok(())
    /// # });
    /// ```
    pub fn add_route(&self, route: &Route) -> HostResult<()> {
        Ok(wit::add(self, route.to_wit())?)
    }

    /// Removes a route; absent is success.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, _container| {
    /// use wharf_sdk::net::Route;
    /// let way = Route { gateway: Some([192, 0, 2, 1].into()), ..Route::new("198.51.100.0/24".parse().expect("a constant")) };
    /// host.add_route(&way)?;
    /// host.remove_route(&way)?;
    /// host.remove_route(&way)?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn remove_route(&self, route: &Route) -> HostResult<()> {
        Ok(wit::remove(self, route.to_wit())?)
    }

    /// The unicast routes of a table (none: main), both families.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// assert!(host.routes(None)?.iter().any(|route| route.gateway == Some([192, 0, 2, 1].into())));
    /// assert!(container.routes(None)?.is_empty());
    /// # Ok(())
    /// # });
    /// ```
    pub fn routes(&self, table: Option<u32>) -> HostResult<Vec<Route>> {
        Ok(wit::get_all(self, table)?.into_iter().map(Into::into).collect())
    }

    /// The route that a packet to `to` would take; none if it is unreachable.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// let way = host.route_to([198, 51, 100, 7].into())?.expect("there is a default route");
    /// assert_eq!(way.gateway, Some([192, 0, 2, 1].into()));
    /// assert!(container.route_to([198, 51, 100, 7].into())?.is_none());
    /// # Ok(())
    /// # });
    /// ```
    pub fn route_to(&self, to: IpAddr) -> HostResult<Option<Route>> {
        Ok(wit::lookup(self, to.into())?.map(Into::into))
    }
}

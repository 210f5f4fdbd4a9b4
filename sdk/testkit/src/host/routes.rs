//! `wharf:net/routes`.

use wharf_ops::Reply;
use wharf_ops::routes::{self, RouteOp};
use wharf_sdk::Netns;
use wharf_sdk::native::Routes;
use wharf_sdk::native::wit::net::routes::Route;
use wharf_sdk::native::wit::types::ip::Address;

use super::{Answer, Host};
use crate::convert::ns;

impl Routes for Host {
    fn add(&self, within: &Netns, to: Route) -> Answer<()> {
        self.ask(RouteOp::Add { ns: ns(within.side()), route: route(to) }, Reply::done)
    }

    fn remove(&self, within: &Netns, to: Route) -> Answer<()> {
        self.ask(RouteOp::Remove { ns: ns(within.side()), route: route(to) }, Reply::done)
    }

    fn get_all(&self, within: &Netns, table: Option<u32>) -> Answer<Vec<Route>> {
        self.ask(RouteOp::GetAll { ns: ns(within.side()), table }, |reply| {
            Ok(reply.routes()?.iter().map(to_route).collect())
        })
    }

    fn lookup(&self, within: &Netns, to: Address) -> Answer<Option<Route>> {
        self.ask(RouteOp::Lookup { ns: ns(within.side()), to: to.into() }, |reply| {
            Ok(reply.maybe_route()?.as_ref().map(to_route))
        })
    }
}

fn route(from: Route) -> routes::Route {
    routes::Route {
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

fn to_route(from: &routes::Route) -> Route {
    Route {
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

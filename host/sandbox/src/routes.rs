//! `wharf:net/routes`.

use wasmtime::component::Resource;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::{Error, KernelOp, Ns, Op, Reply};

use crate::bindings::wharf::net::routes as wit;
use crate::convert::{address, cidr, to_address, to_cidr};
use crate::state::{self, Answer, State, valid};

fn op(op: RouteOp) -> Op {
    Op::Kernel(KernelOp::Route(op))
}

impl wit::Host for State {
    fn add(&mut self, ns: Resource<Ns>, from: wit::Route) -> Answer<()> {
        let route = valid!("routes/add", route(from));
        self.ask(op(RouteOp::Add { ns: state::ns(&ns), route }), Reply::done)
    }

    fn remove(&mut self, ns: Resource<Ns>, from: wit::Route) -> Answer<()> {
        let route = valid!("routes/remove", route(from));
        self.ask(op(RouteOp::Remove { ns: state::ns(&ns), route }), Reply::done)
    }

    fn get_all(&mut self, ns: Resource<Ns>, table: Option<u32>) -> Answer<Vec<wit::Route>> {
        self.ask(op(RouteOp::GetAll { ns: state::ns(&ns), table }), |reply| {
            Ok(reply.routes()?.iter().map(to_route).collect())
        })
    }

    fn lookup(&mut self, ns: Resource<Ns>, to: wit::Address) -> Answer<Option<wit::Route>> {
        self.ask(op(RouteOp::Lookup { ns: state::ns(&ns), to: address(to) }), |reply| {
            Ok(reply.maybe_route()?.as_ref().map(to_route))
        })
    }
}

fn route(from: wit::Route) -> Result<Route, Error> {
    Ok(Route {
        dst: cidr(from.dst)?,
        gateway: from.gateway.map(address),
        link: from.link,
        source: from.source.map(address),
        metric: from.metric,
        table: from.table,
        mtu: from.mtu,
        advmss: from.advmss,
        scope: from.scope,
    })
}

fn to_route(from: &Route) -> wit::Route {
    wit::Route {
        dst: to_cidr(from.dst),
        gateway: from.gateway.map(to_address),
        link: from.link,
        source: from.source.map(to_address),
        metric: from.metric,
        table: from.table,
        mtu: from.mtu,
        advmss: from.advmss,
        scope: from.scope,
    }
}

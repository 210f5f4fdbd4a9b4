//! A network namespace from outside: what is in it, and what somebody else than the guest puts there.

use std::rc::Rc;

use ipnetwork::IpNetwork;
use wharf_ops::addresses::AddressOp;
use wharf_ops::links::LinkOp;
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::{self, RouteOp};
use wharf_ops::shaping::ShapingOp;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{Attachment, Error, KernelOp, Link, Ns, Reply};
use wharf_sdk::net::{Neighbour, Route};
use wharf_sdk::tc::Rate;
use wharf_sdk::{HostResult, LinkInfo, Mac};
use wharf_sim::{Kernel as _, Space};

use crate::convert::{to_error, to_info};
use crate::machine::Machine;
use crate::passage::{self, Passage};

/// A namespace of a [`Node`](crate::Node).
///
/// What it answers is what a guest would be told. What it changes is not noted among the guest's changes.
///
/// ```
/// let node = wharf_testkit::Node::new();
/// let host = node.host();
/// host.add_device("ens4");
/// host.add_address("ens4", "198.51.100.7/24".parse()?)?;
/// assert!(host.link("ens4").is_some_and(|ens4| ens4.up));
/// assert!(host.addresses("ens4").contains(&"198.51.100.7/24".parse()?));
/// assert!(host.tcp("198.51.100.7:80").is_delivered());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Namespace {
    pub(crate) machine: Rc<Machine>,
    pub(crate) space: Space,
}

impl Namespace {
    /// The link of that name.
    pub fn link(&self, name: &str) -> Option<LinkInfo> {
        let link = self.handle(name).ok()?;
        let info = self.ask(&KernelOp::Link(LinkOp::Info { link })).and_then(Reply::info).ok()?;
        Some(to_info(info).into())
    }

    /// Every link.
    pub fn links(&self) -> Vec<LinkInfo> {
        let all = self.ask(&KernelOp::Link(LinkOp::GetAll { ns: Ns::Host })).and_then(Reply::infos);
        all.unwrap_or_default().into_iter().map(|info| to_info(info).into()).collect()
    }

    /// The addresses of a link, link-local ones too.
    pub fn addresses(&self, link: &str) -> Vec<IpNetwork> {
        let all = self.of(link, |on| KernelOp::Address(AddressOp::GetAll { on })).and_then(Reply::addresses);
        all.unwrap_or_default()
    }

    /// The routes of the main table.
    pub fn routes(&self) -> Vec<Route> {
        self.routes_in(None)
    }

    /// The routes of a table; none is the main one.
    pub fn routes_in(&self, table: Option<u32>) -> Vec<Route> {
        let all = self.ask(&KernelOp::Route(RouteOp::GetAll { ns: Ns::Host, table })).and_then(Reply::routes);
        all.unwrap_or_default().iter().map(to_route).collect()
    }

    /// The neighbours of a link that were set for good.
    pub fn neighbours(&self, link: &str) -> Vec<Neighbour> {
        let all =
            self.of(link, |on| KernelOp::Neighbour(NeighbourOp::GetAll { on })).and_then(Reply::neighbours);
        let all = all.unwrap_or_default().into_iter();
        all.map(|found| Neighbour {
            address: found.address,
            mac: found.mac.map(|mac| Mac(mac.0)),
            permanent: found.permanent,
        })
        .collect()
    }

    /// A kernel parameter, by its path below /proc/sys/net: `ipv4/ip_forward`.
    pub fn sysctl(&self, key: &str) -> Option<String> {
        let op = SysctlOp::Read { ns: Ns::Host, key: key.to_owned() };
        self.ask(&KernelOp::Sysctl(op)).and_then(Reply::text).ok()
    }

    /// The token bucket that limits what a link sends.
    pub fn egress(&self, link: &str) -> Option<Rate> {
        let rate =
            self.of(link, |on| KernelOp::Shaping(ShapingOp::GetEgress { on })).and_then(Reply::maybe_rate);
        rate.ok().flatten().map(|rate| Rate {
            bits_per_second: rate.bits_per_second,
            burst_bits: rate.burst_bits,
            latency_ms: rate.latency_ms,
        })
    }

    /// Adds a device such as a network card, up and with a carrier.
    pub fn add_device(&self, name: &str) {
        self.machine.sim.add_device(self.space, name, "");
        // A device that was just added is there.
        drop(self.set_up(name, true));
    }

    /// Gives a link an address.
    pub fn add_address(&self, link: &str, address: IpNetwork) -> HostResult<()> {
        done(self.of(link, |on| KernelOp::Address(AddressOp::Add { on, address })))
    }

    /// Raises or lowers a link.
    pub fn set_up(&self, link: &str, up: bool) -> HostResult<()> {
        done(self.of(link, |link| KernelOp::Link(LinkOp::SetUp { link, up })))
    }

    /// Removes a link, as an administrator would.
    pub fn remove_link(&self, link: &str) -> HostResult<()> {
        done(self.of(link, |link| KernelOp::Link(LinkOp::Delete { link })))
    }

    /// Adds a route.
    pub fn add_route(&self, route: &Route) -> HostResult<()> {
        let route = routes::Route {
            dst: route.dst,
            gateway: route.gateway,
            link: route.link,
            source: route.source,
            metric: route.metric,
            table: route.table,
            mtu: route.mtu,
            advmss: route.advmss,
            scope: route.scope,
        };
        done(self.ask(&KernelOp::Route(RouteOp::Add { ns: Ns::Host, route })))
    }

    /// Sets a kernel parameter.
    pub fn set_sysctl(&self, key: &str, value: &str) -> HostResult<()> {
        let op = SysctlOp::Write { ns: Ns::Host, key: key.to_owned(), value: value.to_owned() };
        done(self.ask(&KernelOp::Sysctl(op)))
    }

    /// What would become of the first packet of a TCP connection to `ADDRESS:PORT` from here.
    pub fn tcp(&self, to: &str) -> Passage {
        passage::tcp(&self.machine, self.space, to)
    }

    /// What would become of a UDP datagram to `ADDRESS:PORT` from here.
    pub fn udp(&self, to: &str) -> Passage {
        passage::udp(&self.machine, self.space, to)
    }

    fn handle(&self, name: &str) -> Result<Link, Error> {
        let get = KernelOp::Link(LinkOp::Get { ns: Ns::Host, name: name.to_owned() });
        let link = self.ask(&get)?.maybe_link()?;
        link.ok_or_else(|| {
            Error::not_found(format!("{} has no link {name:?}", self.machine.name(self.space)))
        })
    }

    fn of(&self, link: &str, op: impl FnOnce(Link) -> KernelOp) -> Result<Reply, Error> {
        self.ask(&op(self.handle(link)?))
    }

    /// Asks the kernel where this namespace is the host's.
    fn ask(&self, op: &KernelOp) -> Result<Reply, Error> {
        let nobody = Attachment { network: String::new(), container: String::new(), ifname: String::new() };
        let operation = op.operation().name;
        let answer = self.machine.sim.kernel(self.space, None).apply(&nobody, op);
        answer.map_err(|error| Error { operation: operation.to_owned(), ..error })
    }
}

fn done(answer: Result<Reply, Error>) -> HostResult<()> {
    answer.and_then(Reply::done).map_err(|error| to_error(error).into())
}

fn to_route(from: &routes::Route) -> Route {
    Route {
        dst: from.dst,
        gateway: from.gateway,
        link: from.link,
        source: from.source,
        metric: from.metric,
        table: from.table,
        mtu: from.mtu,
        advmss: from.advmss,
        scope: from.scope,
    }
}

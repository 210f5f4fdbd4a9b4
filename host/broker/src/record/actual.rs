//! What the host is like: one reader per kind of key. Lists are read once.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::time::Instant;

use ipnetwork::IpNetwork;
use wharf_kernel::Kernel;
use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::{BridgePortOp, PortState, VlanRange};
use wharf_ops::filter::FilterOp;
use wharf_ops::leases::LeaseOwner;
use wharf_ops::links::{Info, LinkOp};
use wharf_ops::nat::{MasqueradeRule, NatOp, PortForward};
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::ShapingOp;
use wharf_ops::sysctl::{SysctlOp, is_untold};
use wharf_ops::{Attachment, Error, ErrorKind, KernelOp, Link, Ns, Reply};

use super::compare::{is_moved, is_route, same_network, sorted, words};
use super::expected::forward_key;
use super::statement::{Key, Named, Value};
use crate::Paths;
use crate::grants::Limits;
use crate::leases::Pool;

/// The tables of routes that are nobody's but the administrator's: neither `default`, `main` nor `local`. What moves a
/// container's routes takes one of them.
const TABLES: RangeInclusive<u32> = 1..=252;

/// Reads the host for one attachment.
pub(super) struct Actual<'a> {
    kernel: &'a mut dyn Kernel,
    owner: &'a Attachment,
    paths: &'a Paths,
    links: BTreeMap<Ns, Vec<Info>>,
    masquerades: Option<Vec<MasqueradeRule>>,
    forwards: Option<Vec<PortForward>>,
}

impl<'a> Actual<'a> {
    pub(super) fn new(kernel: &'a mut dyn Kernel, owner: &'a Attachment, paths: &'a Paths) -> Self {
        kernel.set_deadline(None);
        Self { kernel, owner, paths, links: BTreeMap::new(), masquerades: None, forwards: None }
    }

    /// Whether `key` is about something of a link that is not there: one difference says it all.
    pub(super) fn lacks_link_of(&mut self, key: &Key) -> Result<bool, Error> {
        match key {
            Key::Link(_) => Ok(false),
            Key::Route(ns, Route { link: Some(index), .. }) => {
                Ok(!self.links(*ns)?.iter().any(|info| info.index == *index))
            }
            key => match key.link() {
                Some(link) => Ok(self.info(&link)?.is_none()),
                None => Ok(false),
            },
        }
    }

    /// What there is.
    pub(super) fn read(&mut self, key: &Key) -> Result<Value, Error> {
        match key {
            // Compared before anything is read.
            Key::Namespace => Ok(Value::Absent),
            Key::Link(link) => self.of(link, |info| {
                Some(Value::Link { kind: Some(info.kind.clone()), index: Some(info.index) })
            }),
            Key::Up(link) => self.of(link, |info| Some(Value::On(info.up))),
            Key::Mtu(link) => self.of(link, |info| Some(Value::Number(info.mtu))),
            Key::Mac(link) => self.of(link, |info| info.mac.map(Value::Mac)),
            Key::Promiscuous(link) => self.of(link, |info| Some(Value::On(info.promiscuous))),
            Key::Alias(link) => {
                self.of(link, |info| Some(Value::Text(info.alias.clone().unwrap_or_default())))
            }
            Key::Master(link) => {
                let master = self.info(link)?.and_then(|info| info.master);
                self.name_of(link.ns, master)
            }
            Key::Peer(link, ns) => {
                let Some(of) = self.handle(link)? else { return Ok(Value::Absent) };
                let peer = self.ask(&KernelOp::Link(LinkOp::Peer { of, ns: *ns }))?.maybe_link()?;
                Ok(peer.map_or(Value::Absent, |peer| Value::Name(peer.name)))
            }
            Key::Hairpin(port) => self.port(port, |state| state.hairpin),
            Key::Isolated(port) => self.port(port, |state| state.isolated),
            Key::Vlans(port) => {
                let ranges = self.vlans(port)?;
                let each = ranges
                    .iter()
                    .flat_map(|range| (range.first..=range.last).map(move |vlan| (vlan, range.untagged)));
                Ok(Value::Vlans(each.collect()))
            }
            Key::Pvid(port) => {
                let pvid = self.vlans(port)?.into_iter().find(|range| range.pvid);
                Ok(pvid.map_or(Value::Absent, |range| Value::Number(range.first.into())))
            }
            Key::Address(link, address) => self.address(link, *address),
            Key::Route(ns, route) => self.route(*ns, route),
            Key::Neighbour(link, address) => self.neighbour(link, *address),
            Key::Sysctl(ns, key) => self.sysctl(*ns, key),
            Key::Egress(link) => {
                let Some(on) = self.handle(link)? else { return Ok(Value::Absent) };
                let rate = self.ask(&KernelOp::Shaping(ShapingOp::GetEgress { on }))?.maybe_rate()?;
                Ok(rate.map_or(Value::Absent, Value::Rate))
            }
            Key::Redirect(link) => {
                let Some(on) = self.handle(link)? else { return Ok(Value::Absent) };
                let to = self.ask(&KernelOp::Shaping(ShapingOp::GetRedirect { on }))?.maybe_index()?;
                self.name_of(link.ns, to)
            }
            Key::Masquerade(source) => self.masquerade(*source),
            Key::Forward { .. } => self.forward(key),
            Key::AntiSpoof(link) => {
                let get = FilterOp::GetAntiSpoof { link: link.clone() };
                let mac = self.ask(&KernelOp::Filter(get))?.maybe_mac()?;
                Ok(mac.map_or(Value::Absent, Value::Mac))
            }
            Key::Lease(directory, address) => self.lease(directory.as_deref(), *address),
        }
    }

    fn ask(&mut self, op: &KernelOp) -> Result<Reply, Error> {
        let name = op.operation().name;
        self.kernel.apply(self.owner, op).map_err(|mut error| {
            name.clone_into(&mut error.operation);
            error
        })
    }

    fn links(&mut self, ns: Ns) -> Result<&[Info], Error> {
        if !self.links.contains_key(&ns) {
            let infos = self.ask(&KernelOp::Link(LinkOp::GetAll { ns }))?.infos()?;
            self.links.insert(ns, infos);
        }
        Ok(self.links.get(&ns).map(Vec::as_slice).unwrap_or_default())
    }

    fn info(&mut self, link: &Named) -> Result<Option<&Info>, Error> {
        Ok(self.links(link.ns)?.iter().find(|info| info.name == link.name))
    }

    fn handle(&mut self, link: &Named) -> Result<Option<Link>, Error> {
        let index = self.info(link)?.map(|info| info.index);
        Ok(index.map(|index| Link { ns: link.ns, index, name: link.name.clone() }))
    }

    fn of(&mut self, link: &Named, read: impl Fn(&Info) -> Option<Value>) -> Result<Value, Error> {
        Ok(self.info(link)?.and_then(read).unwrap_or(Value::Absent))
    }

    fn name_of(&mut self, ns: Ns, index: Option<u32>) -> Result<Value, Error> {
        let found = self.links(ns)?.iter().find(|info| Some(info.index) == index);
        Ok(found.map_or(Value::Absent, |info| Value::Name(info.name.clone())))
    }

    fn port(&mut self, port: &Named, read: fn(PortState) -> bool) -> Result<Value, Error> {
        let Some(handle) = self.handle(port)? else { return Ok(Value::Absent) };
        match self.ask(&KernelOp::BridgePort(BridgePortOp::Get { port: handle })) {
            Ok(reply) => Ok(Value::On(read(reply.port()?))),
            // It is no port any more.
            Err(error) if is_absence(&error) => Ok(Value::Absent),
            Err(error) => Err(error),
        }
    }

    fn vlans(&mut self, port: &Named) -> Result<Vec<VlanRange>, Error> {
        let Some(handle) = self.handle(port)? else { return Ok(Vec::new()) };
        match self.ask(&KernelOp::BridgePort(BridgePortOp::GetVlans { port: handle })) {
            Ok(reply) => reply.vlans(),
            Err(error) if is_absence(&error) => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn address(&mut self, link: &Named, address: IpNetwork) -> Result<Value, Error> {
        let Some(on) = self.handle(link)? else { return Ok(Value::Absent) };
        let all = self.ask(&KernelOp::Address(AddressOp::GetAll { on }))?.addresses()?;
        Ok(if all.contains(&address) { Value::Present } else { Value::Absent })
    }

    fn route(&mut self, ns: Ns, route: &Route) -> Result<Value, Error> {
        let all = self.ask(&KernelOp::Route(RouteOp::GetAll { ns, table: route.table }))?.routes()?;
        if all.iter().any(|found| is_route(route, found)) {
            return Ok(Value::Present);
        }
        if ns == Ns::Container {
            for table in TABLES {
                let all = self.ask(&KernelOp::Route(RouteOp::GetAll { ns, table: Some(table) }))?.routes()?;
                if let Some(moved) = all.into_iter().find(|found| is_moved(route, found)) {
                    return Ok(Value::Route(moved));
                }
            }
        }
        // A default route may lead out by another interface.
        let elsewhere = route.dst.prefix() == 0 || route.link.is_none();
        let near = all
            .into_iter()
            .find(|found| same_network(found.dst, route.dst) && (elsewhere || found.link == route.link));
        Ok(near.map_or(Value::Absent, Value::Route))
    }

    fn neighbour(&mut self, link: &Named, address: IpAddr) -> Result<Value, Error> {
        let Some(on) = self.handle(link)? else { return Ok(Value::Absent) };
        let all = self.ask(&KernelOp::Neighbour(NeighbourOp::GetAll { on }))?.neighbours()?;
        let found = all.into_iter().find(|entry| entry.address == address && entry.permanent);
        Ok(found.and_then(|entry| entry.mac).map_or(Value::Absent, Value::Mac))
    }

    fn sysctl(&mut self, ns: Ns, key: &str) -> Result<Value, Error> {
        match self.ask(&KernelOp::Sysctl(SysctlOp::Read { ns, key: key.to_owned() })) {
            Ok(reply) => Ok(Value::Text(words(&reply.text()?))),
            Err(error) if error.kind == ErrorKind::NotFound => Ok(Value::Absent),
            Err(error) if is_untold(&error) => Ok(Value::Untold),
            Err(error) => Err(error),
        }
    }

    fn masquerade(&mut self, source: IpAddr) -> Result<Value, Error> {
        if self.masquerades.is_none() {
            self.masquerades = Some(self.ask(&KernelOp::Nat(NatOp::GetMasquerades))?.masquerades()?);
        }
        let found = self.masquerades.iter().flatten().find(|rule| rule.source == source);
        Ok(found.map_or(Value::Absent, |rule| Value::Except(sorted(&rule.except))))
    }

    fn forward(&mut self, key: &Key) -> Result<Value, Error> {
        if self.forwards.is_none() {
            self.forwards = Some(self.ask(&KernelOp::Nat(NatOp::GetForwards))?.forwards()?);
        }
        let found = self.forwards.iter().flatten().find(|rule| forward_key(rule) == *key);
        Ok(found.map_or(Value::Absent, |rule| Value::To(rule.container_address, rule.container_port)))
    }

    fn lease(&mut self, directory: Option<&str>, address: IpAddr) -> Result<Value, Error> {
        let network = &self.owner.network;
        let path = self.paths.leases(directory, network);
        // Opening it would make it.
        if !path.is_dir() {
            return Ok(Value::Absent);
        }
        let until = Instant::now() + Limits::default().deadline();
        let mut pool = Pool::open(&path, &self.paths.lease_index(directory, network), Some(until))?;
        let owner = LeaseOwner { container: self.owner.container.clone(), ifname: self.owner.ifname.clone() };
        let held = pool.find(&owner)?;
        Ok(if held.contains(&address) { Value::Present } else { Value::Absent })
    }
}

/// Whether an error says that there is no such thing.
fn is_absence(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::NotFound | ErrorKind::Unsupported | ErrorKind::Invalid)
}

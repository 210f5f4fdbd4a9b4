//! What undoes an operation, computed from the state before it.

use ipnetwork::IpNetwork;
use wharf_kernel::Kernel;
use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::filter::FilterOp;
use wharf_ops::links::{Info, LinkOp};
use wharf_ops::nat::NatOp;
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::ShapingOp;
use wharf_ops::sysctl::{SysctlOp, is_untold};
use wharf_ops::{Attachment, Error, KernelOp, Link, Ns, Reply};

use crate::journal::{Outcome, Shared, Undo};
use crate::running::Running;

/// What is to be done about an operation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// Carry it out; these undo it.
    Do(Vec<Undo>),
    /// The kernel is that way already: nothing to do, nothing to undo.
    AlreadySo,
}

/// Switches of the host, or of a bridge, that other attachments rely on as soon as they are set: an ADD that fails leaves
/// them as they are.
fn is_shared(key: &str) -> bool {
    let last = key.rsplit('/').next().unwrap_or_default();
    matches!(key, "ipv4/ip_forward" | "ipv6/conf/all/forwarding")
        || matches!(last, "accept_ra" | "accept_dad" | "route_localnet")
}

/// Reads the kernel before `op` and says how to undo it.
pub(crate) fn plan(
    kernel: &mut dyn Kernel,
    owner: &Attachment,
    running: &Running,
    op: &KernelOp,
) -> Result<Plan, Error> {
    let mut reader = Reader { kernel, owner, running };
    match op {
        KernelOp::Link(op) => reader.link(op),
        KernelOp::BridgePort(op) => reader.bridge_port(op),
        KernelOp::Address(op) => reader.address(op),
        KernelOp::Route(op) => reader.route(op),
        KernelOp::Neighbour(op) => reader.neighbour(op),
        KernelOp::Sysctl(op) => reader.sysctl(op),
        KernelOp::Shaping(op) => reader.shaping(op),
        KernelOp::Nat(op) => Ok(reader.nat(op)),
        KernelOp::Filter(op) => Ok(reader.filter(op)),
        // A forgotten flow comes back with its next packet.
        KernelOp::Conntrack(_) => Ok(NOTHING),
    }
}

/// What came of an operation that was carried out.
pub(crate) fn outcome(reply: &Reply) -> Outcome {
    match reply {
        Reply::Pair(a, b) => Outcome::Created(vec![a.clone(), b.clone()]),
        Reply::Link(link) | Reply::Bridge(link, true) => Outcome::Created(vec![link.clone()]),
        // Somebody was faster: it is theirs.
        Reply::Bridge(_, false) => Outcome::AlreadySo,
        _ => Outcome::Done,
    }
}

const NOTHING: Plan = Plan::Do(Vec::new());

fn by(op: KernelOp) -> Plan {
    Plan::Do(vec![Undo { op, unless_joined: None }])
}

/// Whether a route goes with an address of a link. The one to its own network comes with it.
fn is_by(route: &Route, link: u32, address: IpNetwork) -> bool {
    let own = route.gateway.is_none()
        && route.dst.ip() == address.network()
        && route.dst.prefix() == address.prefix();
    route.link == Some(link)
        && !own
        && (route.source == Some(address.ip())
            || route.gateway.is_some_and(|gateway| address.contains(gateway)))
}

fn by_name(ns: Ns, name: &str) -> Link {
    Link { ns, index: 0, name: name.to_string() }
}

struct Reader<'a> {
    kernel: &'a mut dyn Kernel,
    owner: &'a Attachment,
    running: &'a Running,
}

impl Reader<'_> {
    fn ask(&mut self, op: &KernelOp) -> Result<Reply, Error> {
        self.kernel.apply(self.owner, op)
    }

    fn info(&mut self, link: &Link) -> Result<Info, Error> {
        self.ask(&KernelOp::Link(LinkOp::Info { link: link.clone() }))?.info()
    }

    /// Undo for a change to a link that was there before. A bridge is shared: what was done to it stays once
    /// somebody else joined.
    fn on(&mut self, link: &Link, info: &Info, op: KernelOp) -> Result<Plan, Error> {
        let unless_joined = if info.kind == "bridge" { Some(self.shared(link, info)?) } else { None };
        Ok(Plan::Do(vec![Undo { op, unless_joined }]))
    }

    fn shared(&mut self, link: &Link, info: &Info) -> Result<Shared, Error> {
        let all = self.ask(&KernelOp::Link(LinkOp::GetAll { ns: link.ns }))?.infos()?;
        let ports = all.iter().filter(|port| port.master == Some(info.index)).map(|port| port.index);
        Ok(Shared { bridge: link.clone(), ports: ports.collect() })
    }

    fn link(&mut self, op: &LinkOp) -> Result<Plan, Error> {
        let link = match op {
            LinkOp::CreateVeth { a, .. } => return self.creation(a.ns, &a.name, |link| LinkOp::Delete { link }),
            LinkOp::CreateIfb { ns, common } => {
                return self.creation(*ns, &common.name, |link| LinkOp::Delete { link });
            }
            LinkOp::EnsureBridge { ns, common, .. } => {
                return self.bridge(*ns, &common.name);
            }
            LinkOp::Get { .. }
            | LinkOp::GetAll { .. }
            | LinkOp::Info { .. }
            | LinkOp::Peer { .. }
            | LinkOp::WaitOperational { .. }
            // Nothing brings a deleted link back as it was.
            | LinkOp::Delete { .. }
            | LinkOp::DeleteMany { .. }
            | LinkOp::DeleteUnusedBridge { .. } => return Ok(NOTHING),
            LinkOp::SetUp { link, .. }
            | LinkOp::SetMtu { link, .. }
            | LinkOp::SetMac { link, .. }
            | LinkOp::SetMaster { link, .. }
            | LinkOp::SetPromiscuous { link, .. }
            | LinkOp::SetAlias { link, .. } => link,
        };
        if self.running.owns(link) {
            return Ok(NOTHING);
        }
        let info = self.info(link)?;
        Ok(match setting_before(op, link, &info) {
            Some(before) if before == *op && !matches!(op, LinkOp::SetMac { .. }) => Plan::AlreadySo,
            Some(before) => self.on(link, &info, KernelOp::Link(before))?,
            None => NOTHING,
        })
    }

    /// As [`Self::creation`]; others may join the bridge as soon as it is there.
    fn bridge(&mut self, ns: Ns, name: &str) -> Result<Plan, Error> {
        let mut plan = self.creation(ns, name, |link| LinkOp::DeleteUnusedBridge { link })?;
        if let Plan::Do(undo) = &mut plan {
            for undo in undo {
                undo.unless_joined = Some(Shared { bridge: by_name(ns, name), ports: Vec::new() });
            }
        }
        Ok(plan)
    }

    /// Undo for a link that is about to be created, by its name: its index is not known yet. A link that has the name
    /// already is somebody else's, whatever happens between now and the creation.
    fn creation(&mut self, ns: Ns, name: &str, undo: fn(Link) -> LinkOp) -> Result<Plan, Error> {
        let there = self.ask(&KernelOp::Link(LinkOp::Get { ns, name: name.to_owned() }))?.maybe_link()?;
        Ok(if there.is_some() { NOTHING } else { by(KernelOp::Link(undo(by_name(ns, name)))) })
    }

    /// Each call replaces the attachment's rules: where an earlier ADD of it is in force, its rules come back.
    fn nat(&self, op: &NatOp) -> Plan {
        let undo = |remove: NatOp, same: fn(&NatOp) -> bool| {
            let before = self.running.earlier().find(|op| matches!(op, KernelOp::Nat(op) if same(op)));
            // Removed first, for the other backend may have made those.
            let both = [Some(KernelOp::Nat(remove)), before.cloned()];
            Plan::Do(both.into_iter().flatten().map(|op| Undo { op, unless_joined: None }).collect())
        };
        match op {
            NatOp::Masquerade { .. } => {
                undo(NatOp::RemoveMasquerades, |op| matches!(op, NatOp::Masquerade { .. }))
            }
            NatOp::ForwardPorts { .. } => {
                undo(NatOp::RemoveForwards, |op| matches!(op, NatOp::ForwardPorts { .. }))
            }
            // Removing is what a DEL does, and a DEL goes forward only.
            NatOp::Detect
            | NatOp::GetMasquerades
            | NatOp::RemoveMasquerades
            | NatOp::GetForwards
            | NatOp::RemoveForwards => NOTHING,
        }
    }

    /// As [`Self::nat`], but each call is about one link.
    fn filter(&self, op: &FilterOp) -> Plan {
        match op {
            FilterOp::AntiSpoof { .. } => {
                let is_guard = |op: &&KernelOp| matches!(op, KernelOp::Filter(FilterOp::AntiSpoof { .. }));
                let mut before: Vec<KernelOp> = self.running.earlier().filter(is_guard).cloned().collect();
                before.push(KernelOp::Filter(FilterOp::RemoveAntiSpoof));
                // Oldest first, after everything was removed.
                let undo = before.into_iter().rev().map(|op| Undo { op, unless_joined: None });
                Plan::Do(undo.collect())
            }
            FilterOp::GetAntiSpoof { .. } | FilterOp::RemoveAntiSpoof => NOTHING,
        }
    }

    fn bridge_port(&mut self, op: &BridgePortOp) -> Result<Plan, Error> {
        let port = match op {
            BridgePortOp::Get { .. } | BridgePortOp::GetVlans { .. } => return Ok(NOTHING),
            BridgePortOp::SetHairpin { port, .. }
            | BridgePortOp::SetIsolated { port, .. }
            | BridgePortOp::AddVlan { port, .. }
            | BridgePortOp::RemoveVlan { port, .. } => port,
        };
        if self.running.owns(port) {
            return Ok(NOTHING);
        }
        let state = self.ask(&KernelOp::BridgePort(BridgePortOp::Get { port: port.clone() }))?.port()?;
        let port = port.clone();
        Ok(match op {
            BridgePortOp::SetHairpin { on, .. } if *on == state.hairpin => Plan::AlreadySo,
            BridgePortOp::SetIsolated { on, .. } if *on == state.isolated => Plan::AlreadySo,
            BridgePortOp::SetHairpin { .. } => {
                by(KernelOp::BridgePort(BridgePortOp::SetHairpin { port, on: state.hairpin }))
            }
            BridgePortOp::SetIsolated { .. } => {
                by(KernelOp::BridgePort(BridgePortOp::SetIsolated { port, on: state.isolated }))
            }
            BridgePortOp::AddVlan { range, .. } | BridgePortOp::RemoveVlan { range, .. } => {
                self.vlans(op, &port, *range)?
            }
            BridgePortOp::Get { .. } | BridgePortOp::GetVlans { .. } => NOTHING,
        })
    }

    /// What the port has of the range comes back as it is; what it does not have is taken away.
    fn vlans(&mut self, op: &BridgePortOp, port: &Link, range: VlanRange) -> Result<Plan, Error> {
        let get = BridgePortOp::GetVlans { port: port.clone() };
        let present = self.ask(&KernelOp::BridgePort(get))?.vlans()?;
        let adds = matches!(op, BridgePortOp::AddVlan { .. });
        let remove = adds.then(|| BridgePortOp::RemoveVlan { port: port.clone(), range });
        let before = present.iter().filter_map(|present| match overlap(*present, range) {
            // There is one VLAN of untagged frames: another one takes its place.
            None => (adds && range.pvid && present.pvid).then_some(*present),
            shared => shared,
        });
        let before = before.map(|range| BridgePortOp::AddVlan { port: port.clone(), range });
        let undo = remove.into_iter().chain(before).map(KernelOp::BridgePort);
        Ok(Plan::Do(undo.map(|op| Undo { op, unless_joined: None }).collect()))
    }

    fn address(&mut self, op: &AddressOp) -> Result<Plan, Error> {
        let (on, address) = match op {
            AddressOp::GetAll { .. } | AddressOp::Settle { .. } | AddressOp::Announce { .. } => {
                return Ok(NOTHING);
            }
            AddressOp::Add { on, address } | AddressOp::Remove { on, address } => (on, *address),
        };
        if self.running.owns(on) {
            return Ok(NOTHING);
        }
        let all = self.ask(&KernelOp::Address(AddressOp::GetAll { on: on.clone() }))?.addresses()?;
        let present = all.contains(&address);
        Ok(match op {
            // Whoever joined since has its own gateway: one more does not harm it, and others rely on this one.
            AddressOp::Remove { .. } if present => {
                let undo = self.given_back(on, address, &all)?;
                Plan::Do(undo.into_iter().map(|op| Undo { op, unless_joined: None }).collect())
            }
            AddressOp::Add { .. } if !present => {
                let info = self.info(on)?;
                self.on(on, &info, KernelOp::Address(AddressOp::Remove { on: on.clone(), address }))?
            }
            AddressOp::Remove { .. } => Plan::AlreadySo,
            // Adding what is there is the kernel's to refuse.
            AddressOp::Add { .. }
            | AddressOp::GetAll { .. }
            | AddressOp::Settle { .. }
            | AddressOp::Announce { .. } => NOTHING,
        })
    }

    /// An address, and what goes with an IPv4 address: routes by it, and if it is the first of its network the others,
    /// which the kernel removes or puts before it (`promote_secondaries`).
    fn given_back(
        &mut self,
        on: &Link,
        address: IpNetwork,
        all: &[IpNetwork],
    ) -> Result<Vec<KernelOp>, Error> {
        let add = |address| KernelOp::Address(AddressOp::Add { on: on.clone(), address });
        if !address.is_ipv4() {
            return Ok(vec![add(address)]);
        }
        let alike =
            |other: &&IpNetwork| (other.network(), other.prefix()) == (address.network(), address.prefix());
        let mut others: Vec<IpNetwork> = all.iter().filter(alike).copied().collect();
        if others.first() == Some(&address) {
            others.remove(0);
        } else {
            others.clear();
        }
        let remove = |address| KernelOp::Address(AddressOp::Remove { on: on.clone(), address });
        let mut undo: Vec<KernelOp> = others.iter().copied().map(remove).collect();
        undo.push(add(address));
        undo.extend(others.into_iter().map(add));
        let index = self.info(on)?.index;
        let routes = self.ask(&KernelOp::Route(RouteOp::GetAll { ns: on.ns, table: None }))?.routes()?;
        let mut routes: Vec<Route> =
            routes.into_iter().filter(|route| is_by(route, index, address)).collect();
        // A gateway is reached by a route without one.
        routes.sort_by_key(|route| route.gateway.is_some());
        undo.extend(routes.into_iter().map(|route| KernelOp::Route(RouteOp::Add { ns: on.ns, route })));
        Ok(undo)
    }

    fn route(&mut self, op: &RouteOp) -> Result<Plan, Error> {
        Ok(match op {
            RouteOp::GetAll { .. } | RouteOp::Lookup { .. } => NOTHING,
            RouteOp::Add { ns, route }
                if route.link.is_some_and(|link| self.running.takes_along(*ns, link)) =>
            {
                NOTHING
            }
            RouteOp::Add { ns, route } => {
                by(KernelOp::Route(RouteOp::Remove { ns: *ns, route: route.clone() }))
            }
            RouteOp::Remove { ns, route } => {
                let all =
                    self.ask(&KernelOp::Route(RouteOp::GetAll { ns: *ns, table: route.table }))?.routes()?;
                // The kernel takes the first that fits, and has them by metric.
                let fits = all.iter().filter(|other| fits(route, other));
                match fits.min_by_key(|other| other.metric.unwrap_or_default()) {
                    Some(route) if route.link.is_some_and(|link| self.running.takes_along(*ns, link)) => {
                        NOTHING
                    }
                    Some(route) => by(KernelOp::Route(RouteOp::Add { ns: *ns, route: route.clone() })),
                    None => NOTHING,
                }
            }
        })
    }

    fn neighbour(&mut self, op: &NeighbourOp) -> Result<Plan, Error> {
        let (on, address) = match op {
            NeighbourOp::GetAll { .. } => return Ok(NOTHING),
            NeighbourOp::Set { on, address, .. } | NeighbourOp::Remove { on, address } => (on, *address),
        };
        if self.running.takes_along(on.ns, on.index) {
            return Ok(NOTHING);
        }
        let all = self.ask(&KernelOp::Neighbour(NeighbourOp::GetAll { on: on.clone() }))?.neighbours()?;
        let before =
            all.iter().find(|entry| entry.address == address && entry.permanent).and_then(|entry| entry.mac);
        let on = on.clone();
        Ok(by(KernelOp::Neighbour(match before {
            Some(mac) => NeighbourOp::Set { on, address, mac },
            None => NeighbourOp::Remove { on, address },
        })))
    }

    fn sysctl(&mut self, op: &SysctlOp) -> Result<Plan, Error> {
        let SysctlOp::Write { ns, key, value } = op else { return Ok(NOTHING) };
        // `ipv4/conf/<link>/...` and `ipv6/conf/<link>/...` end with their link.
        if let [_, "conf" | "neigh", link, _] = key.split('/').collect::<Vec<_>>().as_slice()
            && self.running.owns_name(*ns, link)
        {
            return Ok(NOTHING);
        }
        let before = match self.ask(&KernelOp::Sysctl(SysctlOp::Read { ns: *ns, key: key.clone() })) {
            Ok(reply) => reply.text()?,
            // There is no value to go back to.
            Err(error) if is_untold(&error) => return Ok(NOTHING),
            Err(error) => return Err(error),
        };
        if before == *value {
            return Ok(Plan::AlreadySo);
        }
        if *ns == Ns::Host && is_shared(key) {
            return Ok(NOTHING);
        }
        Ok(by(KernelOp::Sysctl(SysctlOp::Write { ns: *ns, key: key.clone(), value: before })))
    }

    fn shaping(&mut self, op: &ShapingOp) -> Result<Plan, Error> {
        Ok(match op {
            ShapingOp::SetEgress { on, .. } | ShapingOp::RedirectIngress { on, .. }
                if self.running.owns(on) =>
            {
                NOTHING
            }
            // Each way is put back by itself: what is at the other one may be an operator's, or an earlier ADD's.
            ShapingOp::SetEgress { on, .. } => {
                let get = ShapingOp::GetEgress { on: on.clone() };
                let before = self.ask(&KernelOp::Shaping(get))?.maybe_rate()?;
                by(KernelOp::Shaping(match before {
                    Some(rate) => ShapingOp::SetEgress { on: on.clone(), rate },
                    None => ShapingOp::ClearEgress { on: on.clone() },
                }))
            }
            ShapingOp::RedirectIngress { on, .. } => {
                let get = ShapingOp::GetRedirect { on: on.clone() };
                // One to a link that is gone leads to 0.
                let before = self.ask(&KernelOp::Shaping(get))?.maybe_index()?.filter(|to| *to != 0);
                by(KernelOp::Shaping(match before {
                    Some(index) => {
                        let to = Link { ns: on.ns, index, name: String::new() };
                        ShapingOp::RedirectIngress { on: on.clone(), to }
                    }
                    None => ShapingOp::ClearIngress { on: on.clone() },
                }))
            }
            ShapingOp::Clear { .. }
            | ShapingOp::ClearEgress { .. }
            | ShapingOp::ClearIngress { .. }
            | ShapingOp::GetEgress { .. }
            | ShapingOp::GetRedirect { .. } => NOTHING,
        })
    }
}

/// Whether `other` is what a removal of `wanted` takes: what is not said can be anything.
pub(crate) fn fits(wanted: &Route, other: &Route) -> bool {
    fn says<T: PartialEq + Copy>(wanted: Option<T>, other: Option<T>) -> bool {
        wanted.is_none() || wanted == other
    }
    wanted.dst == other.dst
        && says(wanted.gateway, other.gateway)
        && says(wanted.link, other.link)
        && says(wanted.source, other.source)
        && says(wanted.metric.filter(|metric| *metric != 0), other.metric)
        && says(wanted.mtu, other.mtu)
        && says(wanted.advmss, other.advmss)
        // IPv6 has no scopes.
        && (wanted.dst.is_ipv6() || says(wanted.scope, other.scope))
}

/// The part of `present` that `range` covers, with the flags that it has.
fn overlap(present: VlanRange, range: VlanRange) -> Option<VlanRange> {
    let (first, last) = (present.first.max(range.first), present.last.min(range.last));
    (first <= last).then_some(VlanRange { first, last, ..present })
}

/// The operation that sets what `op` is about to set to what it is now. For a hardware address that is never nothing:
/// a bridge that gets its own address again keeps it from then on.
fn setting_before(op: &LinkOp, link: &Link, info: &Info) -> Option<LinkOp> {
    let link = link.clone();
    match op {
        LinkOp::SetUp { .. } => Some(LinkOp::SetUp { link, up: info.up }),
        LinkOp::SetMtu { .. } => Some(LinkOp::SetMtu { link, mtu: info.mtu }),
        LinkOp::SetMac { .. } => info.mac.map(|mac| LinkOp::SetMac { link, mac }),
        LinkOp::SetPromiscuous { .. } => Some(LinkOp::SetPromiscuous { link, on: info.promiscuous }),
        LinkOp::SetAlias { .. } => {
            Some(LinkOp::SetAlias { link, alias: info.alias.clone().unwrap_or_default() })
        }
        LinkOp::SetMaster { master, .. } => {
            // The handle has a name that the index alone does not tell.
            let same = info.master.is_some() && master.as_ref().map(|master| master.index) == info.master;
            let before = info.master.map(|index| Link { ns: link.ns, index, name: String::new() });
            Some(LinkOp::SetMaster { link, master: if same { master.clone() } else { before } })
        }
        LinkOp::Get { .. }
        | LinkOp::GetAll { .. }
        | LinkOp::Info { .. }
        | LinkOp::Peer { .. }
        | LinkOp::CreateVeth { .. }
        | LinkOp::EnsureBridge { .. }
        | LinkOp::CreateIfb { .. }
        | LinkOp::WaitOperational { .. }
        | LinkOp::Delete { .. }
        | LinkOp::DeleteMany { .. }
        | LinkOp::DeleteUnusedBridge { .. } => None,
    }
}

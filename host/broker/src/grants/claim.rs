//! What an operation lays hands on: for each operation, the names, addresses and numbers that constraints bound. The match
//! has no default arm, so that a new operation cannot be forgotten.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::BridgePortOp;
use wharf_ops::conntrack::ConntrackOp;
use wharf_ops::filter::FilterOp;
use wharf_ops::leases::LeaseOp;
use wharf_ops::links::LinkOp;
use wharf_ops::nat::NatOp;
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::RouteOp;
use wharf_ops::shaping::ShapingOp;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{KernelOp, Link, Ns, Op};

use super::key::Key;

/// One thing that a key of the grant has to allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claim<'a> {
    /// A link that is made or changed.
    Link(Ns, &'a str),
    /// A link whose traffic is limited or redirected.
    Shaped(Ns, &'a str),
    /// VLANs that a bridge port gets.
    Vlans(u16, u16),
    /// An interface address with its subnet.
    Address(Ns, IpNetwork),
    /// The destination of a route.
    Route(Ns, IpNetwork),
    /// An entry of the ARP or NDP table.
    Neighbour(Ns, IpAddr),
    /// A kernel parameter.
    Sysctl(Ns, &'a str),
    /// A port of the host.
    HostPort(u16),
    /// An address that is masqueraded, or that a port leads to.
    Translated(IpAddr),
    /// Addresses that are given out: first and last.
    Leased(IpAddr, IpAddr),
    /// Another plugin.
    Delegate(&'a str),
}

impl Claim<'_> {
    /// The key that bounds it.
    pub(crate) fn key(self) -> Key {
        let side = |ns, host, container| match ns {
            Ns::Host => host,
            Ns::Container => container,
        };
        match self {
            Self::Link(ns, _) => side(ns, Key::LinkNames, Key::LinkContainerNames),
            Self::Shaped(ns, _) => side(ns, Key::ShapingNames, Key::ShapingContainerNames),
            Self::Vlans(..) => Key::Vlans,
            Self::Address(ns, _) => side(ns, Key::AddressCidrs, Key::AddressContainerCidrs),
            Self::Route(ns, _) => side(ns, Key::RouteCidrs, Key::RouteContainerCidrs),
            Self::Neighbour(ns, _) => side(ns, Key::NeighbourCidrs, Key::NeighbourContainerCidrs),
            Self::Sysctl(ns, _) => side(ns, Key::SysctlKeys, Key::SysctlContainerKeys),
            Self::HostPort(_) => Key::HostPorts,
            Self::Translated(_) => Key::NatCidrs,
            Self::Leased(..) => Key::LeaseCidrs,
            Self::Delegate(_) => Key::DelegatePlugins,
        }
    }
}

/// Everything that `op` lays hands on. What only looks (sysctls excepted, for some are secret), and what is bound to the
/// attachment by the host itself, claims nothing.
pub(crate) fn claims(op: &Op) -> Vec<Claim<'_>> {
    match op {
        Op::Kernel(op) => of_kernel(op),
        Op::Lease(op) => of_lease(op),
        Op::Delegate(op) => vec![Claim::Delegate(&op.plugin)],
    }
}

fn of_kernel(op: &KernelOp) -> Vec<Claim<'_>> {
    match op {
        KernelOp::Link(op) => of_link(op),
        KernelOp::BridgePort(op) => of_bridge_port(op),
        KernelOp::Address(op) => match op {
            AddressOp::Add { on, address } | AddressOp::Remove { on, address } => {
                vec![changed(on), Claim::Address(on.ns, *address)]
            }
            AddressOp::Announce { on } => vec![changed(on)],
            AddressOp::GetAll { .. } | AddressOp::Settle { .. } => Vec::new(),
        },
        KernelOp::Route(op) => match op {
            RouteOp::Add { ns, route } | RouteOp::Remove { ns, route } => vec![Claim::Route(*ns, route.dst)],
            RouteOp::GetAll { .. } | RouteOp::Lookup { .. } => Vec::new(),
        },
        KernelOp::Neighbour(op) => match op {
            NeighbourOp::Set { on, address, .. } | NeighbourOp::Remove { on, address } => {
                vec![changed(on), Claim::Neighbour(on.ns, *address)]
            }
            NeighbourOp::GetAll { .. } => Vec::new(),
        },
        KernelOp::Sysctl(op) => match op {
            SysctlOp::Read { ns, key } | SysctlOp::Write { ns, key, .. } => vec![Claim::Sysctl(*ns, key)],
        },
        KernelOp::Nat(op) => of_nat(op),
        KernelOp::Filter(op) => match op {
            FilterOp::AntiSpoof { link, .. } => vec![Claim::Link(Ns::Host, link)],
            FilterOp::GetAntiSpoof { .. } | FilterOp::RemoveAntiSpoof => Vec::new(),
        },
        KernelOp::Conntrack(ConntrackOp::FlushUdp { port, .. }) => vec![Claim::HostPort(*port)],
        KernelOp::Shaping(op) => match op {
            ShapingOp::SetEgress { on, .. }
            | ShapingOp::Clear { on }
            | ShapingOp::ClearEgress { on }
            | ShapingOp::ClearIngress { on } => vec![shaped(on)],
            ShapingOp::RedirectIngress { on, to } => vec![shaped(on), shaped(to)],
            ShapingOp::GetEgress { .. } | ShapingOp::GetRedirect { .. } => Vec::new(),
        },
    }
}

fn of_link(op: &LinkOp) -> Vec<Claim<'_>> {
    match op {
        LinkOp::Get { .. }
        | LinkOp::GetAll { .. }
        | LinkOp::Info { .. }
        | LinkOp::Peer { .. }
        | LinkOp::WaitOperational { .. } => Vec::new(),
        LinkOp::CreateVeth { a, b } => vec![Claim::Link(a.ns, &a.name), Claim::Link(b.ns, &b.name)],
        LinkOp::EnsureBridge { ns, common, .. } | LinkOp::CreateIfb { ns, common } => {
            vec![Claim::Link(*ns, &common.name)]
        }
        // A port that joins a bridge changes the bridge: it may hear and say what the others do.
        LinkOp::SetMaster { link, master } => {
            let mut claims = vec![changed(link)];
            claims.extend(master.as_ref().map(changed));
            claims
        }
        LinkOp::SetUp { link, .. }
        | LinkOp::SetMtu { link, .. }
        | LinkOp::SetMac { link, .. }
        | LinkOp::SetPromiscuous { link, .. }
        | LinkOp::SetAlias { link, .. }
        | LinkOp::Delete { link }
        | LinkOp::DeleteUnusedBridge { link } => vec![changed(link)],
        LinkOp::DeleteMany { links } => links.iter().map(changed).collect(),
    }
}

fn of_bridge_port(op: &BridgePortOp) -> Vec<Claim<'_>> {
    match op {
        BridgePortOp::Get { .. } | BridgePortOp::GetVlans { .. } => Vec::new(),
        // Taking VLANs away opens nothing.
        BridgePortOp::SetHairpin { port, .. }
        | BridgePortOp::SetIsolated { port, .. }
        | BridgePortOp::RemoveVlan { port, .. } => vec![changed(port)],
        BridgePortOp::AddVlan { port, range } => {
            vec![changed(port), Claim::Vlans(range.first, range.last)]
        }
    }
}

fn of_nat(op: &NatOp) -> Vec<Claim<'_>> {
    match op {
        NatOp::Masquerade { rules, .. } => rules.iter().map(|rule| Claim::Translated(rule.source)).collect(),
        NatOp::ForwardPorts { rules, .. } => rules
            .iter()
            .flat_map(|rule| [Claim::HostPort(rule.host_port), Claim::Translated(rule.container_address)])
            .collect(),
        // They are about the attachment's own rules.
        NatOp::Detect
        | NatOp::GetMasquerades
        | NatOp::RemoveMasquerades
        | NatOp::GetForwards
        | NatOp::RemoveForwards => Vec::new(),
    }
}

fn of_lease(op: &LeaseOp) -> Vec<Claim<'_>> {
    match op {
        LeaseOp::TryReserve { address, .. } => vec![Claim::Leased(*address, *address)],
        LeaseOp::ReserveNext { first, last, .. } => vec![Claim::Leased(*first, *last)],
        // The pool is the network's, files are those that the configuration names, owners are the attachment.
        LeaseOp::Open { .. }
        | LeaseOp::Close { .. }
        | LeaseOp::Release { .. }
        | LeaseOp::Find { .. }
        | LeaseOp::GetAll { .. }
        | LeaseOp::LastReserved { .. }
        | LeaseOp::SetLastReserved { .. }
        | LeaseOp::ReadResolvConf { .. } => Vec::new(),
    }
}

fn changed(link: &Link) -> Claim<'_> {
    Claim::Link(link.ns, &link.name)
}

fn shaped(link: &Link) -> Claim<'_> {
    Claim::Shaped(link.ns, &link.name)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use wharf_ops::OPERATIONS;

    use super::super::tests::samples;
    use super::*;

    #[test]
    fn there_is_a_sample_of_every_operation() {
        let names: BTreeSet<&str> = samples::all().iter().map(|op| op.operation().name).collect();
        let known: BTreeSet<&str> = OPERATIONS.iter().map(|operation| operation.name).collect();
        assert_eq!(names, known);
    }

    /// `grants explain`, `check` and `suggest` go by the table, the broker by the claims: they must say the same.
    #[test]
    fn the_table_of_keys_agrees_with_the_claims() {
        let mut claimed: BTreeMap<Key, BTreeSet<&str>> = BTreeMap::new();
        for op in samples::all() {
            for claim in claims(&op) {
                claimed.entry(claim.key()).or_default().insert(op.operation().name);
            }
        }
        let all: BTreeMap<Key, BTreeSet<&str>> =
            Key::ALL.into_iter().map(|key| (key, key.operations().iter().copied().collect())).collect();
        for key in Key::ALL {
            assert_eq!(claimed.get(&key), all.get(&key), "{key}");
        }
    }

    /// What changes something and has no constraint is bound to the attachment by the host. A new operation is to be
    /// thought about before it comes into this list.
    #[test]
    fn few_changes_need_no_key() {
        let free: BTreeSet<&str> = OPERATIONS
            .iter()
            .filter(|operation| operation.changes)
            .map(|operation| operation.name)
            .filter(|name| Key::ALL.iter().all(|key| !key.operations().contains(name)))
            .collect();
        let own = [
            "filter/remove-anti-spoof",
            "leases/release",
            "leases/set-last-reserved",
            "nat/remove-forwards",
            "nat/remove-masquerades",
        ];
        assert_eq!(free, BTreeSet::from(own));
    }
}

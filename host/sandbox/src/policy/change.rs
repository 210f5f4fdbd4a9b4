//! Operations as policies see them.

use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::conntrack::{ConntrackOp, Family};
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::filter::FilterOp;
use wharf_ops::leases::LeaseOp;
use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::ShapingOp;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{KernelOp, Link, Ns, Op};

use crate::bindings::wharf::policy::changes as wit;
use crate::convert::{to_address, to_cidr, to_mac};

/// The case for an operation; none if there is none, which sends it to `review-unknown`.
pub(super) fn to_change(op: &Op) -> Option<wit::Change> {
    match op {
        Op::Kernel(op) => kernel(op),
        Op::Lease(op) => lease(op),
        Op::Delegate(op) => delegate(op),
    }
}

fn kernel(op: &KernelOp) -> Option<wit::Change> {
    Some(match op {
        KernelOp::Link(op) => return link(op),
        KernelOp::BridgePort(op) => return bridge_port(op),
        KernelOp::Nat(op) => return nat(op),
        KernelOp::Address(AddressOp::Add { on, address }) => {
            wit::Change::AddressesAdd(wit::LinkAddress { link: named(on), address: to_cidr(*address) })
        }
        KernelOp::Address(AddressOp::Remove { on, address }) => {
            wit::Change::AddressesRemove(wit::LinkAddress { link: named(on), address: to_cidr(*address) })
        }
        KernelOp::Address(AddressOp::Announce { on }) => wit::Change::AddressesAnnounce(named(on)),
        KernelOp::Route(RouteOp::Add { ns, route }) => wit::Change::RoutesAdd(to_route(*ns, route)),
        KernelOp::Route(RouteOp::Remove { ns, route }) => wit::Change::RoutesRemove(to_route(*ns, route)),
        KernelOp::Neighbour(NeighbourOp::Set { on, address, mac }) => {
            wit::Change::NeighboursSet(wit::Neighbour {
                link: named(on),
                address: to_address(*address),
                mac: to_mac(*mac),
            })
        }
        KernelOp::Neighbour(NeighbourOp::Remove { on, address }) => {
            wit::Change::NeighboursRemove(wit::LinkNeighbour {
                link: named(on),
                address: to_address(*address),
            })
        }
        KernelOp::Sysctl(SysctlOp::Write { ns, key, value }) => {
            wit::Change::SysctlWrite(wit::Sysctl { side: side(*ns), key: key.clone(), value: value.clone() })
        }
        KernelOp::Filter(FilterOp::AntiSpoof { link, allowed }) => {
            wit::Change::FilterAntiSpoof(wit::AntiSpoof { port: link.clone(), allowed: to_mac(*allowed) })
        }
        KernelOp::Filter(FilterOp::RemoveAntiSpoof) => wit::Change::FilterRemoveAntiSpoof,
        KernelOp::Conntrack(ConntrackOp::FlushUdp { family, port }) => {
            let family = match family {
                Family::Ipv4 => wit::Family::Ipv4,
                Family::Ipv6 => wit::Family::Ipv6,
            };
            wit::Change::ConntrackFlushUdp(wit::UdpFlows { family, port: *port })
        }
        KernelOp::Shaping(ShapingOp::SetEgress { on, rate }) => wit::Change::ShapingSetEgress(wit::Rate {
            link: named(on),
            bits_per_second: rate.bits_per_second,
            burst_bits: rate.burst_bits,
            latency_ms: rate.latency_ms,
        }),
        KernelOp::Shaping(ShapingOp::RedirectIngress { on, to }) => {
            wit::Change::ShapingRedirectIngress(wit::Redirect { on: named(on), to: named(to) })
        }
        KernelOp::Shaping(ShapingOp::Clear { on }) => wit::Change::ShapingClear(named(on)),
        // They change nothing, or are the broker's own.
        KernelOp::Address(AddressOp::GetAll { .. } | AddressOp::Settle { .. })
        | KernelOp::Route(RouteOp::GetAll { .. } | RouteOp::Lookup { .. })
        | KernelOp::Neighbour(NeighbourOp::GetAll { .. })
        | KernelOp::Sysctl(SysctlOp::Read { .. })
        | KernelOp::Filter(FilterOp::GetAntiSpoof { .. })
        | KernelOp::Shaping(
            ShapingOp::GetEgress { .. }
            | ShapingOp::GetRedirect { .. }
            | ShapingOp::ClearEgress { .. }
            | ShapingOp::ClearIngress { .. },
        ) => return None,
    })
}

fn link(op: &LinkOp) -> Option<wit::Change> {
    Some(match op {
        LinkOp::SetUp { link, up } => wit::Change::LinksSetUp(switch(link, *up)),
        LinkOp::SetMtu { link, mtu } => {
            wit::Change::LinksSetMtu(wit::LinkMtu { link: named(link), mtu: *mtu })
        }
        LinkOp::SetMac { link, mac } => {
            wit::Change::LinksSetMac(wit::LinkMac { link: named(link), mac: to_mac(*mac) })
        }
        LinkOp::SetMaster { link, master } => wit::Change::LinksSetMaster(wit::LinkMaster {
            link: named(link),
            master: master.as_ref().map(named),
        }),
        LinkOp::SetPromiscuous { link, on } => wit::Change::LinksSetPromiscuous(switch(link, *on)),
        LinkOp::SetAlias { link, alias } => {
            wit::Change::LinksSetAlias(wit::LinkAlias { link: named(link), alias: alias.clone() })
        }
        LinkOp::Delete { link } => wit::Change::LinksDelete(named(link)),
        LinkOp::CreateVeth { a, b } => wit::Change::LinksCreateVeth((end(a), end(b))),
        LinkOp::EnsureBridge { ns, common, vlan_filtering } => wit::Change::LinksEnsureBridge(wit::Bridge {
            link: new_link(*ns, common),
            vlan_filtering: *vlan_filtering,
        }),
        LinkOp::CreateIfb { ns, common } => wit::Change::LinksCreateIfb(new_link(*ns, common)),
        // They change nothing, or are the broker's own.
        LinkOp::Get { .. }
        | LinkOp::GetAll { .. }
        | LinkOp::Info { .. }
        | LinkOp::Peer { .. }
        | LinkOp::WaitOperational { .. }
        | LinkOp::DeleteMany { .. }
        | LinkOp::DeleteUnusedBridge { .. } => return None,
    })
}

fn bridge_port(op: &BridgePortOp) -> Option<wit::Change> {
    Some(match op {
        BridgePortOp::SetHairpin { port, on } => wit::Change::BridgePortsSetHairpin(switch(port, *on)),
        BridgePortOp::SetIsolated { port, on } => wit::Change::BridgePortsSetIsolated(switch(port, *on)),
        BridgePortOp::AddVlan { port, range } => wit::Change::BridgePortsAddVlan(vlans(port, *range)),
        BridgePortOp::RemoveVlan { port, range } => wit::Change::BridgePortsRemoveVlan(vlans(port, *range)),
        BridgePortOp::Get { .. } | BridgePortOp::GetVlans { .. } => return None,
    })
}

fn nat(op: &NatOp) -> Option<wit::Change> {
    Some(match op {
        NatOp::Masquerade { rules, backend } => wit::Change::NatMasquerade(wit::Masquerade {
            rules: rules.iter().map(masquerade_rule).collect(),
            backend: to_backend(*backend),
        }),
        NatOp::RemoveMasquerades => wit::Change::NatRemoveMasquerades,
        NatOp::ForwardPorts { rules, options } => wit::Change::NatForwardPorts(forwarding(rules, options)),
        NatOp::RemoveForwards => wit::Change::NatRemoveForwards,
        NatOp::Detect | NatOp::GetMasquerades | NatOp::GetForwards => return None,
    })
}

fn lease(op: &LeaseOp) -> Option<wit::Change> {
    Some(match op {
        LeaseOp::TryReserve { address, .. } => wit::Change::LeasesTryReserve(to_address(*address)),
        LeaseOp::ReserveNext { first, last, after, skip, .. } => {
            wit::Change::LeasesReserveNext(wit::AddressRange {
                first: to_address(*first),
                last: to_address(*last),
                after: after.map(to_address),
                skip: skip.iter().copied().map(to_address).collect(),
            })
        }
        LeaseOp::Release { .. } => wit::Change::LeasesRelease,
        LeaseOp::SetLastReserved { set, address, .. } => {
            wit::Change::LeasesSetLastReserved(wit::Cursor { set: *set, address: to_address(*address) })
        }
        LeaseOp::Open { .. }
        | LeaseOp::Close { .. }
        | LeaseOp::Find { .. }
        | LeaseOp::GetAll { .. }
        | LeaseOp::LastReserved { .. }
        | LeaseOp::ReadResolvConf { .. } => return None,
    })
}

fn delegate(op: &DelegateOp) -> Option<wit::Change> {
    let delegation = || wit::Delegation { plugin: op.plugin.clone(), config: op.config.clone() };
    Some(match op.verb {
        Verb::Add => wit::Change::DelegateAdd(delegation()),
        Verb::Del => wit::Change::DelegateDel(delegation()),
        Verb::Gc => wit::Change::DelegateGc(delegation()),
        Verb::Check | Verb::Status => return None,
    })
}

fn side(ns: Ns) -> wit::Side {
    match ns {
        Ns::Host => wit::Side::Host,
        Ns::Container => wit::Side::Container,
    }
}

fn named(link: &Link) -> wit::Link {
    wit::Link { side: side(link.ns), name: link.name.clone() }
}

fn switch(link: &Link, on: bool) -> wit::Switch {
    wit::Switch { link: named(link), on }
}

fn new_link(ns: Ns, common: &Common) -> wit::NewLink {
    wit::NewLink { side: side(ns), name: common.name.clone(), mtu: common.mtu, mac: common.mac.map(to_mac) }
}

fn end(from: &VethEnd) -> wit::NewLink {
    wit::NewLink { side: side(from.ns), name: from.name.clone(), mtu: from.mtu, mac: from.mac.map(to_mac) }
}

fn vlans(port: &Link, range: VlanRange) -> wit::PortVlans {
    let VlanRange { first, last, pvid, untagged } = range;
    wit::PortVlans { port: named(port), first, last, pvid, untagged }
}

fn to_route(ns: Ns, route: &Route) -> wit::Route {
    wit::Route {
        side: side(ns),
        dst: to_cidr(route.dst),
        gateway: route.gateway.map(to_address),
        link: route.link,
        source: route.source.map(to_address),
        metric: route.metric,
        table: route.table,
        mtu: route.mtu,
        advmss: route.advmss,
        scope: route.scope,
    }
}

fn to_backend(from: Backend) -> wit::Backend {
    match from {
        Backend::Automatic => wit::Backend::Automatic,
        Backend::Nftables => wit::Backend::Nftables,
        Backend::Iptables => wit::Backend::Iptables,
    }
}

fn masquerade_rule(rule: &MasqueradeRule) -> wit::MasqueradeRule {
    wit::MasqueradeRule {
        source: to_address(rule.source),
        except: rule.except.iter().copied().map(to_cidr).collect(),
    }
}

fn forwarding(rules: &[PortForward], options: &ForwardOptions) -> wit::Forwarding {
    wit::Forwarding {
        ports: rules.iter().map(port_forward).collect(),
        backend: to_backend(options.backend),
        snat: options.snat,
        masquerade_all: options.masquerade_all,
        subnets: options.subnets.iter().copied().map(to_cidr).collect(),
        mark_bit: options.mark_bit,
        external_mark_chain: options.external_mark_chain.clone(),
        conditions_v4: options.conditions_v4.clone(),
        conditions_v6: options.conditions_v6.clone(),
    }
}

fn port_forward(rule: &PortForward) -> wit::PortForward {
    wit::PortForward {
        protocol: match rule.protocol {
            Protocol::Tcp => wit::Protocol::Tcp,
            Protocol::Udp => wit::Protocol::Udp,
            Protocol::Sctp => wit::Protocol::Sctp,
        },
        host_address: rule.host_address.map(to_address),
        host_port: rule.host_port,
        container_address: to_address(rule.container_address),
        container_port: rule.container_port,
    }
}

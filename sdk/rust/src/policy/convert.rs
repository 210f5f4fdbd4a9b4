//! From what the host sends to what policies see.

use super::bindings::changes as wit;
use super::change::{Change, LinkName, NewLink, Side};
use crate::config::Config;
use crate::firewall::conntrack::Family;
use crate::firewall::nat::{Backend, ForwardOptions, MasqueradeRule, PortForward, Protocol};
use crate::net::{Route, VlanRange};
use crate::tc::Rate;

impl From<wit::Side> for Side {
    fn from(from: wit::Side) -> Self {
        match from {
            wit::Side::Host => Self::Host,
            wit::Side::Container => Self::Container,
        }
    }
}

impl From<wit::Link> for LinkName {
    fn from(from: wit::Link) -> Self {
        Self { side: from.side.into(), name: from.name }
    }
}

impl From<wit::NewLink> for NewLink {
    fn from(from: wit::NewLink) -> Self {
        Self { side: from.side.into(), name: from.name, mtu: from.mtu, mac: from.mac.map(Into::into) }
    }
}

impl From<wit::Backend> for Backend {
    fn from(from: wit::Backend) -> Self {
        match from {
            wit::Backend::Automatic => Self::Automatic,
            wit::Backend::Nftables => Self::Nftables,
            wit::Backend::Iptables => Self::Iptables,
        }
    }
}

impl From<wit::PortForward> for PortForward {
    fn from(from: wit::PortForward) -> Self {
        Self {
            protocol: match from.protocol {
                wit::Protocol::Tcp => Protocol::Tcp,
                wit::Protocol::Udp => Protocol::Udp,
                wit::Protocol::Sctp => Protocol::Sctp,
            },
            host_address: from.host_address.map(Into::into),
            host_port: from.host_port,
            container_address: from.container_address.into(),
            container_port: from.container_port,
        }
    }
}

fn vlans(from: wit::PortVlans) -> (LinkName, VlanRange) {
    let wit::PortVlans { port, first, last, pvid, untagged } = from;
    (port.into(), VlanRange { first, last, pvid, untagged })
}

fn route(from: wit::Route) -> (Side, Route) {
    let route = Route {
        dst: from.dst.into(),
        gateway: from.gateway.map(Into::into),
        link: from.link,
        source: from.source.map(Into::into),
        metric: from.metric,
        table: from.table,
        mtu: from.mtu,
        advmss: from.advmss,
        scope: from.scope,
    };
    (from.side.into(), route)
}

fn masquerade(from: wit::Masquerade) -> Change {
    let rule = |rule: wit::MasqueradeRule| MasqueradeRule {
        source: rule.source.into(),
        except: rule.except.into_iter().map(Into::into).collect(),
    };
    Change::NatMasquerade { rules: from.rules.into_iter().map(rule).collect(), backend: from.backend.into() }
}

fn forwarding(from: wit::Forwarding) -> Change {
    Change::NatForwardPorts {
        ports: from.ports.into_iter().map(Into::into).collect(),
        options: ForwardOptions {
            backend: from.backend.into(),
            snat: from.snat,
            masquerade_all: from.masquerade_all,
            subnets: from.subnets.into_iter().map(Into::into).collect(),
            mark_bit: from.mark_bit,
            external_mark_chain: from.external_mark_chain,
            conditions_v4: from.conditions_v4,
            conditions_v6: from.conditions_v6,
        },
    }
}

impl From<wit::Change> for Change {
    #[expect(clippy::too_many_lines, reason = "one arm for each operation")]
    fn from(from: wit::Change) -> Self {
        match from {
            wit::Change::LinksSetUp(it) => Self::LinksSetUp { link: it.link.into(), up: it.on },
            wit::Change::LinksSetMtu(it) => Self::LinksSetMtu { link: it.link.into(), mtu: it.mtu },
            wit::Change::LinksSetMac(it) => Self::LinksSetMac { link: it.link.into(), mac: it.mac.into() },
            wit::Change::LinksSetMaster(it) => {
                Self::LinksSetMaster { link: it.link.into(), master: it.master.map(Into::into) }
            }
            wit::Change::LinksSetPromiscuous(it) => {
                Self::LinksSetPromiscuous { link: it.link.into(), on: it.on }
            }
            wit::Change::LinksSetAlias(it) => Self::LinksSetAlias { link: it.link.into(), alias: it.alias },
            wit::Change::LinksDelete(link) => Self::LinksDelete { link: link.into() },
            wit::Change::LinksCreateVeth((a, b)) => Self::LinksCreateVeth { a: a.into(), b: b.into() },
            wit::Change::LinksEnsureBridge(it) => {
                Self::LinksEnsureBridge { bridge: it.link.into(), vlan_filtering: it.vlan_filtering }
            }
            wit::Change::LinksCreateIfb(link) => Self::LinksCreateIfb { link: link.into() },
            wit::Change::BridgePortsSetHairpin(it) => {
                Self::BridgePortsSetHairpin { port: it.link.into(), on: it.on }
            }
            wit::Change::BridgePortsSetIsolated(it) => {
                Self::BridgePortsSetIsolated { port: it.link.into(), on: it.on }
            }
            wit::Change::BridgePortsAddVlan(it) => {
                let (port, vlans) = vlans(it);
                Self::BridgePortsAddVlan { port, vlans }
            }
            wit::Change::BridgePortsRemoveVlan(it) => {
                let (port, vlans) = vlans(it);
                Self::BridgePortsRemoveVlan { port, vlans }
            }
            wit::Change::AddressesAdd(it) => {
                Self::AddressesAdd { link: it.link.into(), address: it.address.into() }
            }
            wit::Change::AddressesRemove(it) => {
                Self::AddressesRemove { link: it.link.into(), address: it.address.into() }
            }
            wit::Change::AddressesAnnounce(link) => Self::AddressesAnnounce { link: link.into() },
            wit::Change::RoutesAdd(it) => {
                let (side, route) = route(it);
                Self::RoutesAdd { side, route }
            }
            wit::Change::RoutesRemove(it) => {
                let (side, route) = route(it);
                Self::RoutesRemove { side, route }
            }
            wit::Change::NeighboursSet(it) => {
                Self::NeighboursSet { link: it.link.into(), address: it.address.into(), mac: it.mac.into() }
            }
            wit::Change::NeighboursRemove(it) => {
                Self::NeighboursRemove { link: it.link.into(), address: it.address.into() }
            }
            wit::Change::SysctlWrite(it) => {
                Self::SysctlWrite { side: it.side.into(), key: it.key, value: it.value }
            }
            wit::Change::NatMasquerade(it) => masquerade(it),
            wit::Change::NatRemoveMasquerades => Self::NatRemoveMasquerades,
            wit::Change::NatForwardPorts(it) => forwarding(it),
            wit::Change::NatRemoveForwards => Self::NatRemoveForwards,
            wit::Change::FilterAntiSpoof(it) => {
                Self::FilterAntiSpoof { port: it.port, allowed: it.allowed.into() }
            }
            wit::Change::FilterRemoveAntiSpoof => Self::FilterRemoveAntiSpoof,
            wit::Change::ConntrackFlushUdp(it) => Self::ConntrackFlushUdp {
                family: match it.family {
                    wit::Family::Ipv4 => Family::Ipv4,
                    wit::Family::Ipv6 => Family::Ipv6,
                },
                port: it.port,
            },
            wit::Change::ShapingSetEgress(it) => Self::ShapingSetEgress {
                link: it.link.into(),
                rate: Rate {
                    bits_per_second: it.bits_per_second,
                    burst_bits: it.burst_bits,
                    latency_ms: it.latency_ms,
                },
            },
            wit::Change::ShapingRedirectIngress(it) => {
                Self::ShapingRedirectIngress { on: it.on.into(), to: it.to.into() }
            }
            wit::Change::ShapingClear(link) => Self::ShapingClear { link: link.into() },
            wit::Change::LeasesTryReserve(address) => Self::LeasesTryReserve { address: address.into() },
            wit::Change::LeasesReserveNext(it) => Self::LeasesReserveNext {
                first: it.first.into(),
                last: it.last.into(),
                after: it.after.map(Into::into),
                skip: it.skip.into_iter().map(Into::into).collect(),
            },
            wit::Change::LeasesRelease => Self::LeasesRelease,
            wit::Change::LeasesSetLastReserved(it) => {
                Self::LeasesSetLastReserved { set: it.set, address: it.address.into() }
            }
            wit::Change::DelegateAdd(it) => {
                Self::DelegateAdd { plugin: it.plugin, config: Config::new(it.config) }
            }
            wit::Change::DelegateDel(it) => {
                Self::DelegateDel { plugin: it.plugin, config: Config::new(it.config) }
            }
            wit::Change::DelegateGc(it) => {
                Self::DelegateGc { plugin: it.plugin, config: Config::new(it.config) }
            }
        }
    }
}

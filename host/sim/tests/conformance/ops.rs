//! Operations in short.

use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::conntrack::{ConntrackOp, Family};
use wharf_ops::filter::FilterOp;
use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{KernelOp, Link, Mac, Ns};

use crate::step::Step;

pub(crate) const HOST: Ns = Ns::Host;
pub(crate) const CONTAINER: Ns = Ns::Container;
/// Hardware addresses that somebody chose.
pub(crate) const A: Mac = Mac([2, 0, 0, 0, 0, 0xa]);
pub(crate) const B: Mac = Mac([2, 0, 0, 0, 0, 0xb]);
pub(crate) const C: Mac = Mac([2, 0, 0, 0, 0, 0xc]);

pub(crate) fn link(op: LinkOp) -> Step {
    Step::Do(KernelOp::Link(op))
}

/// A handle as it was given out, in a namespace where nothing but `lo` was before.
pub(crate) fn at(ns: Ns, index: u32, name: &str) -> Link {
    Link { ns, index, name: name.into() }
}

/// A handle without an index.
pub(crate) fn named(ns: Ns, name: &str) -> Link {
    at(ns, 0, name)
}

pub(crate) fn end(ns: Ns, name: &str, mac: Option<Mac>) -> VethEnd {
    VethEnd { ns, name: name.into(), mtu: None, mac, tx_queue_length: None }
}

/// `va` on the host and `eth0` in the container, with the addresses A and B; each is number 2.
pub(crate) fn veth() -> Step {
    link(LinkOp::CreateVeth { a: end(HOST, "va", Some(A)), b: end(CONTAINER, "eth0", Some(B)) })
}

pub(crate) fn va() -> Link {
    at(HOST, 2, "va")
}

pub(crate) fn eth0() -> Link {
    at(CONTAINER, 2, "eth0")
}

/// The veth, up and with a carrier.
pub(crate) fn veth_up() -> Vec<Step> {
    vec![veth(), up(va()), up(eth0()), wait(va()), wait(eth0())]
}

/// No addresses but those that are asked for, and none that is checked.
pub(crate) fn quiet(ns: Ns) -> Vec<Step> {
    let keys =
        ["ipv6/conf/default/addr_gen_mode", "ipv6/conf/default/accept_dad", "ipv6/conf/all/accept_dad"];
    keys.iter().zip(["1", "0", "0"]).map(|(key, value)| write(ns, key, value)).collect()
}

pub(crate) fn lo(ns: Ns) -> Link {
    at(ns, 1, "lo")
}

pub(crate) fn up(link: Link) -> Step {
    self::link(LinkOp::SetUp { link, up: true })
}

pub(crate) fn down(link: Link) -> Step {
    self::link(LinkOp::SetUp { link, up: false })
}

pub(crate) fn wait(link: Link) -> Step {
    self::link(LinkOp::WaitOperational { link })
}

pub(crate) fn info(link: Link) -> Step {
    self::link(LinkOp::Info { link })
}

pub(crate) fn delete(link: Link) -> Step {
    self::link(LinkOp::Delete { link })
}

pub(crate) fn master(link: Link, master: Option<Link>) -> Step {
    self::link(LinkOp::SetMaster { link, master })
}

pub(crate) fn common(name: &str) -> Common {
    Common { name: name.into(), ..Common::default() }
}

pub(crate) fn bridge(ns: Ns, name: &str) -> Step {
    link(LinkOp::EnsureBridge { ns, common: common(name), vlan_filtering: false })
}

pub(crate) fn ifb(ns: Ns, name: &str) -> Step {
    link(LinkOp::CreateIfb { ns, common: common(name) })
}

pub(crate) fn add(on: Link, address: &str) -> Step {
    Step::Do(KernelOp::Address(AddressOp::Add { on, address: address.parse().unwrap() }))
}

pub(crate) fn remove(on: Link, address: &str) -> Step {
    Step::Do(KernelOp::Address(AddressOp::Remove { on, address: address.parse().unwrap() }))
}

pub(crate) fn addresses(on: Link) -> Step {
    Step::Do(KernelOp::Address(AddressOp::GetAll { on }))
}

pub(crate) fn settle(on: Link) -> Step {
    Step::Do(KernelOp::Address(AddressOp::Settle { on }))
}

pub(crate) fn announce(on: Link) -> Step {
    Step::Do(KernelOp::Address(AddressOp::Announce { on }))
}

pub(crate) fn to(dst: &str) -> Route {
    Route::to(dst.parse().unwrap())
}

pub(crate) fn via(dst: &str, gateway: &str) -> Route {
    Route { gateway: Some(gateway.parse().unwrap()), ..to(dst) }
}

pub(crate) fn on(dst: &str, link: u32) -> Route {
    Route { link: Some(link), ..to(dst) }
}

pub(crate) fn add_route(ns: Ns, route: Route) -> Step {
    Step::Do(KernelOp::Route(RouteOp::Add { ns, route }))
}

pub(crate) fn remove_route(ns: Ns, route: Route) -> Step {
    Step::Do(KernelOp::Route(RouteOp::Remove { ns, route }))
}

pub(crate) fn routes(ns: Ns, table: Option<u32>) -> Step {
    Step::Do(KernelOp::Route(RouteOp::GetAll { ns, table }))
}

pub(crate) fn lookup(ns: Ns, to: &str) -> Step {
    Step::Do(KernelOp::Route(RouteOp::Lookup { ns, to: to.parse().unwrap() }))
}

pub(crate) fn neighbour(on: Link, address: &str, mac: Mac) -> Step {
    Step::Do(KernelOp::Neighbour(NeighbourOp::Set { on, address: address.parse().unwrap(), mac }))
}

pub(crate) fn no_neighbour(on: Link, address: &str) -> Step {
    Step::Do(KernelOp::Neighbour(NeighbourOp::Remove { on, address: address.parse().unwrap() }))
}

pub(crate) fn neighbours(on: Link) -> Step {
    Step::Do(KernelOp::Neighbour(NeighbourOp::GetAll { on }))
}

pub(crate) fn read(ns: Ns, key: &str) -> Step {
    Step::Do(KernelOp::Sysctl(SysctlOp::Read { ns, key: key.into() }))
}

pub(crate) fn write(ns: Ns, key: &str, value: &str) -> Step {
    Step::Do(KernelOp::Sysctl(SysctlOp::Write { ns, key: key.into(), value: value.into() }))
}

pub(crate) fn port(op: BridgePortOp) -> Step {
    Step::Do(KernelOp::BridgePort(op))
}

pub(crate) fn vlans(first: u16, last: u16, pvid: bool, untagged: bool) -> VlanRange {
    VlanRange { first, last, pvid, untagged }
}

pub(crate) fn nat(op: NatOp) -> KernelOp {
    KernelOp::Nat(op)
}

pub(crate) fn source(address: &str, except: &[&str]) -> MasqueradeRule {
    MasqueradeRule {
        source: address.parse().unwrap(),
        except: except.iter().map(|network| network.parse().unwrap()).collect(),
    }
}

pub(crate) fn masquerade(rules: &[MasqueradeRule], backend: Backend) -> KernelOp {
    nat(NatOp::Masquerade { rules: rules.to_vec(), backend })
}

pub(crate) fn options(backend: Backend) -> ForwardOptions {
    ForwardOptions {
        backend,
        snat: true,
        masquerade_all: false,
        subnets: vec![],
        mark_bit: 13,
        external_mark_chain: None,
        conditions_v4: vec![],
        conditions_v6: vec![],
    }
}

pub(crate) fn to_port(protocol: Protocol, host: Option<&str>, port: u16, container: &str) -> PortForward {
    PortForward {
        protocol,
        host_address: host.map(|host| host.parse().unwrap()),
        host_port: port,
        container_address: container.parse().unwrap(),
        container_port: 80,
    }
}

pub(crate) fn forward(rules: &[PortForward], options: &ForwardOptions) -> KernelOp {
    nat(NatOp::ForwardPorts { rules: rules.to_vec(), options: options.clone() })
}

pub(crate) fn guard(link: &str, allowed: Mac) -> KernelOp {
    KernelOp::Filter(FilterOp::AntiSpoof { link: link.into(), allowed })
}

pub(crate) fn guarded(link: &str) -> KernelOp {
    KernelOp::Filter(FilterOp::GetAntiSpoof { link: link.into() })
}

pub(crate) fn flush(family: Family, port: u16) -> Step {
    Step::Do(KernelOp::Conntrack(ConntrackOp::FlushUdp { family, port }))
}

pub(crate) fn rate(bits_per_second: u64, burst_bits: u64, latency_ms: u32) -> Rate {
    Rate { bits_per_second, burst_bits, latency_ms }
}

pub(crate) fn shaping(op: ShapingOp) -> Step {
    Step::Do(KernelOp::Shaping(op))
}

pub(crate) fn shape(on: Link, rate: Rate) -> Step {
    shaping(ShapingOp::SetEgress { on, rate })
}

pub(crate) fn redirect(on: Link, to: Link) -> Step {
    shaping(ShapingOp::RedirectIngress { on, to })
}

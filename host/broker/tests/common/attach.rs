//! A guest that makes a bit of everything, and one that takes it away as real guests do.

use wharf_ops::addresses::AddressOp;
use wharf_ops::call::{Answer, NetworkResult};
use wharf_ops::filter::FilterOp;
use wharf_ops::leases::{LeaseOp, LeaseOwner};
use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{KernelOp, Link, Mac, Ns, Op, Reply};

use super::{Guest, Script, Stop};

pub const VETH: &str = "veth00000001";
pub const IFB: &str = "bwp0";

/// A bridge with a gateway, a veth, a lease, rules, a route, a neighbour, an ifb.
pub const ADD: Script = |guest| {
    let done = add(guest);
    guest.conclude(done);
};

/// As bridge, portmap, bandwidth and host-local do it together.
pub const DEL: Script = |guest| {
    let done = del(guest);
    guest.conclude(done);
};

/// Does nothing and says that it is done.
pub const LAZY_DEL: Script = |guest| guest.finish(Ok(Answer::Done));

pub fn link(op: LinkOp) -> Op {
    Op::Kernel(KernelOp::Link(op))
}

pub fn owner() -> LeaseOwner {
    LeaseOwner { container: "c1".into(), ifname: "eth0".into() }
}

pub fn masquerade(source: &str) -> Op {
    let rules = vec![MasqueradeRule { source: source.parse().unwrap(), except: vec![] }];
    Op::Kernel(KernelOp::Nat(NatOp::Masquerade { rules, backend: Backend::Nftables }))
}

pub fn forward(port: u16) -> Op {
    let rule = PortForward {
        protocol: Protocol::Tcp,
        host_address: None,
        host_port: port,
        container_address: "10.0.0.2".parse().unwrap(),
        container_port: 80,
    };
    let options = ForwardOptions {
        backend: Backend::Nftables,
        snat: true,
        masquerade_all: false,
        subnets: vec![],
        mark_bit: 13,
        external_mark_chain: None,
        conditions_v4: vec![],
        conditions_v6: vec![],
    };
    Op::Kernel(KernelOp::Nat(NatOp::ForwardPorts { rules: vec![rule], options }))
}

pub fn veth() -> Op {
    let end = |ns, name: &str| VethEnd { ns, name: name.into(), mtu: None, mac: None, tx_queue_length: None };
    link(LinkOp::CreateVeth { a: end(Ns::Host, VETH), b: end(Ns::Container, "eth0") })
}

fn unexpected(error: wharf_ops::Error) -> Stop {
    Stop::Failed(error)
}

fn add(guest: &mut Guest) -> Result<Answer, Stop> {
    let kernel = |guest: &mut Guest, op: KernelOp| guest.attempt(Op::Kernel(op)).map(drop);
    let common = Common { name: "br0".into(), ..Common::default() };
    let bridge = LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false };
    let (bridge, _) = guest.attempt(link(bridge))?.bridge().map_err(unexpected)?;
    kernel(guest, KernelOp::Link(LinkOp::SetUp { link: bridge.clone(), up: true }))?;
    let (host, inside) = guest.attempt(veth())?.pair().map_err(unexpected)?;
    let master = LinkOp::SetMaster { link: host.clone(), master: Some(bridge.clone()) };
    kernel(guest, KernelOp::Link(master))?;
    for up in [&host, &inside] {
        kernel(guest, KernelOp::Link(LinkOp::SetUp { link: up.clone(), up: true }))?;
    }
    let address = reserve(guest)?;
    let gateway = AddressOp::GetAll { on: bridge.clone() };
    let there = guest.attempt(Op::Kernel(KernelOp::Address(gateway)))?.addresses().map_err(unexpected)?;
    let gateway = "10.0.0.1/24".parse().unwrap();
    if !there.contains(&gateway) {
        kernel(guest, KernelOp::Address(AddressOp::Add { on: bridge.clone(), address: gateway }))?;
    }
    let own = format!("{address}/24").parse().unwrap();
    kernel(guest, KernelOp::Address(AddressOp::Add { on: inside, address: own }))?;
    let key = "ipv4/ip_forward".to_string();
    kernel(guest, KernelOp::Sysctl(SysctlOp::Write { ns: Ns::Host, key, value: "1".into() }))?;
    let route = Route { link: Some(bridge.index), ..Route::to("198.51.100.0/24".parse().unwrap()) };
    kernel(guest, KernelOp::Route(RouteOp::Add { ns: Ns::Host, route }))?;
    let mac = Mac([2, 0, 0, 0, 0, 1]);
    let address = "10.0.0.77".parse().unwrap();
    kernel(guest, KernelOp::Neighbour(NeighbourOp::Set { on: bridge, address, mac }))?;
    guest.attempt(masquerade("10.0.0.2"))?;
    guest.attempt(forward(8001))?;
    kernel(guest, KernelOp::Filter(FilterOp::AntiSpoof { link: VETH.into(), allowed: mac }))?;
    shape(guest, &host)?;
    Ok(Answer::Result(NetworkResult::default()))
}

fn reserve(guest: &mut Guest) -> Result<std::net::IpAddr, Stop> {
    let pool = guest.attempt(Op::Lease(LeaseOp::Open { directory: None }))?.pool().map_err(unexpected)?;
    let (first, last) = ("10.0.0.2".parse().unwrap(), "10.0.0.9".parse().unwrap());
    let next = LeaseOp::ReserveNext { pool, first, last, after: None, skip: vec![], owner: owner() };
    let address = guest.attempt(Op::Lease(next))?.maybe_address().map_err(unexpected)?.unwrap();
    let other = LeaseOp::TryReserve { pool, address: "fd00::2".parse().unwrap(), owner: owner() };
    guest.attempt(Op::Lease(other))?;
    guest.attempt(Op::Lease(LeaseOp::Close { pool }))?;
    Ok(address)
}

fn shape(guest: &mut Guest, host: &Link) -> Result<Reply, Stop> {
    let common = Common { name: IFB.into(), ..Common::default() };
    let ifb = guest.attempt(link(LinkOp::CreateIfb { ns: Ns::Host, common }))?.link().map_err(unexpected)?;
    // By which a DEL without a record knows it.
    let alias = "wharf:n/c1/eth0".to_string();
    guest.attempt(link(LinkOp::SetAlias { link: ifb.clone(), alias }))?;
    let rate = Rate { bits_per_second: 1_000_000, burst_bits: 80_000, latency_ms: 25 };
    for on in [host, &ifb] {
        guest.attempt(Op::Kernel(KernelOp::Shaping(ShapingOp::SetEgress { on: on.clone(), rate })))?;
    }
    guest.attempt(link(LinkOp::SetUp { link: ifb.clone(), up: true }))?;
    let redirect = ShapingOp::RedirectIngress { on: host.clone(), to: ifb };
    guest.attempt(Op::Kernel(KernelOp::Shaping(redirect)))
}

fn del(guest: &mut Guest) -> Result<Answer, Stop> {
    for op in [NatOp::RemoveForwards, NatOp::RemoveMasquerades] {
        guest.attempt(Op::Kernel(KernelOp::Nat(op)))?;
    }
    guest.attempt(Op::Kernel(KernelOp::Filter(FilterOp::RemoveAntiSpoof)))?;
    for name in [VETH, IFB] {
        let get = LinkOp::Get { ns: Ns::Host, name: name.into() };
        let found = guest.attempt(link(get))?.maybe_link().map_err(unexpected)?;
        if let Some(found) = found {
            guest.attempt(link(LinkOp::Delete { link: found }))?;
        }
    }
    let get = LinkOp::Get { ns: Ns::Host, name: "br0".into() };
    if let Some(on) = guest.attempt(link(get))?.maybe_link().map_err(unexpected)? {
        let route = Route { link: Some(on.index), ..Route::to("198.51.100.0/24".parse().unwrap()) };
        guest.attempt(Op::Kernel(KernelOp::Route(RouteOp::Remove { ns: Ns::Host, route })))?;
        let address = "10.0.0.77".parse().unwrap();
        guest.attempt(Op::Kernel(KernelOp::Neighbour(NeighbourOp::Remove { on, address })))?;
    }
    let pool = guest.attempt(Op::Lease(LeaseOp::Open { directory: None }))?.pool().map_err(unexpected)?;
    guest.attempt(Op::Lease(LeaseOp::Release { pool, owner: owner() }))?;
    Ok(Answer::Done)
}

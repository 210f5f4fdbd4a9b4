//! One operation of each name, for tests that go over all.

use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::{BridgePortOp, VlanRange};
use wharf_ops::conntrack::{ConntrackOp, Family};
use wharf_ops::delegate::{DelegateOp, Verb};
use wharf_ops::filter::FilterOp;
use wharf_ops::leases::{LeaseOp, LeaseOwner};
use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{KernelOp, Link, Mac, Ns, OPERATIONS, Op};

/// A link of the host, or of the container.
pub(in crate::grants) fn link(ns: Ns, name: &str) -> Link {
    Link { ns, index: 7, name: name.into() }
}

/// Each operation that guests have, about the host and, where it can be, about the container.
pub(in crate::grants) fn all() -> Vec<Op> {
    let kernel = [Ns::Host, Ns::Container].into_iter().flat_map(kernel).map(Op::Kernel);
    let verbs = [Verb::Add, Verb::Check, Verb::Del, Verb::Status, Verb::Gc];
    let delegate = verbs
        .map(|verb| Op::Delegate(DelegateOp { verb, plugin: "host-local".into(), config: String::new() }));
    let known = |op: &Op| OPERATIONS.iter().any(|operation| operation.name == op.operation().name);
    kernel.chain(leases().into_iter().map(Op::Lease)).chain(delegate).filter(known).collect()
}

fn kernel(ns: Ns) -> Vec<KernelOp> {
    let mut ops: Vec<KernelOp> = links(ns).into_iter().map(KernelOp::Link).collect();
    ops.extend(bridge_ports(ns).into_iter().map(KernelOp::BridgePort));
    let on = || link(ns, "cni0");
    let address = "10.1.0.1/24".parse().unwrap();
    let single = "10.1.0.1".parse().unwrap();
    let route = || Route::to("10.2.0.0/16".parse().unwrap());
    let key = || "ipv4/ip_forward".to_string();
    ops.extend([
        KernelOp::Address(AddressOp::Add { on: on(), address }),
        KernelOp::Address(AddressOp::Remove { on: on(), address }),
        KernelOp::Address(AddressOp::GetAll { on: on() }),
        KernelOp::Address(AddressOp::Settle { on: on() }),
        KernelOp::Address(AddressOp::Announce { on: on() }),
        KernelOp::Route(RouteOp::Add { ns, route: route() }),
        KernelOp::Route(RouteOp::Remove { ns, route: route() }),
        KernelOp::Route(RouteOp::GetAll { ns, table: None }),
        KernelOp::Route(RouteOp::Lookup { ns, to: single }),
        KernelOp::Neighbour(NeighbourOp::Set { on: on(), address: single, mac: Mac::default() }),
        KernelOp::Neighbour(NeighbourOp::Remove { on: on(), address: single }),
        KernelOp::Neighbour(NeighbourOp::GetAll { on: on() }),
        KernelOp::Sysctl(SysctlOp::Read { ns, key: key() }),
        KernelOp::Sysctl(SysctlOp::Write { ns, key: key(), value: "1".into() }),
        KernelOp::Nat(NatOp::Detect),
        KernelOp::Nat(masquerade("10.1.0.2")),
        KernelOp::Nat(NatOp::GetMasquerades),
        KernelOp::Nat(NatOp::RemoveMasquerades),
        KernelOp::Nat(forward(8080, "10.1.0.2")),
        KernelOp::Nat(NatOp::GetForwards),
        KernelOp::Nat(NatOp::RemoveForwards),
        KernelOp::Filter(FilterOp::AntiSpoof { link: "veth0".into(), allowed: Mac::default() }),
        KernelOp::Filter(FilterOp::GetAntiSpoof { link: "veth0".into() }),
        KernelOp::Filter(FilterOp::RemoveAntiSpoof),
        KernelOp::Conntrack(ConntrackOp::FlushUdp { family: Family::Ipv4, port: 8080 }),
        KernelOp::Shaping(ShapingOp::SetEgress {
            on: on(),
            rate: Rate { bits_per_second: 8, burst_bits: 8, latency_ms: 1 },
        }),
        KernelOp::Shaping(ShapingOp::GetEgress { on: on() }),
        KernelOp::Shaping(ShapingOp::RedirectIngress { on: on(), to: link(ns, "ifb0") }),
        KernelOp::Shaping(ShapingOp::GetRedirect { on: on() }),
        KernelOp::Shaping(ShapingOp::Clear { on: on() }),
    ]);
    ops
}

fn links(ns: Ns) -> [LinkOp; 17] {
    let on = || link(ns, "cni0");
    let common = || Common { name: "cni0".into(), ..Common::default() };
    let end = |name: &str| VethEnd { ns, name: name.into(), mtu: None, mac: None, tx_queue_length: None };
    [
        LinkOp::Get { ns, name: "cni0".into() },
        LinkOp::GetAll { ns },
        LinkOp::Info { link: on() },
        LinkOp::Peer { of: on(), ns },
        LinkOp::CreateVeth { a: end("veth0"), b: end("veth1") },
        LinkOp::EnsureBridge { ns, common: common(), vlan_filtering: false },
        LinkOp::CreateIfb { ns, common: common() },
        LinkOp::SetUp { link: on(), up: true },
        LinkOp::SetMtu { link: on(), mtu: 1500 },
        LinkOp::SetMac { link: on(), mac: Mac::default() },
        LinkOp::SetMaster { link: on(), master: None },
        LinkOp::SetPromiscuous { link: on(), on: true },
        LinkOp::SetAlias { link: on(), alias: String::new() },
        LinkOp::WaitOperational { link: on() },
        LinkOp::Delete { link: on() },
        LinkOp::DeleteMany { links: vec![on()] },
        LinkOp::DeleteUnusedBridge { link: on() },
    ]
}

fn bridge_ports(ns: Ns) -> [BridgePortOp; 6] {
    let port = || link(ns, "veth0");
    let range = VlanRange { first: 100, last: 110, pvid: false, untagged: false };
    [
        BridgePortOp::Get { port: port() },
        BridgePortOp::SetHairpin { port: port(), on: true },
        BridgePortOp::SetIsolated { port: port(), on: true },
        BridgePortOp::AddVlan { port: port(), range },
        BridgePortOp::RemoveVlan { port: port(), range },
        BridgePortOp::GetVlans { port: port() },
    ]
}

fn leases() -> [LeaseOp; 9] {
    let owner = || LeaseOwner { container: "c".into(), ifname: "eth0".into() };
    let address = "10.1.0.2".parse().unwrap();
    [
        LeaseOp::Open { directory: None },
        LeaseOp::TryReserve { pool: 1, address, owner: owner() },
        reserve("10.1.0.2", "10.1.0.254"),
        LeaseOp::Release { pool: 1, owner: owner() },
        LeaseOp::Find { pool: 1, owner: owner() },
        LeaseOp::GetAll { pool: 1 },
        LeaseOp::LastReserved { pool: 1, set: 0 },
        LeaseOp::SetLastReserved { pool: 1, set: 0, address },
        LeaseOp::ReadResolvConf { path: "/etc/resolv.conf".into() },
    ]
}

/// The next address of a range.
pub(in crate::grants) fn reserve(first: &str, last: &str) -> LeaseOp {
    LeaseOp::ReserveNext {
        pool: 1,
        first: first.parse().unwrap(),
        last: last.parse().unwrap(),
        after: None,
        skip: Vec::new(),
        owner: LeaseOwner { container: "c".into(), ifname: "eth0".into() },
    }
}

/// A masqueraded address.
pub(in crate::grants) fn masquerade(source: &str) -> NatOp {
    let rule = MasqueradeRule { source: source.parse().unwrap(), except: Vec::new() };
    NatOp::Masquerade { rules: vec![rule], backend: Backend::Automatic }
}

/// A port that leads to an address.
pub(in crate::grants) fn forward(host_port: u16, container: &str) -> NatOp {
    let rule = PortForward {
        protocol: Protocol::Tcp,
        host_address: None,
        host_port,
        container_address: container.parse().unwrap(),
        container_port: 80,
    };
    let options = ForwardOptions {
        backend: Backend::Automatic,
        snat: true,
        masquerade_all: false,
        subnets: Vec::new(),
        mark_bit: 13,
        external_mark_chain: None,
        conditions_v4: Vec::new(),
        conditions_v6: Vec::new(),
    };
    NatOp::ForwardPorts { rules: vec![rule], options }
}

//! One of each operation, with the values that a source of them picks: seeds of the fuzzer, and an attacker's repertoire.

use std::net::IpAddr;

use crate::smoke::Random;
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
use wharf_ops::{IpNetwork, KernelOp, Link, Mac, Ns, Op};

const NAMES: [&str; 14] = [
    "lo",
    "eth0",
    "own0",
    "own1",
    "own2",
    "victim",
    "victim-port",
    "",
    "..",
    "a/b",
    "a%d",
    "$(id)",
    "sixteen-letters!",
    "\u{1}\n;",
];
const ADDRESSES: [&str; 8] =
    ["10.1.0.2", "10.9.0.1", "10.9.0.2", "0.0.0.0", "255.255.255.255", "fd01::2", "::", "224.0.0.1"];
const NETWORKS: [&str; 7] =
    ["10.1.0.2/24", "10.9.0.0/24", "0.0.0.0/0", "192.0.2.0/24", "fd01::2/64", "::/0", "10.9.0.1/32"];
const KEYS: [&str; 9] = [
    "ipv4/ip_forward",
    "ipv4/conf/own0/rp_filter",
    "ipv4/conf/victim/rp_filter",
    "ipv6/conf/lo/accept_ra",
    "ipv4/conf",
    "../kernel/core_pattern",
    "",
    "ipv4/conf/../ip_forward",
    "ipv4/conf/lo/rp_filter",
];
const TEXTS: [&str; 6] = ["", "1", "0", "; flush ruleset", "$(reboot)", "\u{0}"];
const PLUGINS: [&str; 6] = ["host-local", "/bin/sh", "../sh", "", "g", "recorder"];
const CONTAINERS: [&str; 5] = ["c1", "c2", "", "../c2", "*"];
const PATHS: [&str; 5] = ["/etc/shadow", "/etc/resolv.conf", "..", "/var/lib/cni/../../etc", ""];

/// Picks values.
#[derive(Clone, Debug)]
pub struct Pick {
    pub random: Random,
    /// Links that were really handed out.
    pub links: Vec<Link>,
    /// How many of four handles are real ones, if there are any.
    pub honest: usize,
}

impl Pick {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::seeded(seed), links: Vec::new(), honest: 3 }
    }

    fn of<'a>(&mut self, all: &[&'a str]) -> &'a str {
        all.get(self.random.below(all.len())).copied().unwrap_or_default()
    }

    fn name(&mut self) -> String {
        self.of(&NAMES).to_owned()
    }

    fn text(&mut self) -> String {
        self.of(&TEXTS).to_owned()
    }

    fn address(&mut self) -> IpAddr {
        self.of(&ADDRESSES).parse().expect("a constant")
    }

    fn network(&mut self) -> IpNetwork {
        self.of(&NETWORKS).parse().expect("a constant")
    }

    fn flag(&mut self) -> bool {
        self.random.below(2) == 1
    }

    fn number(&mut self) -> u32 {
        [0, 1, 2, 3, 7, 254, 1400, 65_536, u32::MAX].get(self.random.below(9)).copied().unwrap_or_default()
    }

    fn short(&mut self) -> u16 {
        u16::try_from(self.number()).unwrap_or(u16::MAX)
    }

    fn some<T>(&mut self, pick: fn(&mut Self) -> T) -> Option<T> {
        if self.flag() { Some(pick(self)) } else { None }
    }

    fn mac(&mut self) -> Mac {
        let last = u8::try_from(self.random.below(4)).unwrap_or_default();
        Mac([if self.flag() { 2 } else { 0 }, 0, 0, 0, 0, last])
    }

    fn ns(&mut self) -> Ns {
        if self.flag() { Ns::Host } else { Ns::Container }
    }

    fn link(&mut self) -> Link {
        if self.random.below(4) < self.honest
            && let Some(link) = self.links.get(self.random.below(self.links.len()))
        {
            return link.clone();
        }
        Link {
            ns: self.ns(),
            index: u32::try_from(self.random.below(12)).unwrap_or_default(),
            name: self.name(),
        }
    }

    fn common(&mut self) -> Common {
        Common { name: self.name(), mtu: self.some(Self::number), mac: self.some(Self::mac) }
    }

    fn end(&mut self) -> VethEnd {
        let Common { name, mtu, mac } = self.common();
        VethEnd { ns: self.ns(), name, mtu, mac, tx_queue_length: self.some(Self::number) }
    }

    fn route(&mut self) -> Route {
        Route {
            gateway: self.some(Self::address),
            link: self.some(Self::number),
            source: self.some(Self::address),
            metric: self.some(Self::number),
            table: self.some(Self::number),
            mtu: self.some(Self::number),
            scope: self.some(|pick| u8::try_from(pick.number()).unwrap_or(253)),
            ..Route::to(self.network())
        }
    }

    fn range(&mut self) -> VlanRange {
        VlanRange { first: self.short(), last: self.short(), pvid: self.flag(), untagged: self.flag() }
    }

    fn owner(&mut self) -> LeaseOwner {
        LeaseOwner {
            container: self.of(&CONTAINERS).to_owned(),
            ifname: self.of(&["eth0", "eth9", ""]).to_owned(),
        }
    }

    fn backend(&mut self) -> Backend {
        if self.flag() { Backend::Nftables } else { Backend::Automatic }
    }

    fn forward(&mut self) -> PortForward {
        PortForward {
            protocol: if self.flag() { Protocol::Tcp } else { Protocol::Udp },
            host_address: self.some(Self::address),
            host_port: self.short(),
            container_address: self.address(),
            container_port: self.short(),
        }
    }

    fn options(&mut self) -> ForwardOptions {
        ForwardOptions {
            backend: self.backend(),
            snat: self.flag(),
            masquerade_all: self.flag(),
            subnets: vec![self.network()],
            mark_bit: u8::try_from(self.random.below(40)).unwrap_or_default(),
            external_mark_chain: self.some(Self::text),
            conditions_v4: vec![self.text()],
            conditions_v6: Vec::new(),
        }
    }
}

/// One of each operation, those of the broker's own included.
pub fn every(pick: &mut Pick) -> Vec<Op> {
    let mut ops: Vec<Op> = kernel(pick).into_iter().map(Op::Kernel).collect();
    ops.extend(leases(pick).into_iter().map(Op::Lease));
    for verb in [Verb::Add, Verb::Check, Verb::Del, Verb::Status, Verb::Gc] {
        let config = format!("{{\"cniVersion\":\"1.1.0\",\"name\":\"n\",\"type\":{:?}}}", pick.name());
        ops.push(Op::Delegate(DelegateOp { verb, plugin: pick.of(&PLUGINS).to_owned(), config }));
    }
    ops
}

fn kernel(p: &mut Pick) -> Vec<KernelOp> {
    let mut ops = links(p);
    ops.extend([
        KernelOp::BridgePort(BridgePortOp::Get { port: p.link() }),
        KernelOp::BridgePort(BridgePortOp::SetHairpin { port: p.link(), on: p.flag() }),
        KernelOp::BridgePort(BridgePortOp::SetIsolated { port: p.link(), on: p.flag() }),
        KernelOp::BridgePort(BridgePortOp::AddVlan { port: p.link(), range: p.range() }),
        KernelOp::BridgePort(BridgePortOp::RemoveVlan { port: p.link(), range: p.range() }),
        KernelOp::BridgePort(BridgePortOp::GetVlans { port: p.link() }),
        KernelOp::Address(AddressOp::Add { on: p.link(), address: p.network() }),
        KernelOp::Address(AddressOp::Remove { on: p.link(), address: p.network() }),
        KernelOp::Address(AddressOp::GetAll { on: p.link() }),
        KernelOp::Address(AddressOp::Settle { on: p.link() }),
        KernelOp::Address(AddressOp::Announce { on: p.link() }),
        KernelOp::Route(RouteOp::Add { ns: p.ns(), route: p.route() }),
        KernelOp::Route(RouteOp::Remove { ns: p.ns(), route: p.route() }),
        KernelOp::Route(RouteOp::GetAll { ns: p.ns(), table: p.some(Pick::number) }),
        KernelOp::Route(RouteOp::Lookup { ns: p.ns(), to: p.address() }),
        KernelOp::Neighbour(NeighbourOp::Set { on: p.link(), address: p.address(), mac: p.mac() }),
        KernelOp::Neighbour(NeighbourOp::Remove { on: p.link(), address: p.address() }),
        KernelOp::Neighbour(NeighbourOp::GetAll { on: p.link() }),
        KernelOp::Sysctl(SysctlOp::Read { ns: p.ns(), key: p.of(&KEYS).to_owned() }),
        KernelOp::Sysctl(SysctlOp::Write { ns: p.ns(), key: p.of(&KEYS).to_owned(), value: p.text() }),
        KernelOp::Nat(NatOp::Detect),
        KernelOp::Nat(NatOp::Masquerade {
            rules: vec![MasqueradeRule { source: p.address(), except: vec![p.network()] }],
            backend: p.backend(),
        }),
        KernelOp::Nat(NatOp::GetMasquerades),
        KernelOp::Nat(NatOp::RemoveMasquerades),
        KernelOp::Nat(NatOp::ForwardPorts { rules: vec![p.forward()], options: p.options() }),
        KernelOp::Nat(NatOp::GetForwards),
        KernelOp::Nat(NatOp::RemoveForwards),
        KernelOp::Filter(FilterOp::AntiSpoof { link: p.name(), allowed: p.mac() }),
        KernelOp::Filter(FilterOp::GetAntiSpoof { link: p.name() }),
        KernelOp::Filter(FilterOp::RemoveAntiSpoof),
        KernelOp::Conntrack(ConntrackOp::FlushUdp { family: Family::Ipv4, port: p.short() }),
        KernelOp::Shaping(ShapingOp::SetEgress {
            on: p.link(),
            rate: Rate {
                bits_per_second: p.number().into(),
                burst_bits: p.number().into(),
                latency_ms: p.number(),
            },
        }),
        KernelOp::Shaping(ShapingOp::GetEgress { on: p.link() }),
        KernelOp::Shaping(ShapingOp::RedirectIngress { on: p.link(), to: p.link() }),
        KernelOp::Shaping(ShapingOp::GetRedirect { on: p.link() }),
        KernelOp::Shaping(ShapingOp::Clear { on: p.link() }),
        KernelOp::Shaping(ShapingOp::ClearEgress { on: p.link() }),
        KernelOp::Shaping(ShapingOp::ClearIngress { on: p.link() }),
    ]);
    ops
}

fn links(p: &mut Pick) -> Vec<KernelOp> {
    let ops = [
        LinkOp::Get { ns: p.ns(), name: p.name() },
        LinkOp::GetAll { ns: p.ns() },
        LinkOp::Info { link: p.link() },
        LinkOp::Peer { of: p.link(), ns: p.ns() },
        LinkOp::CreateVeth { a: p.end(), b: p.end() },
        LinkOp::EnsureBridge { ns: p.ns(), common: p.common(), vlan_filtering: p.flag() },
        LinkOp::CreateIfb { ns: p.ns(), common: p.common() },
        LinkOp::SetUp { link: p.link(), up: p.flag() },
        LinkOp::SetMtu { link: p.link(), mtu: p.number() },
        LinkOp::SetMac { link: p.link(), mac: p.mac() },
        LinkOp::SetMaster { link: p.link(), master: p.some(Pick::link) },
        LinkOp::SetPromiscuous { link: p.link(), on: p.flag() },
        LinkOp::SetAlias { link: p.link(), alias: p.text() },
        LinkOp::WaitOperational { link: p.link() },
        LinkOp::Delete { link: p.link() },
        LinkOp::DeleteMany { links: vec![p.link(), p.link()] },
        LinkOp::DeleteUnusedBridge { link: p.link() },
    ];
    ops.into_iter().map(KernelOp::Link).collect()
}

fn leases(p: &mut Pick) -> Vec<LeaseOp> {
    let pool = u32::try_from(p.random.below(3)).unwrap_or_default();
    vec![
        LeaseOp::Open { directory: p.some(|pick| pick.of(&PATHS).to_owned()) },
        LeaseOp::Close { pool },
        LeaseOp::TryReserve { pool, address: p.address(), owner: p.owner() },
        LeaseOp::ReserveNext {
            pool,
            first: p.address(),
            last: p.address(),
            after: p.some(Pick::address),
            skip: vec![p.address()],
            owner: p.owner(),
        },
        LeaseOp::Release { pool, owner: p.owner() },
        LeaseOp::Find { pool, owner: p.owner() },
        LeaseOp::GetAll { pool },
        LeaseOp::LastReserved { pool, set: p.number() },
        LeaseOp::SetLastReserved { pool, set: p.number(), address: p.address() },
        LeaseOp::ReadResolvConf { path: p.of(&PATHS).to_owned() },
    ]
}

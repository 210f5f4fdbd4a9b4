//! Sequences that nobody thought of: operations over few names and addresses, so that they meet.

use wharf_ops::KernelOp;
use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::BridgePortOp;
use wharf_ops::filter::FilterOp;
use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::nat::{Backend, ForwardOptions, NatOp, Protocol};
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::shaping::ShapingOp;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{Link, Mac, Ns};

use std::time::{Duration, Instant};

use crate::machine::{Machine, Real, Simulated};
use crate::ops;
use crate::step::{Step, named, owner};
use crate::transcript::run;
use crate::words::Words;

/// How many operations a sequence has.
const LENGTH: usize = 120;
const PATIENCE: Duration = Duration::from_secs(5);

/// Seeds to try: the usual ones, or those that `WHARF_SEEDS` names as `FIRST-LAST`.
pub(crate) fn seeds() -> std::ops::RangeInclusive<u64> {
    let Ok(text) = std::env::var("WHARF_SEEDS") else { return 1..=12 };
    let (first, last) = text.split_once('-').unwrap_or((&text, &text));
    first.parse().expect("WHARF_SEEDS=FIRST-LAST")..=last.parse().expect("WHARF_SEEDS=FIRST-LAST")
}

/// Runs one sequence on both machines and compares answer by answer.
pub(crate) fn compare(seed: u64, simulated: &mut Simulated, real: &mut Real) {
    let mut random = Random(seed);
    let (mut told, mut heard) = (Words::default(), Words::of(real.extra()));
    let mut before = Vec::new();
    let mut start = [ops::quiet(Ns::Host), ops::quiet(Ns::Container)].concat();
    if !seed.is_multiple_of(4) {
        start.extend(ops::veth_up());
        start.push(ops::bridge(Ns::Host, "br0"));
    }
    let steps = (0..LENGTH).flat_map(|number| match number % 10 {
        9 => vec![Step::Show],
        _ => with_time(step(&mut random)),
    });
    for step in start.into_iter().chain(steps) {
        let wanted = run(simulated, &mut told, &step);
        let until = Instant::now() + PATIENCE;
        let looks = match &step {
            Step::Do(op) | Step::As(_, op) => !op.operation().changes,
            _ => true,
        };
        loop {
            let mut attempt = heard.clone();
            let found = run(real, &mut attempt, &step);
            if found == wanted {
                heard = attempt;
                break;
            }
            if !looks || Instant::now() >= until {
                let history = before.concat();
                panic!(
                    "seed {seed} (WHARF_SEEDS={seed}), after\n{history}the real kernel:\n{found}the simulated one:\n{wanted}"
                );
            }
            std::thread::yield_now();
        }
        if step_is_told(&step) {
            before.push(wanted);
        }
    }
}

/// The kernel finishes an IPv6 address in the background: it is waited for until it can be reached.
fn with_time(step: Step) -> Vec<Step> {
    let mut steps = vec![step];
    if let [Step::Do(KernelOp::Address(AddressOp::Add { on, address }))] = steps.as_slice()
        && address.is_ipv6()
    {
        let lookup = RouteOp::Lookup { ns: on.ns, to: address.ip() };
        let settle = KernelOp::Address(AddressOp::Settle { on: on.clone() });
        steps.extend([settle, KernelOp::Route(lookup)].map(Step::Do));
    }
    steps
}

fn step_is_told(step: &Step) -> bool {
    !matches!(step, Step::Show)
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap()
    }

    fn one<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    fn yes(&mut self) -> bool {
        self.below(2) == 0
    }

    fn sometimes<T>(&mut self, value: T) -> Option<T> {
        (self.below(3) == 0).then_some(value)
    }
}

const NAMES: [&str; 5] = ["va", "vb", "br0", "ifb0", "eth0"];
const NETWORKS: [&str; 8] = [
    "10.0.0.1/24",
    "10.0.0.2/24",
    "10.0.1.1/24",
    "10.0.0.1/16",
    "10.9.9.9/32",
    "fd00::1/64",
    "fd00::2/64",
    "fd01::1/64",
];
const DESTINATIONS: [&str; 8] = [
    "0.0.0.0/0",
    "10.5.0.0/16",
    "10.0.0.0/24",
    "10.5.5.0/24",
    "::/0",
    "fd05::/64",
    "fd00::/64",
    "fd05::5/128",
];
const HOSTS: [&str; 7] = ["10.0.0.1", "10.0.0.9", "10.0.1.9", "10.5.5.5", "fd00::1", "fd00::9", "fd05::5"];
const KEYS: [&str; 7] = [
    "ipv4/ip_forward",
    "ipv4/conf/va/rp_filter",
    "ipv4/conf/all/rp_filter",
    "ipv4/conf/default/rp_filter",
    "ipv4/conf/eth0/proxy_arp",
    "ipv6/conf/eth0/disable_ipv6",
    "ipv6/conf/all/forwarding",
];

fn ns(random: &mut Random) -> Ns {
    random.one(&[Ns::Host, Ns::Container])
}

/// By name mostly: then it is there more often than not.
fn link(random: &mut Random, ns: Ns) -> Link {
    let name = random.one(&NAMES).to_owned();
    let index = if random.below(6) == 0 { u32::try_from(random.below(9)).unwrap() } else { 0 };
    Link { ns, index, name }
}

fn mac(random: &mut Random) -> Mac {
    Mac([2, 0, 0, 0, 0, u8::try_from(random.below(9)).unwrap() + 1])
}

fn step(random: &mut Random) -> Step {
    let who = if random.below(4) == 0 { named("net", "two", "eth0") } else { owner() };
    let op = match random.below(13) {
        0..=3 => KernelOp::Link(links(random)),
        4 | 5 => KernelOp::Address(addresses(random)),
        6..=8 => KernelOp::Route(routes(random)),
        9 => neighbours(random),
        10 => sysctl(random),
        11 => shaping_or_ports(random),
        _ => return Step::As(who, rules(random)),
    };
    Step::Do(op)
}

fn links(random: &mut Random) -> LinkOp {
    let here = ns(random);
    match random.below(14) {
        0 | 1 => {
            let other = ns(random);
            let mut end = |ns| VethEnd {
                mtu: random.sometimes(1400),
                ..ops::end(ns, random.one(&NAMES), Some(mac(random)))
            };
            LinkOp::CreateVeth { a: end(here), b: end(other) }
        }
        2 => {
            let common = Common { mac: Some(mac(random)), ..ops::common(random.one(&["br0", "va"])) };
            LinkOp::EnsureBridge { ns: here, common, vlan_filtering: false }
        }
        3 => LinkOp::CreateIfb { ns: here, common: Common { mac: Some(mac(random)), ..ops::common("ifb0") } },
        4..=6 => LinkOp::SetUp { link: link(random, here), up: random.below(4) != 0 },
        7 => LinkOp::SetMaster {
            link: link(random, here),
            master: if random.below(3) == 0 {
                None
            } else {
                Some(Link { name: "br0".into(), ..link(random, here) })
            },
        },
        8 => LinkOp::SetMtu { link: link(random, here), mtu: random.one(&[1500, 1400, 1280, 1200, 60]) },
        9 => LinkOp::SetMac { link: link(random, here), mac: mac(random) },
        10 => LinkOp::Delete { link: link(random, here) },
        11 => LinkOp::Peer { of: link(random, here), ns: ns(random) },
        12 => LinkOp::DeleteUnusedBridge { link: link(random, here) },
        _ => LinkOp::DeleteMany { links: vec![link(random, here), link(random, Ns::Host)] },
    }
}

fn addresses(random: &mut Random) -> AddressOp {
    let here = ns(random);
    let on = link(random, here);
    let address = random.one(&NETWORKS).parse().unwrap();
    match random.below(6) {
        0..=3 => AddressOp::Add { on, address },
        4 => AddressOp::Remove { on, address },
        _ => AddressOp::GetAll { on },
    }
}

fn routes(random: &mut Random) -> RouteOp {
    let ns = ns(random);
    if random.below(5) == 0 {
        return RouteOp::Lookup { ns, to: random.one(&HOSTS).parse().unwrap() };
    }
    let dst: wharf_ops::IpNetwork = random.one(&DESTINATIONS).parse().unwrap();
    let hosts: Vec<std::net::IpAddr> = HOSTS.iter().map(|host| host.parse().unwrap()).collect();
    let same: Vec<_> = hosts.into_iter().filter(|host| host.is_ipv4() == dst.is_ipv4()).collect();
    let gateway = if random.yes() { Some(random.one(&same)) } else { None };
    let number = u32::try_from(random.below(7)).unwrap() + 1;
    let route = Route {
        gateway,
        link: if gateway.is_none() || random.below(3) == 0 { Some(number) } else { None },
        metric: random.sometimes(50),
        mtu: random.sometimes(1300),
        // An IPv6 address can be a source only a moment after it was added.
        source: if dst.is_ipv4() && random.below(8) == 0 { Some(random.one(&same)) } else { None },
        ..Route::to(dst)
    };
    if random.below(4) == 0 { RouteOp::Remove { ns, route } } else { RouteOp::Add { ns, route } }
}

fn neighbours(random: &mut Random) -> KernelOp {
    let here = ns(random);
    let on = link(random, here);
    let address = random.one(&HOSTS).parse().unwrap();
    KernelOp::Neighbour(match random.below(3) {
        0 | 1 => NeighbourOp::Set { on, address, mac: mac(random) },
        _ => NeighbourOp::Remove { on, address },
    })
}

fn sysctl(random: &mut Random) -> KernelOp {
    let ns = ns(random);
    let key = random.one(&KEYS).to_owned();
    KernelOp::Sysctl(if random.yes() {
        SysctlOp::Write { ns, key, value: random.one(&["0", "1", "2"]).into() }
    } else {
        SysctlOp::Read { ns, key }
    })
}

fn shaping_or_ports(random: &mut Random) -> KernelOp {
    let here = ns(random);
    let on = link(random, here);
    match random.below(7) {
        0 | 1 => KernelOp::Shaping(ShapingOp::SetEgress {
            on,
            rate: ops::rate(random.one(&[1_000_000, 8_000_000]), 80_000, 25),
        }),
        2 => KernelOp::Shaping(ShapingOp::RedirectIngress { on, to: link(random, here) }),
        3 => KernelOp::Shaping(ShapingOp::Clear { on }),
        4 => KernelOp::BridgePort(BridgePortOp::SetHairpin { port: on, on: random.yes() }),
        5 => KernelOp::BridgePort(BridgePortOp::SetIsolated { port: on, on: random.yes() }),
        _ => KernelOp::BridgePort(BridgePortOp::Get { port: on }),
    }
}

fn rules(random: &mut Random) -> KernelOp {
    let backend = random.one(&[Backend::Nftables, Backend::Nftables, Backend::Iptables]);
    match random.below(7) {
        0 | 1 => {
            let rules: Vec<_> = (0..random.below(3))
                .map(|_| ops::source(random.one(&HOSTS), &["10.0.0.0/8", "fd00::/8"][..random.below(3)]))
                .collect();
            ops::masquerade(&rules, backend)
        }
        2 | 3 => {
            let rules: Vec<_> = (0..random.below(4))
                .map(|_| {
                    let port = random.one(&[80, 8080, 8081]);
                    let protocol = random.one(&[Protocol::Tcp, Protocol::Udp]);
                    ops::to_port(protocol, None, port, random.one(&["10.1.0.2", "10.1.0.3", "fd00::2"]))
                })
                .collect();
            let options = ForwardOptions { snat: random.yes(), ..ops::options(backend) };
            ops::forward(&rules, &options)
        }
        4 => KernelOp::Nat(random.one(&[NatOp::RemoveForwards, NatOp::RemoveMasquerades])),
        5 => ops::guard(random.one(&NAMES), mac(random)),
        _ => KernelOp::Filter(random.one(&[
            FilterOp::RemoveAntiSpoof,
            FilterOp::GetAntiSpoof { link: "va".into() },
            FilterOp::GetAntiSpoof { link: "vb".into() },
        ])),
    }
}

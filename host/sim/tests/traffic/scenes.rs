//! What is set up, what is sent, and who gets it.

#![allow(clippy::too_many_lines, reason = "scenes are read from top to bottom")]

use std::net::{IpAddr, SocketAddr};

use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::BridgePortOp;
use wharf_ops::conntrack::{ConntrackOp, Family};
use wharf_ops::filter::FilterOp;
use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::{Route, RouteOp};
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{KernelOp, Link, Mac, Ns};

use crate::ground::Who;
use crate::ground::Who::{Host, One, Outside, Two};

/// One thing that happens.
pub(crate) enum Act {
    /// An operation.
    Do(Who, KernelOp),
    /// A datagram; `again` from the port of the last one.
    Send { from: Who, source: Option<IpAddr>, to: SocketAddr, again: bool },
}

pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) acts: Vec<Act>,
    pub(crate) expected: Vec<&'static str>,
}

fn named(ns: Ns, name: &str) -> Link {
    Link { ns, index: 0, name: name.into() }
}

fn inside() -> Link {
    named(Ns::Container, "eth0")
}

fn link(who: Who, op: LinkOp) -> Act {
    Act::Do(who, KernelOp::Link(op))
}

fn up(who: Who, link: Link) -> Act {
    self::link(who, LinkOp::SetUp { link, up: true })
}

fn write(who: Who, ns: Ns, key: &str, value: &str) -> Act {
    Act::Do(who, KernelOp::Sysctl(SysctlOp::Write { ns, key: key.into(), value: value.into() }))
}

fn add(who: Who, on: Link, address: &str) -> Act {
    Act::Do(who, KernelOp::Address(AddressOp::Add { on, address: address.parse().unwrap() }))
}

fn remove(who: Who, on: Link, address: &str) -> Act {
    Act::Do(who, KernelOp::Address(AddressOp::Remove { on, address: address.parse().unwrap() }))
}

fn route(who: Who, ns: Ns, dst: &str, gateway: &str) -> Act {
    let route = Route { gateway: Some(gateway.parse().unwrap()), ..Route::to(dst.parse().unwrap()) };
    Act::Do(who, KernelOp::Route(RouteOp::Add { ns, route }))
}

/// A veth from the host to somebody, with hardware addresses that end alike.
fn veth(who: Who, name: &str, number: u8) -> Act {
    let end = |ns, name: &str, side| VethEnd {
        ns,
        name: name.into(),
        mtu: None,
        mac: Some(Mac([2, 0, 0, 0, side, number])),
        tx_queue_length: None,
    };
    link(who, LinkOp::CreateVeth { a: end(Ns::Host, name, 1), b: end(Ns::Container, "eth0", 0) })
}

/// No address is checked for duplicates.
fn quiet(who: Who, ns: Ns) -> [Act; 2] {
    ["default", "all"].map(|conf| write(who, ns, &format!("ipv6/conf/{conf}/accept_dad"), "0"))
}

/// A bridge with `10.1.0.1/24` and `fd01::1/64` and two containers at it, and somebody outside at `192.0.2.2/24` and
/// `fd02::2/64`. The containers have default routes, the outside has routes to them.
fn built() -> Vec<Act> {
    let br0 = || named(Ns::Host, "br0");
    let common = Common { name: "br0".into(), mtu: None, mac: Some(Mac([2, 0, 0, 0, 2, 1])) };
    let mut acts = Vec::new();
    for who in [One, Two, Outside] {
        acts.extend(quiet(who, Ns::Container));
    }
    acts.extend(quiet(One, Ns::Host));
    acts.push(write(One, Ns::Host, "ipv4/conf/all/rp_filter", "0"));
    acts.push(up(One, named(Ns::Host, "lo")));
    acts.push(link(One, LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false }));
    acts.push(up(One, br0()));
    for (who, name, number) in [(One, "one", 2), (Two, "two", 3)] {
        acts.push(veth(who, name, number));
        acts.push(link(who, LinkOp::SetMaster { link: named(Ns::Host, name), master: Some(br0()) }));
        acts.extend([up(who, named(Ns::Host, name)), up(who, inside())]);
        acts.push(link(who, LinkOp::WaitOperational { link: inside() }));
        acts.extend([
            add(who, inside(), &format!("10.1.0.{number}/24")),
            add(who, inside(), &format!("fd01::{number}/64")),
        ]);
    }
    acts.push(link(One, LinkOp::WaitOperational { link: br0() }));
    acts.extend([add(One, br0(), "10.1.0.1/24"), add(One, br0(), "fd01::1/64")]);
    for who in [One, Two] {
        acts.extend([
            route(who, Ns::Container, "0.0.0.0/0", "10.1.0.1"),
            route(who, Ns::Container, "::/0", "fd01::1"),
        ]);
    }
    let up0 = || named(Ns::Host, "up0");
    acts.extend([veth(Outside, "up0", 9), up(Outside, up0()), up(Outside, inside())]);
    acts.push(link(Outside, LinkOp::WaitOperational { link: inside() }));
    acts.extend([add(Outside, up0(), "192.0.2.1/24"), add(Outside, up0(), "fd02::1/64")]);
    acts.extend([add(Outside, inside(), "192.0.2.2/24"), add(Outside, inside(), "fd02::2/64")]);
    acts.extend([
        route(Outside, Ns::Container, "10.1.0.0/24", "192.0.2.1"),
        route(Outside, Ns::Container, "fd01::/64", "fd02::1"),
    ]);
    for (who, on) in [(One, inside()), (Two, inside()), (Outside, inside()), (One, br0()), (Outside, up0())] {
        acts.push(Act::Do(who, KernelOp::Address(AddressOp::Settle { on })));
    }
    acts
}

fn forwarding(on: &str) -> [Act; 2] {
    [write(One, Ns::Host, "ipv4/ip_forward", on), write(One, Ns::Host, "ipv6/conf/all/forwarding", on)]
}

fn send(from: Who, to: &str) -> Act {
    Act::Send { from, source: None, to: to.parse().unwrap(), again: false }
}

fn masquerade(except: &[&str]) -> Act {
    let except: Vec<_> = except.iter().map(|network| network.parse().unwrap()).collect();
    let rule = |source: &str| MasqueradeRule { source: source.parse().unwrap(), except: except.clone() };
    let rules = vec![rule("10.1.0.2"), rule("fd01::2")];
    Act::Do(One, KernelOp::Nat(NatOp::Masquerade { rules, backend: Backend::Nftables }))
}

fn forward(options: impl FnOnce(&mut ForwardOptions)) -> Act {
    let rule = |host: Option<&str>, host_port, to: &str| PortForward {
        protocol: Protocol::Udp,
        host_address: host.map(|host| host.parse().unwrap()),
        host_port,
        container_address: to.parse().unwrap(),
        container_port: 80,
    };
    let rules = vec![rule(None, 8080, "10.1.0.2"), rule(None, 8080, "fd01::2")];
    let mut how = ForwardOptions {
        backend: Backend::Nftables,
        snat: true,
        masquerade_all: false,
        subnets: vec!["10.1.0.0/24".parse().unwrap(), "fd01::/64".parse().unwrap()],
        mark_bit: 13,
        external_mark_chain: None,
        conditions_v4: vec![],
        conditions_v6: vec![],
    };
    options(&mut how);
    Act::Do(One, KernelOp::Nat(NatOp::ForwardPorts { rules, options: how }))
}

fn scene(name: &'static str, acts: impl IntoIterator<Item = Act>, expected: &[&'static str]) -> Scene {
    Scene { name, acts: built().into_iter().chain(acts).collect(), expected: expected.to_vec() }
}

pub(crate) fn all() -> Vec<Scene> {
    [plain(), translated(), kept_apart()].into_iter().flatten().collect()
}

fn plain() -> Vec<Scene> {
    vec![
        scene(
            "without translation",
            [
                send(One, "10.1.0.3:7000"),
                send(One, "10.1.0.1:7000"),
                send(One, "10.1.0.9:7000"),
                send(One, "192.0.2.2:7000"),
                send(One, "192.0.2.1:7000"),
                send(Host, "10.1.0.2:7000"),
                send(Host, "127.0.0.1:7000"),
                send(One, "127.0.0.1:7000"),
                send(One, "[fd01::3]:7000"),
                send(One, "[fd02::2]:7000"),
                send(Host, "[fd01::2]:7000"),
                send(Host, "198.51.100.1:7000"),
            ]
            .into_iter()
            .chain(forwarding("1"))
            .chain([
                send(One, "192.0.2.2:7000"),
                send(One, "[fd02::2]:7000"),
                send(Outside, "10.1.0.2:7000"),
                send(Outside, "[fd01::3]:7000"),
                send(Outside, "10.1.0.1:7000"),
                send(One, "198.51.100.1:7000"),
            ]),
            &[
                "One to 10.1.0.3:7000: Two gets it from 10.1.0.2:40001",
                "One to 10.1.0.1:7000: Host gets it from 10.1.0.2:40002",
                "One to 10.1.0.9:7000: nobody gets it",
                "One to 192.0.2.2:7000: nobody gets it",
                "One to 192.0.2.1:7000: Host gets it from 10.1.0.2:40005",
                "Host to 10.1.0.2:7000: One gets it from 10.1.0.1:40006",
                "Host to 127.0.0.1:7000: Host gets it from 127.0.0.1:40007",
                "One to 127.0.0.1:7000: nobody gets it",
                "One to [fd01::3]:7000: Two gets it from [fd01::2]:40009",
                "One to [fd02::2]:7000: nobody gets it",
                "Host to [fd01::2]:7000: One gets it from [fd01::1]:40011",
                "Host to 198.51.100.1:7000: nobody gets it",
                "One to 192.0.2.2:7000: Outside gets it from 10.1.0.2:40013",
                "One to [fd02::2]:7000: Outside gets it from [fd01::2]:40014",
                "Outside to 10.1.0.2:7000: One gets it from 192.0.2.2:40015",
                "Outside to [fd01::3]:7000: Two gets it from [fd02::2]:40016",
                "Outside to 10.1.0.1:7000: Host gets it from 192.0.2.2:40017",
                "One to 198.51.100.1:7000: nobody gets it",
            ],
        ),
        scene(
            "sources that are not believed",
            forwarding("1").into_iter().chain([
                add(One, inside(), "198.51.100.7/32"),
                Act::Send {
                    from: One,
                    source: Some("198.51.100.7".parse().unwrap()),
                    to: "192.0.2.2:7000".parse().unwrap(),
                    again: false,
                },
                write(One, Ns::Host, "ipv4/conf/br0/rp_filter", "1"),
                Act::Send {
                    from: One,
                    source: Some("198.51.100.7".parse().unwrap()),
                    to: "192.0.2.2:7000".parse().unwrap(),
                    again: false,
                },
                send(One, "192.0.2.2:7000"),
            ]),
            &[
                "One as 198.51.100.7 to 192.0.2.2:7000: Outside gets it from 198.51.100.7:40001",
                "One as 198.51.100.7 to 192.0.2.2:7000: nobody gets it",
                "One to 192.0.2.2:7000: Outside gets it from 10.1.0.2:40003",
            ],
        ),
    ]
}

fn translated() -> Vec<Scene> {
    let hairpin = |on| {
        let port = named(Ns::Host, "one");
        Act::Do(One, KernelOp::BridgePort(BridgePortOp::SetHairpin { port, on }))
    };
    let flush =
        || Act::Do(One, KernelOp::Conntrack(ConntrackOp::FlushUdp { family: Family::Ipv4, port: 8080 }));
    let again =
        || Act::Send { from: Outside, source: None, to: "192.0.2.1:8080".parse().unwrap(), again: true };
    vec![
        scene(
            "masquerading",
            forwarding("1").into_iter().chain([
                masquerade(&["10.1.0.0/24", "fd01::/64"]),
                send(One, "192.0.2.2:7000"),
                send(Two, "192.0.2.2:7000"),
                send(One, "10.1.0.3:7000"),
                send(One, "[fd02::2]:7000"),
                send(One, "[fd01::3]:7000"),
                send(Outside, "10.1.0.2:7000"),
            ]),
            &[
                "One to 192.0.2.2:7000: Outside gets it from 192.0.2.1:40001",
                "Two to 192.0.2.2:7000: Outside gets it from 10.1.0.3:40002",
                "One to 10.1.0.3:7000: Two gets it from 10.1.0.2:40003",
                "One to [fd02::2]:7000: Outside gets it from [fd02::1]:40004",
                "One to [fd01::3]:7000: Two gets it from [fd01::2]:40005",
                "Outside to 10.1.0.2:7000: One gets it from 192.0.2.2:40006",
            ],
        ),
        scene(
            "the guard of the loopback, which comes with ports",
            forwarding("1").into_iter().chain([
                remove(One, named(Ns::Container, "lo"), "127.0.0.1/8"),
                write(One, Ns::Host, "ipv4/conf/br0/route_localnet", "1"),
                masquerade(&["10.1.0.0/24", "fd01::/64"]),
                send(One, "127.0.0.1:7000"),
                forward(|_| {}),
                send(One, "127.0.0.1:7000"),
            ]),
            &[
                "One to 127.0.0.1:7000: Host gets it from 10.1.0.2:40001",
                "One to 127.0.0.1:7000: nobody gets it",
            ],
        ),
        scene(
            "forwarding",
            forwarding("1").into_iter().chain([
                send(Outside, "192.0.2.1:8080"),
                forward(|_| {}),
                send(Outside, "192.0.2.1:8080"),
                send(Outside, "10.1.0.1:8080"),
                send(Outside, "[fd02::1]:8080"),
                send(Two, "192.0.2.1:8080"),
                send(One, "192.0.2.1:8080"),
                hairpin(true),
                send(One, "192.0.2.1:8080"),
                send(Host, "10.1.0.1:8080"),
                send(Host, "192.0.2.1:8080"),
                send(Host, "127.0.0.1:8080"),
                write(One, Ns::Host, "ipv4/conf/br0/route_localnet", "1"),
                send(Host, "127.0.0.1:8080"),
                send(Outside, "10.1.0.3:8080"),
            ]),
            &[
                "Outside to 192.0.2.1:8080: Host gets it from 192.0.2.2:40001",
                "Outside to 192.0.2.1:8080: One gets it from 192.0.2.2:40002",
                "Outside to 10.1.0.1:8080: One gets it from 192.0.2.2:40003",
                "Outside to [fd02::1]:8080: One gets it from [fd02::2]:40004",
                "Two to 192.0.2.1:8080: One gets it from 10.1.0.1:40005",
                "One to 192.0.2.1:8080: nobody gets it",
                "One to 192.0.2.1:8080: One gets it from 10.1.0.1:40007",
                "Host to 10.1.0.1:8080: One gets it from 10.1.0.1:40008",
                "Host to 192.0.2.1:8080: One gets it from 192.0.2.1:40009",
                "Host to 127.0.0.1:8080: nobody gets it",
                "Host to 127.0.0.1:8080: One gets it from 10.1.0.1:40011",
                "Outside to 10.1.0.3:8080: Two gets it from 192.0.2.2:40012",
            ],
        ),
        scene(
            "forwarding on conditions, and with every source rewritten",
            forwarding("1").into_iter().chain([
                forward(|how| how.conditions_v4 = vec!["ip saddr 192.0.2.0/25 iifname up0".into()]),
                send(Outside, "192.0.2.1:8080"),
                send(Two, "192.0.2.1:8080"),
                forward(|how| how.masquerade_all = true),
                send(Outside, "192.0.2.1:8080"),
                forward(|how| how.snat = false),
                send(Two, "192.0.2.1:8080"),
            ]),
            &[
                "Outside to 192.0.2.1:8080: One gets it from 192.0.2.2:40001",
                "Two to 192.0.2.1:8080: Host gets it from 10.1.0.3:40002",
                "Outside to 192.0.2.1:8080: One gets it from 10.1.0.1:40003",
                "Two to 192.0.2.1:8080: One gets it from 10.1.0.3:40004",
            ],
        ),
        scene(
            "a flow outlives its rules until it is forgotten",
            forwarding("1").into_iter().chain([
                masquerade(&[]),
                send(Outside, "192.0.2.1:8080"),
                forward(|_| {}),
                again(),
                flush(),
                again(),
                Act::Do(One, KernelOp::Nat(NatOp::RemoveForwards)),
                again(),
                flush(),
                again(),
            ]),
            &[
                "Outside to 192.0.2.1:8080: Host gets it from 192.0.2.2:40001",
                "Outside to 192.0.2.1:8080: Host gets it from 192.0.2.2:40001",
                "Outside to 192.0.2.1:8080: One gets it from 192.0.2.2:40001",
                "Outside to 192.0.2.1:8080: One gets it from 192.0.2.2:40001",
                "Outside to 192.0.2.1:8080: Host gets it from 192.0.2.2:40001",
            ],
        ),
    ]
}

fn kept_apart() -> Vec<Scene> {
    let isolated = |who, name: &str| {
        let port = named(Ns::Host, name);
        Act::Do(who, KernelOp::BridgePort(BridgePortOp::SetIsolated { port, on: true }))
    };
    let guard = |last| {
        let op = FilterOp::AntiSpoof { link: "one".into(), allowed: Mac([2, 0, 0, 0, 0, last]) };
        Act::Do(One, KernelOp::Filter(op))
    };
    let down = |who, link| self::link(who, LinkOp::SetUp { link, up: false });
    vec![
        scene(
            "isolated ports",
            [
                isolated(One, "one"),
                send(One, "10.1.0.3:7000"),
                isolated(Two, "two"),
                send(One, "10.1.0.3:7000"),
                send(One, "10.1.0.1:7000"),
            ],
            &[
                "One to 10.1.0.3:7000: Two gets it from 10.1.0.2:40001",
                "One to 10.1.0.3:7000: nobody gets it",
                "One to 10.1.0.1:7000: Host gets it from 10.1.0.2:40003",
            ],
        ),
        scene(
            "a guarded port",
            [
                guard(2),
                send(One, "10.1.0.3:7000"),
                guard(7),
                send(One, "10.1.0.3:7000"),
                send(Two, "10.1.0.1:7000"),
            ],
            &[
                "One to 10.1.0.3:7000: Two gets it from 10.1.0.2:40001",
                "One to 10.1.0.3:7000: nobody gets it",
                "Two to 10.1.0.1:7000: Host gets it from 10.1.0.3:40003",
            ],
        ),
        scene(
            "whose answers are dropped is not reached",
            [guard(7), send(Two, "10.1.0.2:7000"), send(Host, "10.1.0.2:7000")],
            &["Two to 10.1.0.2:7000: nobody gets it", "Host to 10.1.0.2:7000: nobody gets it"],
        ),
        scene(
            "links that are down, and neighbours that are wrong",
            [
                down(Two, inside()),
                send(One, "10.1.0.3:7000"),
                Act::Do(
                    One,
                    KernelOp::Neighbour(NeighbourOp::Set {
                        on: inside(),
                        address: "10.1.0.1".parse().unwrap(),
                        mac: Mac([2, 0, 0, 0, 9, 9]),
                    }),
                ),
                send(One, "10.1.0.1:7000"),
                Act::Do(
                    One,
                    KernelOp::Neighbour(NeighbourOp::Set {
                        on: inside(),
                        address: "10.1.0.9".parse().unwrap(),
                        mac: Mac([2, 0, 0, 0, 2, 1]),
                    }),
                ),
                send(One, "10.1.0.9:7000"),
                down(One, named(Ns::Host, "br0")),
                send(One, "[fd01::1]:7000"),
            ],
            &[
                "One to 10.1.0.3:7000: nobody gets it",
                "One to 10.1.0.1:7000: nobody gets it",
                "One to 10.1.0.9:7000: nobody gets it",
                "One to [fd01::1]:7000: nobody gets it",
            ],
        ),
    ]
}

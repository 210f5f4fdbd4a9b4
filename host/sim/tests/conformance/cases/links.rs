//! Links: what is made, how it is found, what can be set.

#![allow(clippy::too_many_lines, reason = "sequences are read from top to bottom")]

use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::{Link, Mac};

use crate::ops::*;
use crate::step::{Case, Foreign, Step, case};

const MULTICAST: Mac = Mac([1, 0, 0, 0, 0, 1]);

fn get(name: &str) -> Step {
    link(LinkOp::Get { ns: HOST, name: name.into() })
}

fn peer(of: Link, ns: wharf_ops::Ns) -> Step {
    link(LinkOp::Peer { of, ns })
}

fn mtu(on: Link, mtu: u32) -> Step {
    link(LinkOp::SetMtu { link: on, mtu })
}

fn mac(on: Link, mac: Mac) -> Step {
    link(LinkOp::SetMac { link: on, mac })
}

fn alias(on: Link, alias: &str) -> Step {
    link(LinkOp::SetAlias { link: on, alias: alias.into() })
}

fn promiscuous(on: Link, on_or_off: bool) -> Step {
    link(LinkOp::SetPromiscuous { link: on, on: on_or_off })
}

fn pair(a: VethEnd, b: VethEnd) -> Step {
    link(LinkOp::CreateVeth { a, b })
}

fn ensure(common: Common) -> Step {
    link(LinkOp::EnsureBridge { ns: HOST, common, vlan_filtering: false })
}

pub(crate) fn all() -> Vec<Case> {
    [made(), set(), carriers()].concat()
}

fn made() -> Vec<Case> {
    let random = |ns, name| end(ns, name, None);
    vec![
        case(
            "an empty machine",
            [
                link(LinkOp::GetAll { ns: HOST }),
                link(LinkOp::GetAll { ns: CONTAINER }),
                get("lo"),
                get("eth0"),
                info(lo(HOST)),
                peer(lo(HOST), HOST),
                Step::Within(20),
                wait(va()),
            ],
        ),
        case(
            "a veth between two namespaces",
            [
                veth(),
                info(va()),
                info(eth0()),
                get("va"),
                peer(va(), CONTAINER),
                peer(va(), HOST),
                peer(eth0(), HOST),
                peer(eth0(), CONTAINER),
                info(named(HOST, "va")),
            ],
        ),
        case(
            "a veth inside one namespace, and one from the container",
            [
                pair(random(HOST, "left"), random(HOST, "right")),
                pair(random(CONTAINER, "eth0"), random(HOST, "va")),
                peer(at(HOST, 3, "left"), HOST),
                peer(at(HOST, 2, "right"), HOST),
            ],
        ),
        case(
            "a veth as asked for",
            [
                pair(
                    VethEnd { mtu: Some(1400), tx_queue_length: Some(0), ..end(HOST, "va", Some(A)) },
                    VethEnd { mtu: Some(1300), tx_queue_length: Some(7), ..end(CONTAINER, "eth0", Some(B)) },
                ),
                pair(VethEnd { mtu: Some(67), ..random(HOST, "x") }, random(CONTAINER, "y")),
                pair(random(HOST, "x"), VethEnd { mtu: Some(65536), ..random(CONTAINER, "y") }),
                pair(
                    VethEnd { mtu: Some(65535), ..random(HOST, "x") },
                    VethEnd { mtu: Some(68), ..random(HOST, "y") },
                ),
            ],
        ),
        case(
            "names that are taken",
            [
                veth(),
                pair(random(HOST, "va"), random(CONTAINER, "eth1")),
                pair(random(HOST, "vb"), random(CONTAINER, "eth0")),
                pair(random(HOST, "va"), random(CONTAINER, "eth0")),
                pair(random(HOST, "x"), random(HOST, "x")),
                pair(random(HOST, "x"), random(HOST, "y")),
                ifb(HOST, "va"),
                ifb(HOST, "ifb9"),
                ifb(HOST, "ifb9"),
                bridge(HOST, "va"),
                bridge(HOST, "lo"),
                bridge(CONTAINER, "eth0"),
            ],
        ),
        case(
            "names that cannot be",
            [
                get(""),
                get("."),
                get("a/b"),
                get("sixteen-bytes-xx"),
                ifb(HOST, "eth%d"),
                bridge(HOST, "a b"),
                pair(random(HOST, "a:b"), random(CONTAINER, "c")),
                pair(random(HOST, "a"), random(CONTAINER, "..")),
                info(named(HOST, "a/b")),
                bridge(HOST, "all"),
                ifb(HOST, "default"),
                pair(random(HOST, "a"), random(CONTAINER, "default")),
                get("all"),
            ],
        ),
        case(
            "hardware addresses that cannot be",
            [
                pair(end(HOST, "va", Some(MULTICAST)), random(CONTAINER, "eth0")),
                pair(random(HOST, "va"), end(CONTAINER, "eth0", Some(Mac([0; 6])))),
                ensure(Common { mac: Some(MULTICAST), ..common("br0") }),
                link(LinkOp::CreateIfb {
                    ns: HOST,
                    common: Common { mac: Some(Mac([0; 6])), ..common("ifb0") },
                }),
            ],
        ),
        case(
            "a bridge is made once",
            [
                ensure(Common { mtu: Some(1400), mac: Some(A), ..common("br0") }),
                ensure(Common { mtu: Some(1300), mac: Some(B), ..common("br0") }),
                bridge(CONTAINER, "br0"),
                ensure(Common { mtu: Some(70000), ..common("br1") }),
                ensure(Common { mtu: Some(10), ..common("br1") }),
                info(at(HOST, 2, "br0")),
                Step::Within(20),
                wait(at(HOST, 2, "br0")),
                up(at(HOST, 2, "br0")),
                wait(at(HOST, 2, "br0")),
            ],
        ),
        case(
            "an ifb as asked for",
            [
                link(LinkOp::CreateIfb {
                    ns: HOST,
                    common: Common { mtu: Some(1400), mac: Some(A), ..common("bwp0") },
                }),
                up(at(HOST, 2, "bwp0")),
                wait(at(HOST, 2, "bwp0")),
                mac(at(HOST, 2, "bwp0"), B),
            ],
        ),
        case(
            "numbers are not given out again",
            [
                ifb(HOST, "a"),
                ifb(HOST, "b"),
                delete(at(HOST, 3, "b")),
                ifb(HOST, "c"),
                delete(at(HOST, 2, "a")),
                delete(at(HOST, 4, "c")),
                ifb(HOST, "d"),
                veth(),
            ],
        ),
        case(
            "a device of another kind",
            [
                Step::Foreign(Foreign::Device { ns: HOST, name: "other", kind: "vxlan" }),
                bridge(HOST, "other"),
                get("other"),
                delete(at(HOST, 2, "other")),
            ],
        ),
        case(
            "without a container",
            [
                veth(),
                Step::WithoutContainer,
                link(LinkOp::GetAll { ns: CONTAINER }),
                link(LinkOp::Get { ns: CONTAINER, name: "eth0".into() }),
                link(LinkOp::Get { ns: CONTAINER, name: "a/b".into() }),
                info(eth0()),
                info(named(CONTAINER, "eth0")),
                up(eth0()),
                pair(random(HOST, "vb"), random(CONTAINER, "eth1")),
                pair(random(CONTAINER, "vb"), random(HOST, "eth1")),
                peer(va(), CONTAINER),
                ifb(CONTAINER, "ifb0"),
                bridge(CONTAINER, "br0"),
                wait(eth0()),
            ],
        ),
    ]
}

fn set() -> Vec<Case> {
    vec![
        case(
            "what can be set",
            [
                veth(),
                up(va()),
                mtu(va(), 1280),
                mac(va(), C),
                promiscuous(va(), true),
                alias(va(), "an alias"),
                info(va()),
                promiscuous(va(), false),
                alias(va(), ""),
                alias(va(), &"a".repeat(256)),
                alias(va(), "a\0b"),
                down(va()),
                up(named(CONTAINER, "eth0")),
                info(eth0()),
            ],
        ),
        case(
            "what cannot be set",
            [
                veth(),
                bridge(HOST, "br0"),
                mtu(va(), 10),
                mtu(va(), 65536),
                mtu(at(HOST, 3, "br0"), 70000),
                mac(va(), MULTICAST),
                mac(va(), Mac([0; 6])),
                mac(at(HOST, 3, "br0"), MULTICAST),
                master(eth0(), Some(at(HOST, 3, "br0"))),
                master(va(), Some(lo(HOST))),
                master(va(), Some(at(HOST, 77, "none"))),
                master(va(), Some(named(HOST, "none"))),
                master(lo(HOST), Some(at(HOST, 3, "br0"))),
                bridge(HOST, "br1"),
                master(at(HOST, 4, "br1"), Some(at(HOST, 3, "br0"))),
                master(at(HOST, 4, "br1"), Some(at(HOST, 4, "br1"))),
                ifb(HOST, "ifb0"),
                mtu(at(HOST, 5, "ifb0"), 60),
                master(at(HOST, 5, "ifb0"), Some(at(HOST, 3, "br0"))),
                info(at(HOST, 3, "br0")),
                // Without its port its address is no valid one.
                master(at(HOST, 5, "ifb0"), None),
                master(at(HOST, 3, "br0"), Some(at(HOST, 4, "br1"))),
            ],
        ),
        case(
            "links that are not there",
            [
                veth(),
                info(at(HOST, 77, "gone")),
                up(at(HOST, 77, "gone")),
                mtu(at(HOST, 77, "gone"), 1400),
                mac(at(HOST, 77, "gone"), A),
                alias(at(HOST, 77, "gone"), "a"),
                promiscuous(at(HOST, 77, "gone"), true),
                master(at(HOST, 77, "gone"), None),
                wait(at(HOST, 77, "gone")),
                up(named(HOST, "gone")),
                mtu(named(HOST, "gone"), 1400),
                peer(at(HOST, 77, "gone"), HOST),
            ],
        ),
        case(
            "the loopback",
            [
                mtu(lo(HOST), 1400),
                mac(lo(HOST), A),
                up(lo(HOST)),
                wait(lo(HOST)),
                alias(lo(HOST), "lo"),
                down(lo(HOST)),
                mac(lo(HOST), MULTICAST),
            ],
        ),
    ]
}

fn carriers() -> Vec<Case> {
    let br0 = || at(HOST, 3, "br0");
    vec![
        case(
            "a veth has a carrier when both ends are up",
            [
                veth(),
                Step::Within(50),
                wait(va()),
                up(va()),
                wait(va()),
                info(va()),
                Step::Within(5000),
                up(eth0()),
                wait(va()),
                wait(eth0()),
                info(va()),
                down(eth0()),
                info(va()),
                Step::Within(50),
                wait(va()),
            ],
        ),
        case(
            "a bridge has the carrier of its ports, and the lowest of their hardware addresses",
            [
                veth(),
                bridge(HOST, "br0"),
                up(br0()),
                wait(br0()),
                info(br0()),
                master(va(), Some(br0())),
                info(br0()),
                Step::Within(50),
                wait(br0()),
                Step::Within(5000),
                up(va()),
                up(eth0()),
                wait(br0()),
                wait(va()),
                mac(va(), C),
                info(br0()),
                master(va(), None),
                info(br0()),
                info(va()),
            ],
        ),
        case(
            "two ports",
            [
                veth(),
                bridge(HOST, "br0"),
                pair(end(HOST, "vb", Some(Mac([2, 0, 0, 0, 0, 1]))), end(HOST, "vc", Some(C))),
                up(br0()),
                master(va(), Some(br0())),
                info(br0()),
                master(at(HOST, 5, "vb"), Some(br0())),
                info(br0()),
                delete(at(HOST, 5, "vb")),
                info(br0()),
                mac(br0(), B),
                master(va(), None),
                info(br0()),
            ],
        ),
        case(
            "a bridge follows the MTU of its ports until somebody sets it",
            [
                veth(),
                bridge(HOST, "br0"),
                master(va(), Some(br0())),
                mtu(va(), 1400),
                info(br0()),
                mtu(br0(), 1450),
                mtu(va(), 1380),
                info(br0()),
                master(va(), None),
                info(br0()),
            ],
        ),
        case(
            "a port moves to another bridge",
            [
                veth(),
                bridge(HOST, "br0"),
                bridge(HOST, "br1"),
                master(va(), Some(br0())),
                master(va(), Some(br0())),
                master(va(), Some(named(HOST, "br1"))),
                info(va()),
                master(va(), Some(lo(HOST))),
                info(va()),
            ],
        ),
        case(
            "a bridge goes down and comes up with a port",
            [
                veth(),
                bridge(HOST, "br0"),
                master(va(), Some(br0())),
                up(va()),
                up(eth0()),
                wait(va()),
                info(br0()),
                up(br0()),
                wait(br0()),
                info(br0()),
                down(br0()),
                info(br0()),
                info(va()),
            ],
        ),
    ]
}

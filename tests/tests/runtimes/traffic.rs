//! What must flow between a node, its pods and a machine outside, whichever runtime made the pods.

use std::net::IpAddr;
use std::time::Duration;

use wharf_tests::Netns;
use wharf_tests::node::{NODE, OUTSIDE};
use wharf_tests::runtimes::{Machine, Pod};
use wharf_tests::traffic::{Server, at, rate_after, tcp, udp};

/// The node reaches its pods and they reach each other, by both families.
pub(crate) fn pings(machine: &Machine, one: &Pod, other: &Pod) {
    for v6 in [false, true] {
        for pod in [one, other] {
            assert!(machine.pings(pod.ip(v6)), "the node reaches {}", pod.ip(v6));
        }
        assert!(one.netns.pings(other.ip(v6)), "{} reaches {}", one.ip(v6), other.ip(v6));
    }
}

/// What a pod sends outside has the node's address.
pub(crate) fn masquerades(outside: &Netns, pod: &Pod) {
    for v6 in [false, true] {
        let address = at(OUTSIDE[usize::from(v6)], 7070);
        let _server = Server::tcp(outside, "outside", &address.to_string());
        let node: IpAddr = NODE[usize::from(v6)].parse().unwrap();
        assert_eq!(tcp(&pod.netns, address), Some(("outside".into(), node)));
    }
}

/// A port of the pod that is mapped with both protocols is reached from the node by its loopback and by its address,
/// and from outside.
pub(crate) fn mapped(machine: &Machine, outside: &Netns, pod: &Pod, host: u16, container: u16) {
    let any = format!("[::]:{container}");
    let _servers = [Server::tcp(&pod.netns, "pod", &any), Server::udp(&pod.netns, "pod", &any)];
    for ask in [tcp, udp] {
        let seen =
            |from, address: &str| ask(from, at(address, host)).map(|(name, peer)| (name, peer.to_string()));
        let name = |from, address| seen(from, address).map(|(name, _)| name);
        assert_eq!(name(machine.node(), "127.0.0.1").as_deref(), Some("pod"), "the node's loopback");
        for family in 0..2 {
            assert_eq!(
                name(machine.node(), NODE[family]).as_deref(),
                Some("pod"),
                "the node, {}",
                NODE[family]
            );
            assert_eq!(
                seen(outside, NODE[family]),
                Some(("pod".into(), OUTSIDE[family].into())),
                "from outside"
            );
        }
    }
}

/// Nobody answers on a mapped port any more.
pub(crate) fn unmapped(machine: &Machine, outside: &Netns, host: u16) {
    assert_eq!(tcp(machine.node(), at(NODE[0], host)), None);
    assert_eq!(tcp(outside, at(NODE[0], host)), None);
}

/// Limits in Mbit/s into the pod and out of it are what is measured, once its token buckets of so many bytes are empty.
pub(crate) fn limited(machine: &Machine, gateway: &str, pod: &Pod, limits: [u32; 2], burst: usize) {
    let time = Duration::from_millis(800);
    // What the queues hold comes after the tokens.
    let burst = burst + 1_000_000;
    let into = rate_after(machine.node(), &pod.netns, at(&pod.ip(false), 5001), burst, time);
    let out_of = rate_after(&pod.netns, machine.node(), at(gateway, 5002), burst, time);
    for (measured, limit) in [(into, limits[0]), (out_of, limits[1])] {
        let limit = f64::from(limit) * 1e6;
        assert!(
            (limit * 0.75..limit * 1.2).contains(&measured),
            "{measured:.0} bit/s, the limit is {limit:.0}"
        );
    }
}

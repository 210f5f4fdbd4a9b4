//! `wharfctl conflist`: a pod gets its network by what it prints.

use std::time::Duration;

use wharf_tests::install::wharfctl;
use wharf_tests::node::NODE;
use wharf_tests::traffic::{Server, at, rate, tcp};
use wharf_tests::{Network, Node, Value, sh};

use crate::common::limits;

const PODS: [&str; 2] = ["10.244.3.0/24", "fd00:10:244:3::/64"];

/// What it prints.
fn printed(node: &Node, arguments: &[&str]) -> Value {
    let text = sh::run(wharfctl(&node.root()).arg("conflist").args(arguments));
    serde_json::from_str(&text).expect("a list")
}

/// The list as a runtime runs it.
fn network<'n>(node: &'n Node, list: &Value) -> Network<'n> {
    let plugins = list["plugins"].as_array().expect("plugins").clone();
    Network::new(node, plugins)
        .named(list["name"].as_str().expect("a name"))
        .version(list["cniVersion"].as_str().expect("a version"))
}

/// What kube-proxy's iptables mode sets up before there are services.
fn kube_proxy(node: &Node) {
    for iptables in ["iptables-nft", "ip6tables-nft"] {
        for rule in [
            "-N KUBE-MARK-MASQ",
            "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
            "-N KUBE-POSTROUTING",
            "-A KUBE-POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE",
            "-A POSTROUTING -j KUBE-POSTROUTING",
        ] {
            node.sh(&format!("{iptables} -w -t nat {rule}"));
        }
    }
}

#[test]
fn a_pod_has_both_families_ports_and_limits() {
    for style in ["drop-in", "chain"] {
        let node = Node::new();
        let outside = node.outside();
        kube_proxy(&node);
        let list = printed(&node, &["--pod-cidr", PODS[0], "--dual-stack", PODS[1], "--style", style]);
        let pod = node.container("pod");
        let target = pod.eth0().port(8080, 80).with("bandwidth", limits());
        let attachment = network(&node, &list).attach(&target);

        for (v6, prefix) in [(false, "10.244.3."), (true, "fd00:10:244:3:")] {
            let ip = attachment.ip(v6);
            assert!(ip.to_string().starts_with(prefix), "{ip}");
            assert!(node.pings(ip), "{style}: {ip}");
        }
        let _server = Server::tcp(&pod, "web", "[::]:80");
        assert_eq!(tcp(&outside, at(NODE[0], 8080)).map(|(name, _)| name).as_deref(), Some("web"), "{style}");
        // Of the network beyond, the pod's address is not seen.
        let _server = Server::tcp(&outside, "far", "203.0.113.2:7");
        assert_eq!(
            tcp(&pod, at("203.0.113.2", 7)),
            Some(("far".into(), NODE[0].parse().unwrap())),
            "{style}"
        );
        let gateway = attachment.result["ips"][0]["gateway"].as_str().expect("a gateway");
        let measured = rate(&pod, &node, at(gateway, 5001), Duration::from_millis(400));
        assert!(measured < 30_000_000.0, "{style}: {measured}: 20 Mbit/s are allowed");
        attachment.check().silent();
        attachment.del().silent();
        assert_eq!(node.leased("pods"), [""; 0]);
    }
}

#[test]
fn without_kube_proxy_ports_are_mapped_all_the_same() {
    for mode in ["none", "nftables"] {
        let node = Node::new();
        let outside = node.outside();
        let list = printed(&node, &["--pod-cidr", PODS[0], "--kube-proxy", mode]);
        let pod = node.container("pod");
        let attachment = network(&node, &list).attach(&pod.eth0().port(8080, 80));
        let _server = Server::tcp(&pod, "web", "0.0.0.0:80");
        assert_eq!(tcp(&outside, at(NODE[0], 8080)).map(|(name, _)| name).as_deref(), Some("web"));
        attachment.del().silent();
    }
}

#[test]
fn the_newest_version_brings_status() {
    let node = Node::new();
    let list = printed(&node, &["--pod-cidr", PODS[0], "--cni-version", "1.1.0", "--kube-proxy", "none"]);
    network(&node, &list).status().silent();
}

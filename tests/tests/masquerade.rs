//! ipMasq, with both backends: what leaves for elsewhere has the node's address, what stays in the subnet its own.

use wharf_tests::node::{NODE, OUTSIDE};
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{Network, Node, json};

use crate::common::{BACKENDS, bridge, dual_stack};

#[test]
fn the_outside_sees_the_nodes_address() {
    for backend in BACKENDS {
        let node = Node::new();
        let outside = node.outside();
        let (container, plain) = (node.container("c"), node.container("plain"));
        let plugin = dual_stack(json!({"ipMasq": true, "ipMasqBackend": backend}));
        let attachment = Network::new(&node, [plugin]).attach(&container.eth0());
        Network::new(&node, [dual_stack(json!({}))]).attach(&plain.eth0());
        let _server = Server::tcp(&outside, "outside", "[::]:80");
        for v6 in [false, true] {
            let server = at(OUTSIDE[usize::from(v6)], 80);
            let seen = tcp(&container, server).unwrap_or_else(|| panic!("{backend}: {server} answers"));
            assert_eq!(seen, ("outside".into(), NODE[usize::from(v6)].parse().unwrap()), "{backend}");
            assert_eq!(tcp(&plain, server), None, "without ipMasq the outside knows no way back");
        }
        attachment.check().silent();
        attachment.del().silent();
    }
}

#[test]
fn the_own_subnet_sees_the_containers_address() {
    for backend in BACKENDS {
        let node = Node::new();
        let (one, two) = (node.container("one"), node.container("two"));
        let plugin = dual_stack(json!({"ipMasq": true, "ipMasqBackend": backend}));
        let network = Network::new(&node, [plugin]);
        let (from, to) = (network.attach(&one.eth0()), network.attach(&two.eth0()));
        let _servers = [Server::tcp(&two, "two", "[::]:80"), Server::tcp(&node, "node", "[::]:81")];
        for v6 in [false, true] {
            let gateway = crate::common::GATEWAYS[usize::from(v6)];
            assert_eq!(tcp(&one, at(&to.ip(v6), 80)), Some(("two".into(), from.ip(v6))), "{backend}");
            assert_eq!(tcp(&one, at(gateway, 81)), Some(("node".into(), from.ip(v6))), "{backend}");
        }
    }
}

#[test]
fn multicast_keeps_its_source() {
    for backend in BACKENDS {
        let node = Node::new();
        let container = node.container("c");
        let plugin = dual_stack(json!({"ipMasq": true, "ipMasqBackend": backend}));
        Network::new(&node, [plugin]).attach(&container.eth0());
        let rules = node.dump();
        let lines = rules.lines(if backend == "nftables" { "nft" } else { "iptables" });
        for group in [["224.0.0.0", "224.0.0.0/4"], ["ff00::", "ff00::/8"]] {
            let excluded = lines.iter().any(|line| group.iter().any(|text| line.contains(text)));
            assert!(excluded, "{backend}: a rule for {group:?} among {lines:#?}");
        }
    }
}

#[test]
fn rules_say_whose_they_are() {
    let node = Node::new();
    let container = node.container("a-container");
    let network = Network::new(&node, [bridge(json!({"ipMasq": true, "ipMasqBackend": "nftables"}))]);
    network.named("a-network").attach(&container.eth0());
    let text = node.sh("nft list ruleset");
    assert!(text.contains("a-network/a-container/eth0"), "{text}");
}

#[test]
fn nothing_is_left_with_either_backend() {
    for backend in BACKENDS {
        let node = Node::new();
        let (first, container) = (node.container("first"), node.container("c"));
        let network = Network::new(&node, [dual_stack(json!({"ipMasq": true, "ipMasqBackend": backend}))]);
        // What is shared comes into being here.
        network.attach(&first.eth0());
        let before = node.dump();
        let attachment = network.attach(&container.eth0());
        assert!(!node.dump().changes_since(&before).is_empty());
        attachment.del().silent();
        node.dump().assert_same(&before);
    }
}

#[test]
fn switching_the_backend_leaves_nothing_behind() {
    // A DEL removes what either backend made: the configuration may have changed since the ADD.
    for [made, configured] in [["nftables", "iptables"], ["iptables", "nftables"]] {
        let node = Node::new();
        let container = node.container("c");
        let masquerade = |backend: &str| bridge(json!({"ipMasq": true, "ipMasqBackend": backend}));
        let attachment = Network::new(&node, [masquerade(made)]).attach(&container.eth0());
        assert!(node.dump().mentions("10.1.0.2"));
        let other = Network::new(&node, [masquerade(configured)]);
        other.del(&attachment.target, Some(&attachment.result)).silent();
        assert!(!node.dump().mentions("10.1.0.2"), "{made} rules after a DEL that says {configured}");
    }
}

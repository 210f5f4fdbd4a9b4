//! DEL: idempotent, with whatever is missing, and nothing is left.

use wharf_tests::{Network, Node, Target, json};

use crate::common::scene::{Scene, everywhere, scene};
use crate::common::{BACKENDS, assert_undone, bridge, full, limits};

#[test]
fn a_plain_delete() {
    everywhere(|node, Scene { container, attachment, before }| {
        attachment.del().silent();
        node.dump().assert_same(&before);
        assert_eq!(container.links(), ["lo"]);
    });
}

#[test]
fn a_delete_with_an_empty_namespace() {
    // What containerd sends after a restart. The namespace may still be there: its link is the host's to remove.
    everywhere(|node, Scene { container, attachment, before }| {
        let target = attachment.target.clone().without_netns();
        attachment.network.del(&target, Some(&attachment.result)).silent();
        node.dump().assert_same(&before);
        assert_eq!(container.links(), ["lo"]);
    });
}

#[test]
fn a_delete_after_the_namespace_is_gone() {
    // The reference leaves its masquerade rules for ever.
    everywhere(|node, Scene { container, attachment, before }| {
        let path = container.vanish();
        assert!(!path.exists());
        attachment.del().silent();
        node.wait_for_links(before.lines("links").len());
        node.dump().assert_same(&before);
        assert!(!path.exists(), "no file came into being");
    });
}

#[test]
fn a_delete_after_the_interface_is_gone() {
    everywhere(|node, Scene { container, attachment, before }| {
        container.sh("ip link del eth0");
        attachment.del().silent();
        node.dump().assert_same(&before);
    });
}

#[test]
fn a_delete_where_a_plain_file_is_left_at_the_path() {
    let node = Node::new();
    let Scene { container, attachment, before } = scene(&node, "nftables", false);
    let path = container.vanish();
    std::fs::write(&path, "").unwrap();
    attachment.del().silent();
    node.wait_for_links(before.lines("links").len());
    node.dump().assert_same(&before);
    std::fs::remove_file(&path).unwrap();
}

#[test]
fn a_delete_without_a_previous_result() {
    everywhere(|node, Scene { container, attachment, before }| {
        attachment.network.del(&attachment.target, None).silent();
        node.dump().assert_same(&before);
        assert_eq!(container.links(), ["lo"]);
    });
}

#[test]
fn a_delete_without_anything_from_the_runtime() {
    // No namespace, no previous result, no runtimeConfig: the reference leaves rules of every kind.
    everywhere(|node, Scene { container, attachment, before }| {
        let bare = Target::new("c", "", "eth0");
        attachment.network.del(&bare, None).silent();
        drop(container);
        node.wait_for_links(before.lines("links").len());
        node.dump().assert_same(&before);
    });
}

#[test]
fn a_delete_with_a_previous_result_that_cannot_be_read() {
    let node = Node::new();
    let Scene { container, attachment, before } = scene(&node, "nftables", true);
    let damaged = serde_json::json!({"cniVersion": "7.0.0", "ips": "many"});
    attachment.network.del(&attachment.target, Some(&damaged)).silent();
    node.dump().assert_same(&before);
    assert_eq!(container.links(), ["lo"]);
}

#[test]
fn a_second_delete() {
    everywhere(|node, Scene { container, attachment, before }| {
        attachment.del().silent();
        attachment.del().silent();
        attachment.network.del(&attachment.target.clone().without_netns(), None).silent();
        node.dump().assert_same(&before);
        assert_eq!(container.links(), ["lo"]);
    });
}

/// The same container and interface may be another network's by now.
#[test]
fn a_late_delete_leaves_another_network_alone() {
    for as_chain in [false, true] {
        let node = Node::new();
        let container = node.container("c");
        let network = |name: &str, subnet: &str| {
            let ipam = json!({"type": "host-local", "subnet": subnet});
            let plugin = bridge(json!({"bridge": format!("br-{name}"), "ipMasq": true, "ipam": ipam}));
            let network = Network::new(&node, [plugin]).named(name);
            if as_chain { network.chain() } else { network }
        };
        let first = network("first", "10.1.0.0/24").attach(&container.eth0());
        first.del().silent();
        let second = network("second", "10.2.0.0/24").attach(&container.eth0());
        let now = node.dump();
        first.del().silent();
        first.network.del(&first.target, None).silent();
        node.dump().assert_same(&now);
        // Nor does one whose ADD was refused.
        let third = network("third", "10.3.0.0/24");
        third.add(&container.eth0()).error(103);
        third.del(&container.eth0(), None).silent();
        third.del(&container.eth0().without_netns(), None).silent();
        let changed: Vec<_> =
            node.dump().changes_since(&now).into_iter().filter(|line| !line.contains("third")).collect();
        assert!(changed.is_empty(), "{changed:?}");
        second.check().silent();
        second.del().silent();
        assert_eq!(container.links(), ["lo"]);
    }
}

/// No ADD was made with such a list, or it was another list then.
#[test]
fn a_delete_with_a_chain_that_cannot_be_read() {
    for chain in
        [json!([]), json!(5), json!(null), json!([{"type": "bridge"}, {}]), json!([{"type": "../bridge"}])]
    {
        let node = Node::new();
        let Scene { container, attachment, before } = scene(&node, "nftables", true);
        let mut config = json!({"cniVersion": "1.0.0", "name": "net", "type": "wharf", "chain": chain});
        for _ in 0..2 {
            node.call("wharf", "DEL", &attachment.target, &config).silent();
            node.dump().assert_same(&before);
            assert_eq!(container.links(), ["lo"]);
        }
        config["prevResult"] = attachment.result.clone();
        node.call("wharf", "DEL", &attachment.target, &config).silent();
        drop(container);
    }
}

#[test]
fn a_delete_before_any_add() {
    for backend in BACKENDS {
        for as_chain in [false, true] {
            let node = Node::new();
            let container = node.container("c");
            let before = (node.dump(), container.dump());
            let mut network = Network::new(&node, full(backend));
            if as_chain {
                network = network.chain();
            }
            let target = container.eth0().port(8001, 80).with("bandwidth", limits());
            network.del(&target, None).silent();
            network.del(&target.without_netns(), None).silent();
            node.dump().assert_same(&before.0);
            container.dump().assert_same(&before.1);
        }
    }
}

#[test]
fn a_delete_of_an_interface_that_is_not_ours() {
    // Somebody else's eth0 of the same name is no reason to fail, and a DEL takes it: the runtime says it is ours.
    let node = Node::new();
    let container = node.container("c");
    container.sh("ip link add eth0 type veth peer name other");
    Network::new(&node, full("nftables")).del(&container.eth0(), None).silent();
    assert!(node.leased("net").is_empty());
}

#[test]
fn what_remains_of_a_node_is_what_is_shared() {
    for backend in BACKENDS {
        let node = Node::new();
        let fresh = node.dump();
        let Scene { attachment, container, .. } = scene(&node, backend, false);
        attachment.del().silent();
        for change in node.dump().changes_since(&fresh) {
            let shared = change.starts_with("- sysctls") // forwarding was off
                || change.starts_with("+ sysctls")
                || (change.starts_with("+ links: br0 ") || change.starts_with("+ addresses: br0 "))
                || change.starts_with("+ qdiscs") && change.contains("br0")
                || change.starts_with("+ routes") && change.contains("br0")
                || change.starts_with("- routes")
                || change.starts_with("+ nft")
                || change.starts_with("+ iptables");
            assert!(shared, "{backend}: {change}");
            assert!(!change.contains("10.1.0.3") && !change.contains("8001"), "{backend}: {change}");
        }
        drop(container);
    }
}

#[test]
fn a_container_whose_id_is_longer_than_a_chain_may_be_called() {
    // The reference calls a chain cni-br-iface-ID-eth0-mac, and nft takes 255 bytes.
    for guarded in [false, true] {
        let node = Node::new();
        let container = node.container("c");
        let network = Network::new(&node, [bridge(json!({"macspoofchk": guarded}))]);
        // The bridge stays.
        network.attach(&container.eth0()).del().silent();
        let before = node.dump();
        for length in [233, 234, 240, 250] {
            let mut target = container.eth0();
            target.id = "i".repeat(length);
            for collected in [false, true] {
                let attachment = network.attach(&target);
                if collected {
                    network.gc(&[]).silent();
                }
                attachment.del().silent();
                attachment.del().silent();
                assert!(node.leased("net").is_empty());
                assert_undone(&node.dump(), &before);
            }
        }
    }
}

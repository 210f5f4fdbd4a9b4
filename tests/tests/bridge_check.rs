//! bridge, CHECK: silent while everything is as ADD left it, an error that names what was tampered with.

use wharf_tests::{Attachment, Container, Network, Node, json};

use crate::common::{dual_stack, layer2};

/// Attaches, checks, tampers, and expects a CHECK that fails and names `words`.
#[track_caller]
fn tampered(tamper: impl Fn(&Node, &Container, &Attachment), words: &[&str]) {
    for as_chain in [false, true] {
        let node = Node::new();
        let container = node.container("c");
        let mut network = Network::new(&node, [dual_stack(json!({}))]);
        if as_chain {
            network = network.chain();
        }
        let attachment = network.attach(&container.eth0());
        attachment.check().silent();
        tamper(&node, &container, &attachment);
        attachment.check().error_naming(101, words);
        attachment.del().silent();
    }
}

#[test]
fn check_changes_nothing() {
    let node = Node::new();
    let container = node.container("c");
    let attachment = Network::new(&node, [dual_stack(json!({"ipMasq": true}))]).attach(&container.eth0());
    let before = (node.dump(), container.dump());
    attachment.check().silent();
    node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
}

#[test]
fn a_removed_address_is_noticed() {
    tampered(|_, container, _| drop(container.sh("ip addr del 10.1.0.2/24 dev eth0")), &["10.1.0.2"]);
    tampered(|_, container, _| drop(container.sh("ip addr del fd01::2/64 dev eth0")), &["fd01::2"]);
}

#[test]
fn a_removed_route_is_noticed() {
    tampered(|_, container, _| drop(container.sh("ip route del default")), &["0.0.0.0/0"]);
    tampered(|_, container, _| drop(container.sh("ip -6 route del default")), &["::/0"]);
}

#[test]
fn another_hardware_address_is_noticed() {
    tampered(|_, container, _| drop(container.sh("ip link set eth0 address 02:00:00:00:00:99")), &["eth0"]);
}

#[test]
fn a_link_that_is_down_is_noticed() {
    tampered(|_, container, _| drop(container.sh("ip link set eth0 down")), &["eth0"]);
}

#[test]
fn a_missing_link_is_noticed() {
    tampered(|_, container, _| drop(container.sh("ip link del eth0")), &["eth0"]);
}

#[test]
fn a_port_that_left_the_bridge_is_noticed() {
    tampered(
        |node, _, attachment| drop(node.sh(&format!("ip link set {} nomaster", attachment.host_end()))),
        &["br0"],
    );
}

#[test]
fn a_replaced_bridge_is_noticed() {
    tampered(
        |node, _, attachment| {
            node.sh("ip link del br0");
            node.sh("ip link add br0 address 02:00:00:00:00:bb type bridge");
            node.sh("ip addr add 10.1.0.1/24 dev br0");
            node.sh("ip addr add fd01::1/64 dev br0 nodad");
            node.sh("ip link set br0 up");
            node.sh(&format!("ip link set {} master br0", attachment.host_end()));
        },
        &["br0"],
    );
}

#[test]
fn a_missing_bridge_is_noticed() {
    tampered(|node, _, _| drop(node.sh("ip link del br0")), &["br0"]);
}

#[test]
fn a_lost_lease_is_noticed() {
    let node = Node::new();
    let container = node.container("c");
    let attachment = Network::new(&node, [dual_stack(json!({}))]).attach(&container.eth0());
    for address in ["10.1.0.2", "fd01::2"] {
        std::fs::remove_file(node.leases("net").join(address)).unwrap();
    }
    let outcome = attachment.check();
    assert_eq!(outcome.status, 1, "{outcome}");
    assert!(outcome.stdout.contains("10.1.0.2") || outcome.stdout.contains('c'), "{outcome}");
}

#[test]
fn removed_masquerading_is_noticed() {
    let node = Node::new();
    let container = node.container("c");
    let plugin = dual_stack(json!({"ipMasq": true, "ipMasqBackend": "nftables"}));
    let attachment = Network::new(&node, [plugin]).attach(&container.eth0());
    attachment.check().silent();
    node.sh("nft flush ruleset");
    attachment.check().error_naming(101, &["10.1.0.2"]);
}

#[test]
fn removed_anti_spoofing_is_noticed() {
    let node = Node::new();
    let container = node.container("c");
    let attachment = Network::new(&node, [layer2(json!({"macspoofchk": true}))]).attach(&container.eth0());
    attachment.check().silent();
    node.sh("nft flush ruleset");
    attachment.check().error_naming(101, &["macspoofchk"]);
}

#[test]
fn flags_of_the_port_are_checked() {
    for (option, flag, word) in
        [("hairpinMode", "hairpin", "hairpinMode"), ("portIsolation", "isolated", "portIsolation")]
    {
        let node = Node::new();
        let container = node.container("c");
        let mut options = json!({});
        options[option] = json!(true);
        let attachment = Network::new(&node, [layer2(options)]).attach(&container.eth0());
        attachment.check().silent();
        node.sh(&format!("bridge link set dev {} {flag} off", attachment.host_end()));
        attachment.check().error_naming(101, &[word]);
    }
}

#[test]
fn check_needs_the_previous_result_and_the_same_sandbox() {
    let node = Node::new();
    let (container, other) = (node.container("c"), node.container("d"));
    let network = Network::new(&node, [layer2(json!({}))]);
    let attachment = network.attach(&container.eth0());
    let config = layer2(json!({"cniVersion": "1.1.0", "name": "net"}));
    let text = node.call("bridge", "CHECK", &container.eth0(), &config).error(7);
    assert!(text.contains("prevResult"), "{text}");
    let elsewhere = network.check(&other.eth0(), &attachment.result);
    assert_eq!(elsewhere.status, 1, "{elsewhere}");
}

#[test]
fn another_namespace_is_noticed_and_named_as_it_was_given() {
    let node = Node::new();
    let (container, other) = (node.container("c"), node.container("other"));
    let attachment = Network::new(&node, [layer2(json!({}))]).attach(&container.eth0());
    let mut target = other.eth0();
    target.id = container.eth0().id;
    let (was, is) = (container.eth0().netns, &target.netns);
    let words = format!("\"eth0\" was made in the namespace {was}, CNI_NETNS is {is}");
    attachment.network.check(&target, &attachment.result).error_naming(101, &[&words]);
}

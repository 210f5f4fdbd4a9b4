//! bridge, the gateway's address on the bridge: conflicts, forceAddress, a pinned hardware address.

use wharf_tests::{Network, Node, json};

use crate::common::{assert_undone, bridge, dual_stack, layer2, with_ipam};

#[test]
fn another_address_on_the_bridge_is_a_conflict() {
    let node = Node::new();
    node.sh("ip link add br0 type bridge");
    node.sh("ip addr add 10.1.0.77/24 dev br0");
    node.sh("ip link set br0 up");
    let before = node.dump();
    let container = node.container("c");
    Network::new(&node, [bridge(json!({}))])
        .add(&container.eth0())
        .error_naming(110, &["br0", "10.1.0.77/24", "10.1.0.1/24", "forceAddress"]);
    node.dump().assert_same(&before);
    assert_eq!(container.links(), ["lo"]);
}

/// Routers of IPv6 are known by such an address.
#[test]
fn a_gateway_may_be_link_local() {
    for carried in [false, true] {
        let node = Node::new();
        let container = node.container("c");
        let ranges = json!([[{"subnet": "fd01::/64", "gateway": "fe80::1"}]]);
        let ipam = json!({"type": "host-local", "ranges": ranges, "routes": [{"dst": "::/0"}]});
        let network = Network::new(&node, [layer2(json!({"isGateway": carried, "ipam": ipam}))]);
        let attachment = network.attach(&container.eth0());
        assert_eq!(attachment.result["ips"][0]["gateway"], "fe80::1");
        let default = container.sh("ip -6 route show default");
        assert!(default.contains("via fe80::1 dev eth0"), "{default}");
        assert_eq!(node.sh("ip -6 addr show dev br0").contains("fe80::1/64"), carried);
        if carried {
            container.sh("ping -6 -c 1 -W 5 fe80::1%eth0");
        }
        attachment.check().silent();
        // The bridge has an address of its own beside it, and a second attachment finds the gateway there.
        let other = node.container("d");
        let second = network.attach(&other.eth0());
        second.check().silent();
        second.del().silent();
        attachment.del().silent();
    }
}

#[test]
fn force_address_replaces_it() {
    let node = Node::new();
    node.sh("ip link add br0 type bridge");
    for address in ["10.1.0.77/24", "fd01::77/64", "fd99::1/64"] {
        node.sh(&format!("ip addr add {address} dev br0 nodad"));
    }
    let container = node.container("c");
    let ranges = json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]);
    let ipam = json!({"type": "host-local", "ranges": ranges});
    Network::new(&node, [bridge(json!({"forceAddress": true, "ipam": ipam}))]).attach(&container.eth0());
    let mut addresses = node.addresses("br0");
    addresses.sort();
    // Networks of IPv6 that do not overlap live side by side.
    assert_eq!(addresses, ["10.1.0.1/24", "fd01::1/64", "fd99::1/64"]);
    assert!(container.pings("10.1.0.1".parse().unwrap()));
}

#[test]
fn a_failed_add_brings_a_forced_address_back() {
    let node = Node::new();
    node.sh("ip link add br0 type bridge");
    node.sh("ip addr add 10.1.0.77/24 dev br0");
    node.sh("ip link set br0 up");
    let before = node.dump();
    let container = node.container("c");
    let broken = json!({"type": "portmap", "backend": "foo", "capabilities": {"portMappings": true}});
    Network::new(&node, [bridge(json!({"forceAddress": true})), broken])
        .chain()
        .add(&container.eth0().port(80, 80))
        .error_naming(7, &["backend", "foo"]);
    let now = node.dump();
    assert!(now.mentions("10.1.0.77/24"), "the address is back: {:#?}", now.lines("addresses"));
    assert_undone(&now, &before);
}

#[test]
fn a_new_bridge_can_use_its_addresses_when_the_add_returns() {
    let node = Node::new();
    // So that the kernel takes its time; else it is a matter of how busy the machine is.
    node.set_sysctl("ipv6/conf/all/accept_dad", "1");
    let container = node.container("c");
    let attachment = Network::new(&node, [dual_stack(json!({}))]).attach(&container.eth0());
    assert_eq!(node.addresses("br0").len(), 2);
    assert_eq!(node.sh("ip -6 addr show dev br0 tentative"), "");
    assert!(container.pings("fd01::1".parse().unwrap()));
    attachment.del().silent();
}

#[test]
fn the_gateway_of_the_ipam_is_the_one_that_the_bridge_carries() {
    let node = Node::new();
    let container = node.container("c");
    let plugin = with_ipam(json!({"ranges": [[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.254"}]]}));
    Network::new(&node, [plugin]).attach(&container.eth0());
    assert_eq!(node.addresses("br0"), ["10.1.0.254/24"]);
    assert_eq!(container.route("default").expect("a default route")["gateway"], "10.1.0.254");
}

#[test]
fn is_gateway_alone_makes_no_default_route() {
    let node = Node::new();
    let container = node.container("c");
    let options = json!({"isDefaultGateway": false, "isGateway": true});
    Network::new(&node, [bridge(options)]).attach(&container.eth0());
    assert_eq!(node.addresses("br0"), ["10.1.0.1/24"]);
    assert!(container.route("default").is_none());
    assert_eq!(node.sysctl("ipv4/ip_forward"), "1");
}

#[test]
fn without_a_gateway_the_host_is_no_router() {
    let node = Node::new();
    let container = node.container("c");
    let forwarding = node.sysctl("ipv4/ip_forward");
    let attachment =
        Network::new(&node, [bridge(json!({"isDefaultGateway": false}))]).attach(&container.eth0());
    assert_eq!(node.addresses("br0"), [""; 0]);
    assert_eq!(node.sysctl("ipv4/ip_forward"), forwarding);
    assert_eq!(attachment.result["ips"][0]["gateway"], "10.1.0.1", "the IPAM's word stays in the result");
}

#[test]
fn the_bridge_keeps_its_hardware_address_when_ports_come_and_go() {
    let node = Node::new();
    let address = || node.link("br0").expect("the bridge")["address"].clone();
    let network = Network::new(&node, [bridge(json!({}))]);
    let containers = ["a", "b", "c", "d"].map(|id| node.container(id));
    let attachments = containers.each_ref().map(|container| network.attach(&container.eth0()));
    let pinned = address();
    for attachment in &attachments {
        assert_eq!(attachment.result["interfaces"][0]["mac"], pinned);
        attachment.del().silent();
        assert_eq!(address(), pinned);
    }
}

#[test]
fn a_bridge_that_lost_its_last_port_serves_as_a_gateway_later() {
    // The reference fails here: the bridge's hardware address is all zeros.
    let node = Node::new();
    let container = node.container("c");
    let attachment = Network::new(&node, [layer2(json!({}))]).attach(&container.eth0());
    attachment.del().silent();
    Network::new(&node, [bridge(json!({}))]).attach(&container.eth0());
    assert!(container.pings("10.1.0.1".parse().unwrap()));
    assert_ne!(node.link("br0").unwrap()["address"], "00:00:00:00:00:00");
}

#[test]
fn a_link_that_is_no_bridge_is_left_alone() {
    let node = Node::new();
    node.sh("ip link add br0 type veth peer name br0peer");
    let before = node.dump();
    let container = node.container("c");
    let text = Network::new(&node, [bridge(json!({}))]).add(&container.eth0()).error(7);
    assert!(text.contains("bridge: br0") && text.contains("veth"), "{text}");
    node.dump().assert_same(&before);
}

#[test]
fn subnets_may_share_a_bridge_if_no_gateway_is_asked_for() {
    let node = Node::new();
    let (one, two) = (node.container("one"), node.container("two"));
    for (container, subnet) in [(&one, "10.1.0.0/24"), (&two, "10.2.0.0/24")] {
        let ipam = json!({"type": "host-local", "subnet": subnet});
        let plugin = bridge(json!({"isDefaultGateway": false, "ipam": ipam}));
        Network::new(&node, [plugin]).named(&format!("net-{}", container.id)).attach(&container.eth0());
    }
    assert_eq!(one.addresses("eth0"), ["10.1.0.2/24"]);
    assert_eq!(two.addresses("eth0"), ["10.2.0.2/24"]);
}

//! bridge, its VLANs: what a port carries, who hears whom, and everything else inside a VLAN. Most kernels for small
//! virtual machines lack them; `cargo xtask qemu` brings one that has them.

use std::net::IpAddr;

use wharf_tests::node::{NODE, OUTSIDE};
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{Container, Network, Node, Value, json};

use crate::common::{
    GATEWAYS, assert_undone, bandwidth, bridge, dual_stack, full, layer2, limits, portmap, with,
};

/// A node whose kernel has them.
macro_rules! node {
    () => {{
        let node = Node::new();
        if !node.try_sh("ip link add probe type bridge vlan_filtering 1").status.success() {
            wharf_tests::skip!("this kernel has no BRIDGE_VLAN_FILTERING; `cargo xtask qemu` has one");
        }
        node.sh("ip link del probe");
        node
    }};
}

/// The VLANs of a port, with `*` for what untagged frames belong to and `u` for what leaves untagged.
fn vlans(node: &Node, port: &str) -> String {
    let shown = node.json(&format!("bridge -j vlan show dev {port}"));
    let word = |vlan: &Value| {
        let has = |flag| vlan["flags"].as_array().is_some_and(|flags| flags.contains(&json!(flag)));
        let (pvid, untagged) = (has("PVID"), has("Egress Untagged"));
        let flags = format!("{}{}", if pvid { "*" } else { "" }, if untagged { "u" } else { "" });
        format!("{}{flags}", vlan["vlan"])
    };
    let list = shown[0]["vlans"].as_array().map_or(&[][..], Vec::as_slice);
    list.iter().map(word).collect::<Vec<_>>().join(" ")
}

#[test]
fn a_port_carries_what_the_options_say() {
    let node = node!();
    let trunk = json!([{"minID": 10, "maxID": 12}, {"id": 30}]);
    let cases = [
        (json!({"vlan": 100}), "100*u"),
        (json!({"vlanTrunk": trunk}), "1*u 10 11 12 30"),
        (json!({"vlan": 11, "vlanTrunk": trunk}), "10 11*u 12 30"),
        (json!({"vlanTrunk": trunk, "preserveDefaultVlan": true}), "1*u 10 11 12 30"),
        (json!({"vlan": 100, "vlanTrunk": [{"id": 7}], "preserveDefaultVlan": true}), "1u 7 100*u"),
        // Of the bridge, which filters since the first of them.
        (json!({}), "1*u"),
    ];
    for (index, (options, wanted)) in cases.into_iter().enumerate() {
        let container = node.container(&index.to_string());
        let attachment = Network::new(&node, [layer2(options.clone())]).attach(&container.eth0());
        assert_eq!(vlans(&node, &attachment.host_end()), wanted, "{options}");
        attachment.check().silent();
    }
    let filtering = &node.link("br0").expect("the bridge")["linkinfo"]["info_data"]["vlan_filtering"];
    assert_eq!(filtering, 1);
}

#[test]
fn a_bridge_without_vlans_in_its_options_does_not_filter() {
    let node = node!();
    let container = node.container("c");
    let plugin = layer2(json!({"vlan": 0, "vlanTrunk": [], "preserveDefaultVlan": true}));
    Network::new(&node, [plugin]).attach(&container.eth0());
    let filtering = &node.link("br0").expect("the bridge")["linkinfo"]["info_data"]["vlan_filtering"];
    assert_eq!(filtering, 0);
}

#[test]
fn check_misses_a_vlan_of_the_port() {
    let node = node!();
    let container = node.container("c");
    let plugin = layer2(json!({"vlan": 100, "vlanTrunk": [{"minID": 10, "maxID": 12}]}));
    let attachment = Network::new(&node, [plugin]).attach(&container.eth0());
    let port = attachment.host_end();
    attachment.check().silent();
    for (take, give) in [("vid 11", "vid 11"), ("vid 100", "vid 100 pvid untagged")] {
        node.sh(&format!("bridge vlan del dev {port} {take}"));
        attachment.check().error_naming(101, &[port.as_str(), "vlan"]);
        node.sh(&format!("bridge vlan add dev {port} {give}"));
        attachment.check().silent();
    }
    // There, but no longer where untagged frames go.
    node.sh(&format!("bridge vlan add dev {port} vid 100"));
    attachment.check().error_naming(101, &[port.as_str(), "vlan"]);
}

/// A container with an address of its own in a subnet that both VLANs use.
fn with_address(node: &Node, id: &str, options: Value, address: &str) -> Container {
    let container = node.container(id);
    Network::new(node, [layer2(options)]).attach(&container.eth0());
    container.sh(&format!("ip addr add {address}/24 dev eth0"));
    container
}

#[test]
fn only_containers_of_a_vlan_hear_each_other() {
    let node = node!();
    let of = |id, vlan, address| with_address(&node, id, json!({"vlan": vlan}), address);
    let (one, two, other) =
        (of("one", 100, "10.9.0.1"), of("two", 100, "10.9.0.2"), of("other", 200, "10.9.0.3"));
    let address = |host: u8| IpAddr::from([10, 9, 0, host]);
    assert!(one.pings(address(2)) && two.pings(address(1)));
    assert!(!one.pings(address(3)) && !other.pings(address(1)));
    // In the VLAN that ports have by themselves, with the host.
    let plain = with_address(&node, "plain", json!({}), "10.9.0.4");
    assert!(!one.pings(address(4)) && !plain.pings(address(3)));
    node.sh("ip addr add 10.9.0.5/24 dev br0");
    assert!(plain.pings(address(5)) && !one.pings(address(5)));
}

#[test]
fn a_trunk_speaks_tagged_with_each_of_its_vlans() {
    let node = node!();
    let trunk = node.container("trunk");
    let plugin = layer2(json!({"vlanTrunk": [{"minID": 10, "maxID": 11}]}));
    Network::new(&node, [plugin]).attach(&trunk.eth0());
    for (vlan, heard) in [(10, true), (11, true), (12, false)] {
        trunk.sh(&format!("ip link add link eth0 name eth0.{vlan} type vlan id {vlan}"));
        trunk.sh(&format!("ip addr add 10.9.{vlan}.1/24 dev eth0.{vlan}"));
        trunk.sh(&format!("ip link set eth0.{vlan} up"));
        let id = vlan.to_string();
        let access = with_address(&node, &id, json!({"vlan": vlan}), &format!("10.9.{vlan}.2"));
        assert_eq!(access.pings(IpAddr::from([10, 9, vlan, 1])), heard, "VLAN {vlan}");
    }
}

#[test]
fn the_gateway_of_a_vlan_is_a_link_into_it() {
    let node = node!();
    let network = Network::new(&node, [dual_stack(json!({"vlan": 100}))]);
    let (one, two) = (node.container("one"), node.container("two"));
    let (first, second) = (network.attach(&one.eth0()), network.attach(&two.eth0()));

    assert_eq!(node.addresses("br0"), [""; 0], "the bridge itself is in VLAN 1");
    assert_eq!(node.addresses("br0.100"), ["10.1.0.1/24", "fd01::1/64"]);
    let interfaces = first.result["interfaces"].as_array().expect("interfaces");
    assert_eq!(interfaces[3]["name"], "br0.100");
    let peer = node.link("br0.100").expect("the gateway's link")["link"].clone();
    assert_eq!(vlans(&node, peer.as_str().expect("its other end is here")), "100*u");
    assert_eq!(node.sysctl("ipv6/conf/br0.100/accept_ra"), "0", "its name is no path");
    for gateway in GATEWAYS {
        assert!(one.pings(gateway.parse().unwrap()) && two.pings(gateway.parse().unwrap()), "{gateway}");
    }
    assert!(one.pings(second.ip(false)) && one.pings(second.ip(true)));

    first.check().silent();
    first.del().silent();
    assert!(two.pings(GATEWAYS[0].parse().unwrap()), "the others keep their gateway");
    node.sh("ip addr del 10.1.0.1/24 dev br0.100");
    second.check().error_naming(101, &["10.1.0.1", "br0.100"]);
    node.sh("ip addr add 10.1.0.1/24 dev br0.100");
    second.check().silent();
    second.del().silent();
}

#[test]
fn the_whole_chain_works_in_a_vlan_with_nftables() {
    let node = node!();
    everything(&node, "nftables", Network::chain);
}

#[test]
fn drop_ins_work_in_a_vlan_with_iptables() {
    let node = node!();
    everything(&node, "iptables", |drop_ins| drop_ins);
}

fn everything<'n>(node: &'n Node, backend: &str, way: fn(Network<'n>) -> Network<'n>) {
    let outside = node.outside();
    let [bridge, portmap, bandwidth] = full(backend);
    let plugins = [with(bridge, json!({"vlan": 100})), portmap, bandwidth];
    let network = way(Network::new(node, plugins));
    let target = |container: &Container, port| container.eth0().port(port, 80).with("bandwidth", limits());
    // It leaves what attachments share.
    let first = node.container("first");
    network.attach(&target(&first, 8000)).del().silent();
    let before = node.dump();

    let web = node.container("web");
    let attachment = network.attach(&target(&web, 8001));
    assert_eq!(vlans(node, &attachment.host_end()), "100*u");
    let _servers = [Server::tcp(&web, "web", "[::]:80"), Server::tcp(&outside, "outside", "[::]:81")];
    for family in [0, 1] {
        let (name, peer) = tcp(&outside, at(NODE[family], 8001)).expect("the mapped port answers");
        assert_eq!((name.as_str(), peer.to_string().as_str()), ("web", OUTSIDE[family]));
        let seen = tcp(&web, at(OUTSIDE[family], 81)).expect("the outside answers");
        assert_eq!(seen, ("outside".into(), NODE[family].parse().unwrap()), "masqueraded");
    }
    let shaped = node.sh(&format!("tc qdisc show dev {}", attachment.host_end()));
    assert!(shaped.contains("tbf") && shaped.contains("rate 40Mbit"), "{shaped}");
    attachment.check().silent();
    attachment.del().silent();
    assert_undone(&node.dump(), &before);
    assert_eq!(web.links(), ["lo"]);
}

#[test]
fn a_chain_that_fails_in_a_vlan_leaves_nothing() {
    let node = node!();
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    let plugins = [bridge(json!({"vlan": 100})), portmap(json!({})), bandwidth()];
    let network = Network::new(&node, plugins).chain();
    // A burst that no rate allows is found last, when the port has its VLAN.
    let wrong = with(limits(), json!({"egressBurst": 0}));
    let outcome = network.add(&container.eth0().port(8001, 80).with("bandwidth", wrong));
    assert_ne!(outcome.status, 0, "{outcome}");
    assert_undone(&node.dump(), &before.0);
    container.dump().assert_same(&before.1);
}

//! bridge, options of its links: MTU, MAC, hairpin, isolation, promiscuity, anti-spoofing, VLANs.

use std::net::IpAddr;

use wharf_tests::{Container, Network, Node, json};

use crate::common::{bridge, dual_stack, layer2};

fn mac(container: &Container) -> String {
    container.link("eth0").expect("the link")["address"].as_str().unwrap().to_owned()
}

#[test]
fn the_mtu_is_that_of_both_ends_and_of_a_new_bridge() {
    let node = Node::new();
    let container = node.container("c");
    let attachment = Network::new(&node, [bridge(json!({"mtu": 1400}))]).attach(&container.eth0());
    for link in [container.link("eth0"), node.link(&attachment.host_end()), node.link("br0")] {
        assert_eq!(link.expect("a link")["mtu"], 1400);
    }
}

/// A port is no place to talk to, and with hundreds of them the kernel walks past the routes of each.
#[test]
fn the_hosts_end_gives_itself_no_address() {
    let node = Node::new();
    for (number, mode) in [json!({}), json!({"enabledad": true})].into_iter().enumerate() {
        let container = node.container(&format!("c{number}"));
        let attachment = Network::new(&node, [dual_stack(mode)]).attach(&container.eth0());
        assert_eq!(node.sh(&format!("ip -o addr show dev {}", attachment.host_end())), "");
        assert!(
            container.sh("ip -o -6 addr show dev eth0").contains("fe80:"),
            "the container's keeps its own"
        );
        assert!(node.sh("ip -o -6 addr show dev br0").contains("fe80:"), "and so does the bridge");
    }
}

#[test]
fn the_runtimes_mac_wins_over_args_and_they_over_cni_args() {
    let node = Node::new();
    let args = json!({"cni": {"mac": "02:00:00:00:00:0a"}});
    let sources = [
        (Some("02:00:00:00:00:01"), true, "02:00:00:00:00:01"),
        (None, true, "02:00:00:00:00:0a"),
        (None, false, "02:00:00:00:00:0c"),
    ];
    for (number, (runtime, with_args, expected)) in sources.into_iter().enumerate() {
        let container = node.container(&format!("c{number}"));
        let mut plugin = bridge(json!({"capabilities": {"mac": true}}));
        if with_args {
            plugin["args"] = args.clone();
        }
        let mut target = container.eth0().args("IgnoreUnknown=1;MAC=02:00:00:00:00:0c");
        if let Some(mac) = runtime {
            target = target.with("mac", json!(mac));
        }
        let attachment = Network::new(&node, [plugin]).attach(&target);
        assert_eq!(mac(&container), expected);
        assert_eq!(attachment.result["interfaces"][2]["mac"], expected);
    }
}

#[test]
fn hairpin_and_isolation_are_flags_of_the_port() {
    let node = Node::new();
    for (option, flag) in [("hairpinMode", "hairpin"), ("portIsolation", "isolated")] {
        for on in [false, true] {
            let container = node.container(&format!("{flag}-{on}"));
            let mut options = json!({});
            options[option] = json!(on);
            let attachment = Network::new(&node, [bridge(options)]).attach(&container.eth0());
            let port = node.link(&attachment.host_end()).expect("the port");
            assert_eq!(port["linkinfo"]["info_slave_data"][flag], on, "{option}");
        }
    }
}

#[test]
fn isolated_ports_reach_the_gateway_but_not_each_other() {
    let node = Node::new();
    let network = Network::new(&node, [bridge(json!({"portIsolation": true}))]);
    let (one, two, open) = (node.container("one"), node.container("two"), node.container("open"));
    network.attach(&one.eth0());
    let two = network.attach(&two.eth0());
    let open = Network::new(&node, [bridge(json!({}))]).attach(&open.eth0());
    assert!(one.pings("10.1.0.1".parse().unwrap()));
    assert!(one.pings(open.ip(false)));
    assert!(!one.pings(two.ip(false)));
}

#[test]
fn promiscuous_mode_is_the_bridges() {
    let node = Node::new();
    let container = node.container("c");
    let attachment = Network::new(&node, [bridge(json!({"promiscMode": true}))]).attach(&container.eth0());
    let flags = node.link("br0").expect("the bridge")["flags"].clone();
    assert!(flags.as_array().unwrap().contains(&json!("PROMISC")), "{flags}");
    attachment.check().silent();
    node.sh("ip link set br0 promisc off");
    attachment.check().error_naming(101, &["br0", "promisc"]);
}

/// Gives the link another address, and the neighbours nothing to remember.
fn spoof(container: &Container, mac: &str) {
    container.sh(&format!("ip link set eth0 address {mac}"));
    container.sh("ip neigh flush dev eth0");
}

#[test]
fn spoofed_frames_are_dropped() {
    let node = Node::new();
    let gateways: [IpAddr; 2] = ["10.1.0.1".parse().unwrap(), "fd01::1".parse().unwrap()];
    let (honest, spoofing, free) =
        (node.container("honest"), node.container("spoofing"), node.container("free"));
    let guarded = Network::new(&node, [dual_stack(json!({"macspoofchk": true}))]);
    guarded.attach(&honest.eth0());
    let attachment = guarded.attach(&spoofing.eth0());
    Network::new(&node, [dual_stack(json!({}))]).attach(&free.eth0());

    let own = mac(&spoofing);
    for gateway in gateways {
        assert!(spoofing.pings(gateway) && honest.pings(gateway) && free.pings(gateway), "{gateway}");
    }
    spoof(&spoofing, "02:00:00:00:00:66");
    spoof(&free, "02:00:00:00:00:67");
    for gateway in gateways {
        assert!(!spoofing.pings(gateway), "frames of a foreign address reach {gateway}");
        assert!(honest.pings(gateway), "others are not concerned");
    }
    assert!(free.pings(gateways[0]), "without macspoofchk any address will do");

    spoof(&spoofing, &own);
    assert!(spoofing.pings(gateways[0]), "its own address works again");
    attachment.check().silent();
    let rules = node.dump();
    attachment.del().silent();
    assert!(
        rules.mentions("spoofing") && !node.dump().mentions("spoofing"),
        "its rules, and only they, are gone"
    );
    assert!(node.dump().mentions("honest"));
}

#[test]
fn vlans_work_or_are_refused_by_a_kernel_without_them() {
    let node = Node::new();
    let container = node.container("c");
    node.sh("ip link add probe type bridge");
    let filtering = node.try_sh("ip link set probe type bridge vlan_filtering 1").status.success();
    node.sh("ip link del probe");
    let before = node.dump();
    let network = Network::new(&node, [layer2(json!({"vlan": 100}))]);
    if filtering {
        let attachment = network.attach(&container.eth0());
        let vlans = node.json(&format!("bridge -j vlan show dev {}", attachment.host_end()));
        assert_eq!(vlans[0]["vlans"][0]["vlan"], 100, "{vlans}");
        assert_eq!(vlans[0]["vlans"].as_array().unwrap().len(), 1, "VLAN 1 is removed: {vlans}");
    } else {
        network.add(&container.eth0()).error_naming(100, &["br0", "VLAN_FILTERING"]);
        node.dump().assert_same(&before);
        assert_eq!(container.links(), ["lo"]);
        wharf_tests::skip!("this kernel has no bridge VLAN filtering; it was refused as it should be");
    }
}

#[test]
fn without_records_a_gc_knows_the_hosts_end_by_its_alias() {
    for as_chain in [false, true] {
        let node = Node::new();
        let (gone, lives) = (node.container("gone"), node.container("lives"));
        let mut network = Network::new(&node, [bridge(json!({}))]);
        if as_chain {
            network = network.chain();
        }
        let ends = [&gone, &lives].map(|container| network.attach(&container.eth0()).host_end());
        std::fs::remove_dir_all(node.root().join("run/wharf/attachments")).unwrap();
        network.gc(&[("lives", "eth0")]).silent();
        assert!(node.link(&ends[0]).is_none() && gone.link("eth0").is_none(), "the address is not free yet");
        assert!(node.link(&ends[1]).is_some() && lives.link("eth0").is_some());
        assert_eq!(node.leased("net").len(), 1);
    }
}

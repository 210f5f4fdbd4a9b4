//! CHECK by the attachment record: every difference is named, and what others did for a good reason is none.

use std::fs;
use std::os::unix::fs::symlink;

use wharf_tests::install::reference;
use wharf_tests::{Attachment, Container, Network, Node, Target, Value, json, skip};

use crate::common::{bandwidth, dual_stack, full, layer2, limits, portmap, with};

/// Everything that the guests here can do, with a mapped port and limits.
fn everything(node: &Node, as_chain: bool) -> Network<'_> {
    let [bridge, portmap, bandwidth] = full("nftables");
    let network =
        Network::new(node, [with(bridge, json!({"mtu": 1400, "macspoofchk": true})), portmap, bandwidth]);
    if as_chain { network.chain() } else { network }
}

fn target(container: &Container) -> Target {
    container.eth0().port(8080, 80).with("bandwidth", limits())
}

/// A node that has this plugin of the reference beside Wharf; the error says why there is none.
fn node_with_reference(plugin: &str) -> Result<Node, String> {
    let program = reference()?.join(plugin);
    let node = Node::new();
    symlink(program, node.bin.join(plugin)).unwrap();
    Ok(node)
}

/// Attaches, checks, tampers, and expects one error that names all `words`.
#[track_caller]
fn tampered(tamper: impl Fn(&Node, &Container, &Attachment), words: &[&str]) {
    for as_chain in [false, true] {
        let node = Node::new();
        let container = node.container("c");
        let attachment = everything(&node, as_chain).attach(&target(&container));
        attachment.check().silent();
        tamper(&node, &container, &attachment);
        attachment.check().error_naming(101, words);
        attachment.del().silent();
    }
}

#[test]
fn all_differences_stand_in_one_error_with_their_operations() {
    tampered(
        |node, container, attachment| {
            let veth = attachment.host_end();
            node.set_sysctl(&format!("ipv6/conf/{veth}/accept_ra"), "1");
            node.sh(&format!("ip link set {veth} mtu 1300"));
            container.sh("ip -6 route del default");
        },
        &["accept_ra", "MTU of link", "1400", "1300", "route ::/0", "sysctl/write", "links/create-veth"],
    );
}

#[test]
fn what_plugins_without_a_record_do_behind_is_no_difference() {
    for as_chain in [false, true] {
        let node = Node::new();
        let container = node.container("c");
        let attachment = everything(&node, as_chain).attach(&target(&container));
        // As the reference `tuning` does.
        for (key, value) in [
            ("ipv6/conf/eth0/accept_dad", "1"),
            ("ipv6/conf/eth0/keep_addr_on_down", "0"),
            ("ipv4/conf/eth0/arp_notify", "0"),
        ] {
            container.set_sysctl(key, value);
        }
        attachment.check().silent();
        // As the reference `sbr` does.
        for route in ["10.1.0.0/24 dev eth0", "default via 10.1.0.1 dev eth0"] {
            container.sh(&format!("ip route add {route} table 100"));
        }
        for route in ["default via 10.1.0.1 dev eth0", "10.1.0.0/24 dev eth0"] {
            container.sh(&format!("ip route del {route}"));
        }
        attachment.check().silent();
        container.sh("ip route del default table 100");
        attachment.check().error_naming(101, &["route 0.0.0.0/0", "found none"]);
        attachment.del().silent();
    }
}

/// A node that is set to stable or random identifiers (RFC 7217) is set so for every link that is there.
#[test]
fn how_the_nodes_links_make_up_addresses_is_no_difference() {
    let node = Node::new();
    let container = node.container("c");
    let attachment = everything(&node, false).attach(&target(&container));
    let key = format!("ipv6/conf/{}/addr_gen_mode", attachment.host_end());
    assert_eq!(node.sysctl(&key), "1");
    node.set_sysctl("ipv6/conf/all/addr_gen_mode", "3");
    assert_eq!(node.sysctl(&key), "3");
    attachment.check().silent();
    attachment.del().silent();
}

#[test]
fn a_difference_that_a_guest_names_too_does_not_hide_others() {
    tampered(
        |_, container, _| {
            container.sh("ip addr del 10.1.0.2/24 dev eth0");
            container.sh("ip -6 route del default");
        },
        &["address 10.1.0.2/24 on link \"eth0\" in the container", "route ::/0", "routes/add"],
    );
}

#[test]
fn a_route_that_differs_is_shown() {
    let node = Node::new();
    let container = node.container("c");
    let routes = json!([{"dst": "198.51.100.0/24", "mtu": 1200}]);
    let ipam = json!({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]], "routes": routes});
    let network = Network::new(&node, [layer2(json!({"isGateway": true, "ipam": ipam}))]);
    let attachment = network.attach(&container.eth0());
    attachment.check().silent();
    let change = |mtu: &str| {
        container.sh(&format!("ip route replace 198.51.100.0/24 via 10.1.0.1 dev eth0 mtu {mtu}"));
    };
    change("1100");
    attachment.check().error_naming(101, &["route 198.51.100.0/24 via 10.1.0.1", "mtu 1200", "mtu 1100"]);
    change("1200");
    attachment.check().silent();
}

/// Another network, a tunnel, or a plugin behind this one may be the way out; none at all is a difference.
#[test]
fn another_way_out_is_no_difference() {
    for as_chain in [false, true] {
        let node = Node::new();
        let container = node.container("c");
        let routes = json!([{"dst": "0.0.0.0/0"}, {"dst": "198.51.100.0/24"}]);
        let ipam = json!({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]], "routes": routes});
        let network = Network::new(&node, [layer2(json!({"isGateway": true, "ipam": ipam}))]);
        let network = if as_chain { network.chain() } else { network };
        let mut attachment = network.attach(&container.eth0());
        for line in [
            "link add wg0 type veth peer name wg1",
            "link set wg0 up",
            "link set wg1 up",
            "route replace default dev wg0",
        ] {
            container.sh(&format!("ip {line}"));
        }
        attachment.check().silent();
        container.sh("ip route del default");
        attachment.check().error_naming(101, &["0.0.0.0/0"]);
        // As a plugin that overrides routes says it.
        attachment.result["routes"] = json!([{"dst": "198.51.100.0/24"}]);
        attachment.check().silent();
        container.sh("ip route del 198.51.100.0/24");
        attachment.check().error_naming(101, &["198.51.100.0/24"]);
        attachment.del().silent();
    }
}

/// An operator adds a range, or replaces it, while containers have addresses of the old ones.
#[test]
fn ranges_that_changed_later_are_no_difference() {
    for as_chain in [false, true] {
        let node = Node::new();
        let container = node.container("c");
        let network = |ranges: Value| {
            let ipam = json!({"type": "host-local", "ranges": ranges});
            let network = Network::new(&node, [layer2(json!({"ipam": ipam}))]);
            if as_chain { network.chain() } else { network }
        };
        let mut attachment = network(json!([[{"subnet": "10.1.0.0/24"}]])).attach(&container.eth0());
        for ranges in [
            json!([[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]),
            json!([[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.100"}]]),
            json!([[{"subnet": "10.2.0.0/24"}]]),
        ] {
            attachment.network = network(ranges);
            attachment.check().silent();
        }
        attachment.del().silent();
        assert!(node.leased("net").is_empty());
    }
}

#[test]
fn a_link_that_was_replaced_is_noticed() {
    tampered(
        |node, container, attachment| {
            let veth = attachment.host_end();
            let mac = container.link("eth0").unwrap()["address"].as_str().unwrap().to_owned();
            node.sh(&format!("ip link del {veth}"));
            node.sh(&format!(
                "ip link add {veth} type veth peer name eth0 netns {}",
                container.path().display()
            ));
            container.sh(&format!("ip link set eth0 address {mac} up"));
        },
        &["link \"eth0\" in the container: expected veth with index"],
    );
}

#[test]
fn rules_leases_and_qdiscs_are_compared() {
    tampered(|node, _, _| drop(node.sh("nft delete table inet wharf-masquerade")), &["10.1.0.2"]);
    for as_chain in [false, true] {
        let node = Node::new();
        let container = node.container("c");
        let attachment = everything(&node, as_chain).attach(&target(&container));
        fs::remove_file(node.leases("net").join("fd01::2")).unwrap();
        attachment.check().error_naming(101, &["lease of fd01::2: expected one, found none"]);
        attachment.del().silent();
    }
    let node = Node::new();
    let container = node.container("c");
    let attachment = everything(&node, true).attach(&target(&container));
    let veth = attachment.host_end();
    node.sh(&format!("tc qdisc del dev {veth} root"));
    node.sh(&format!("tc qdisc del dev {veth} ingress"));
    node.sh("nft delete table bridge wharf");
    node.sh("nft delete table inet wharf");
    node.sh("nft delete table inet wharf-masquerade");
    attachment.check().error_naming(
        101,
        &[
            "rate limit of link",
            "redirection",
            "anti-spoofing rule",
            "forward of tcp port 8080",
            "masquerade of 10.1.0.2",
            "masquerade of fd01::2",
        ],
    );
}

#[test]
fn what_others_add_is_no_difference() {
    for as_chain in [false, true] {
        let node = Node::new();
        let (container, other) = (node.container("c"), node.container("d"));
        let network = everything(&node, as_chain);
        let attachment = network.attach(&target(&container));
        // Plugins behind, on the interface.
        container.sh("ip addr add 192.0.2.7/24 dev eth0");
        container.sh("ip route add 198.51.100.0/24 dev eth0");
        container.sh("ip route add default via 192.0.2.1 dev eth0 metric 50");
        container.sh("tc qdisc add dev eth0 root tbf rate 1mbit burst 10kb latency 10ms");
        container.sh("ip neigh add 192.0.2.1 lladdr 02:00:00:00:00:aa dev eth0");
        // Others on what is shared.
        let second = network.attach(&other.eth0().port(8081, 80).with("bandwidth", limits()));
        node.sh("ip addr add 192.0.2.1/24 dev br0");
        node.set_sysctl("ipv4/ip_forward", "1");
        attachment.check().silent();
        second.del().silent();
        attachment.check().silent();
        // The same again, from the beginning.
        attachment.del().silent();
        container.sh("ip link add dummy0 type veth peer name dummy1");
        let again = network.attach(&target(&container));
        again.check().silent();
    }
}

#[test]
fn a_bridge_that_another_attachment_made_anew_is_no_difference() {
    let node = Node::new();
    let (container, other) = (node.container("c"), node.container("d"));
    let network = Network::new(&node, [layer2(json!({}))]);
    let attachment = network.attach(&container.eth0());
    node.sh("ip link del br0");
    network.attach(&other.eth0());
    attachment.check().error_naming(101, &["br0"]);
    node.sh(&format!("ip link set {} master br0", attachment.host_end()));
    attachment.check().silent();
}

#[test]
fn an_address_that_another_attachment_replaced_on_the_bridge_is_no_difference() {
    let node = Node::new();
    let (container, other) = (node.container("c"), node.container("d"));
    let network = |subnet: &str| {
        let ipam = json!({"type": "host-local", "ranges": [[{"subnet": subnet}]]});
        let plugin = layer2(json!({"isGateway": true, "forceAddress": true, "ipam": ipam}));
        Network::new(&node, [plugin]).named(if subnet.starts_with("10.1") { "one" } else { "two" })
    };
    let attachment = network("10.1.0.0/24").attach(&container.eth0());
    network("10.2.0.0/24").attach(&other.eth0());
    // The guest does not know why; the record does.
    let text = attachment.check().error(101);
    assert!(!text.contains("expected"), "{text}");
}

#[test]
fn the_reference_tuning_behind_us_is_no_difference() {
    let node = match node_with_reference("tuning") {
        Ok(node) => node,
        Err(reason) => skip!("{reason}"),
    };
    let container = node.container("c");
    let tuning = json!({
        "type": "tuning", "mac": "02:00:00:00:00:77", "mtu": 1350, "promisc": true,
        "dataDir": node.folder("tuning").display().to_string(),
    });
    let bridge = dual_stack(json!({"mtu": 1400, "ipMasq": true}));
    let network = Network::new(&node, [bridge, portmap(json!({})), tuning, bandwidth()]);
    let attachment = network.attach(&target(&container));
    let link = container.link("eth0").unwrap();
    assert_eq!((link["mtu"].as_u64(), link["address"].as_str()), (Some(1350), Some("02:00:00:00:00:77")));
    attachment.check().silent();
    attachment.del().silent();
}

#[test]
fn without_a_record_the_guests_check_alone() {
    let node = Node::new();
    let container = node.container("c");
    let plugin = layer2(json!({"cniVersion": "1.1.0", "name": "net"}));
    let attachment = Network::new(&node, [plugin.clone()]).attach(&container.eth0());
    node.set_sysctl(&format!("ipv6/conf/{}/accept_ra", attachment.host_end()), "1");
    attachment.check().error_naming(101, &["accept_ra"]);
    fs::remove_dir_all(node.root().join("run/wharf/attachments")).unwrap();
    let target = container.eth0();
    let mut env = target.env("CHECK");
    env.push(("WHARF_LOG", "debug"));
    let config = with(plugin, json!({"prevResult": attachment.result}));
    let outcome = node.exec("bridge", &env, config.to_string().as_bytes());
    assert!(outcome.stderr.contains("no ADD of this attachment is recorded"), "{outcome}");
    outcome.silent();
    assert!(!node.root().join("run/wharf/attachments").exists(), "a CHECK makes nothing");
}

#[test]
fn the_reference_sbr_behind_us_is_no_difference() {
    let node = match node_with_reference("sbr") {
        Ok(node) => node,
        Err(reason) => skip!("{reason}"),
    };
    let container = node.container("c");
    let bridge = dual_stack(json!({"isDefaultGateway": true}));
    let network = Network::new(&node, [bridge, json!({"type": "sbr"}), portmap(json!({}))]);
    let attachment = network.attach(&target(&container));
    for family in ["-4", "-6"] {
        assert_eq!(container.sh(&format!("ip {family} route show default")), "", "{family}: moved");
    }
    attachment.check().silent();
    attachment.del().silent();
}

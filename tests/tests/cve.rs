//! Vulnerabilities of CNI plugins that had a number, or deserved one, as tests that name them.

use std::os::unix::fs::MetadataExt as _;

use wharf_tests::native::Native;
use wharf_tests::node::{NODE, OUTSIDE};
use wharf_tests::traffic::{Server, at, tcp};
use wharf_tests::{Container, Network, Node, Value, json, skip};

use crate::common::{BACKENDS, GATEWAYS, bridge, dual_stack, portmap, with_ipam};

/// A container sends router advertisements, and its host takes them: all traffic of IPv6 goes to the container.
#[test]
fn cve_2020_10749_a_container_does_not_configure_its_host() {
    let node = Node::new();
    let container = node.container("c");
    // What a host that takes advertisements gives every new link.
    for key in ["default/accept_ra", "all/accept_ra"] {
        node.set_sysctl(&format!("ipv6/conf/{key}"), "2");
    }
    for plugins in [dual_stack(json!({})), bridge(json!({"bridge": "br1", "forceAddress": true}))] {
        let name = plugins["bridge"].as_str().unwrap().to_owned();
        let attachment =
            Network::new(&node, [plugins]).named(&name).attach(&container.target(&format!("if-{name}")));
        for link in [name, attachment.host_end()] {
            assert_eq!(node.sysctl(&format!("ipv6/conf/{link}/accept_ra")), "0", "{link}");
        }
    }
}

/// A `type` with a path in it executes any file of the node as root.
#[test]
fn cve_2021_20206_no_plugin_type_is_a_path() {
    let mut node = Node::new();
    let planted = Native::install(&mut node, "planted", "echo '{\"cniVersion\": \"1.1.0\", \"ips\": []}'");
    std::fs::create_dir_all(node.folder("native").join("below")).unwrap();
    let absolute = node.folder("native").join("planted").display().to_string();
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    for kind in [
        "../native/planted",
        "below/../planted",
        "./planted",
        absolute.as_str(),
        "..",
        "planted/",
        "planted\u{0}",
    ] {
        let plain = json!({"cniVersion": "1.1.0", "name": "net", "type": kind});
        let chain = json!({"cniVersion": "1.1.0", "name": "net", "type": "wharf", "chain": [{"type": kind}]});
        for command in ["ADD", "DEL", "CHECK"] {
            node.call("wharf", command, &container.eth0(), &plain).error_saying(7, &["type"]);
        }
        for command in ["ADD", "CHECK"] {
            node.call("wharf", command, &container.eth0(), &chain).error_saying(7, &["chain[0].type"]);
        }
        node.call("wharf", "DEL", &container.eth0(), &chain).silent();
        let mut config = bridge(json!({"cniVersion": "1.1.0", "name": "net", "ipam": {"type": kind}}));
        config["prevResult"] = json!({"cniVersion": "1.1.0"});
        for command in ["ADD", "CHECK"] {
            node.call("bridge", command, &container.eth0(), &config).error_saying(7, &["ipam.type"]);
        }
        node.call("bridge", "DEL", &container.eth0(), &config).silent();
    }
    assert_eq!(planted.calls().len(), 0, "it was never executed");
    node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
}

/// portmap takes traffic that the node only forwards, because it looks at the port and not at whose address it is.
#[test]
fn cve_2025_67499_only_the_nodes_own_addresses_are_translated() {
    for backend in BACKENDS {
        let node = Node::new();
        let outside = node.outside();
        let (web, neighbour) = (node.container("web"), node.container("neighbour"));
        let plugins = [dual_stack(json!({"hairpinMode": true})), portmap(json!({"backend": backend}))];
        let network = Network::new(&node, plugins);
        network.attach(&web.eth0().port(8080, 80));
        network.attach(&neighbour.eth0());
        let _servers = [Server::tcp(&web, "web", "[::]:80"), Server::tcp(&outside, "outside", "[::]:8080")];
        for (subnet, node_address) in [("10.1.0.0/24", NODE[0]), ("fd01::/64", NODE[1])] {
            outside.sh(&format!("ip route add {subnet} via {node_address}"));
        }
        for address in OUTSIDE {
            let seen =
                tcp(&neighbour, at(address, 8080)).unwrap_or_else(|| panic!("{backend}: {address} answers"));
            assert_eq!(seen.0, "outside", "{backend}");
            assert_eq!(tcp(&node, at(address, 8080)).map(|(name, _)| name).as_deref(), Some("outside"));
        }
    }
}

/// `dataDir`, and a network's name that becomes a folder in it, lead out of the folder of leases.
#[test]
fn data_directory_traversal() {
    let node = Node::new();
    let container = node.container("c");
    let secret = node.root().join("var/lib/cni/secret");
    std::fs::create_dir_all(secret.join("net")).unwrap();
    let before = (node.dump(), container.dump());
    for folder in ["../secret", "/var/lib/cni/networks/../secret", "/..", "secret"] {
        let config = with_ipam(json!({"subnet": "10.1.0.0/24", "dataDir": folder}));
        Network::new(&node, [config]).add(&container.eth0()).error_saying(7, &["ipam.dataDir"]);
    }
    for name in ["../secret", "a/b", "..", ".", "/etc", "", "net\u{0}", "-net"] {
        let mut config: Value = bridge(json!({"cniVersion": "1.1.0"}));
        config["name"] = name.into();
        for command in ["ADD", "DEL", "CHECK", "GC"] {
            node.call("bridge", command, &container.eth0(), &config).error_saying(7, &["network name"]);
        }
    }
    // A file that is not resolv.conf is not made to look like one.
    let config = with_ipam(json!({"subnet": "10.1.0.0/24", "resolvConf": "/etc/../etc/shadow"}));
    Network::new(&node, [config])
        .add(&container.eth0())
        .error_saying(7, &["ipam.resolvConf", "/etc/../etc/shadow"]);
    node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
}

/// With `route_localnet`, which mapped ports on 127.0.0.1 need, machines beyond a link reach what listens there only.
#[test]
fn cve_2020_8558_machines_outside_do_not_reach_the_nodes_loopback() {
    let node = Node::new();
    let outside = node.outside();
    let web = node.container("web");
    Network::new(&node, [dual_stack(json!({})), portmap(json!({}))]).attach(&web.eth0().port(8080, 80));
    let _private = Server::tcp(&node, "private", "127.0.0.1:7777");
    assert!(tcp(&node, at("127.0.0.1", 7777)).is_some());
    outside.set_sysctl("ipv4/conf/eth0/route_localnet", "1");
    outside.sh("ip addr flush dev lo");
    outside.sh(&format!("ip route add 127.0.0.1/32 via {} dev eth0", NODE[0]));
    assert_eq!(tcp(&outside, at("127.0.0.1", 7777)), None);
}

/// The same for a container on the bridge that has `route_localnet`: nothing but the guard is in its way.
#[test]
fn cve_2020_8558_containers_do_not_reach_the_nodes_loopback() {
    let flavours = [
        ("nftables", "", "nft flush chain inet wharf loopback"),
        ("iptables", "", "iptables-nft -F WHARF-LOOPBACK"),
        ("iptables", "iptables-legacy -w -t nat -S", "iptables-legacy -w -F WHARF-LOOPBACK"),
    ];
    for (backend, prepare, unguard) in flavours {
        let node = Node::new();
        if !prepare.is_empty() && !node.try_sh(prepare).status.success() {
            skip!("this machine has no iptables-legacy");
        }
        let (web, neighbour, late) =
            (node.container("web"), node.container("neighbour"), node.container("late"));
        let network = Network::new(&node, [dual_stack(json!({})), portmap(json!({"backend": backend}))]);
        network.attach(&web.eth0().port(8080, 80));
        network.attach(&neighbour.eth0());
        let _servers = [Server::tcp(&web, "web", "[::]:80"), Server::tcp(&node, "private", "127.0.0.1:7777")];
        neighbour.set_sysctl("ipv4/conf/eth0/route_localnet", "1");
        neighbour.sh("ip addr flush dev lo");
        neighbour.sh(&format!("ip route add 127.0.0.0/8 via {} dev eth0", GATEWAYS[0]));
        let private = at("127.0.0.1", 7777);
        assert_eq!(tcp(&neighbour, private), None, "{backend} {prepare}");
        assert!(tcp(&node, private).is_some(), "{backend} {prepare}: the node's own processes do");
        assert!(tcp(&node, at("127.0.0.1", 8080)).is_some(), "{backend} {prepare}: a mapped port is open");
        node.sh(unguard);
        assert!(tcp(&neighbour, private).is_some(), "{backend} {prepare}: this is no attack");
        network.attach(&late.eth0().port(8081, 80));
        assert_eq!(tcp(&neighbour, private), None, "{backend} {prepare}: the next ADD guards again");
    }
}

/// plugins#714: CNI_NETNS of a DEL came to be the namespace of another container, whose interface has the same name.
#[test]
fn plugins_714_a_namespace_that_is_anothers_by_now_keeps_its_interface() {
    for recorded in [true, false] {
        let node = Node::new();
        let gone = node.container("c");
        let network = Network::new(&node, [bridge(json!({}))]);
        let attachment = network.attach(&gone.eth0());
        gone.vanish();
        // The same path, another namespace, another network with a bridge of its own.
        let now = node.container("c");
        let ipam = json!({"type": "host-local", "ranges": [[{"subnet": "10.2.0.0/24"}]]});
        let other = Network::new(&node, [bridge(json!({"bridge": "br1", "ipam": ipam}))]).named("other");
        other.attach(&now.eth0());
        let before = now.dump();
        if !recorded {
            std::fs::remove_dir_all(node.root().join("run/wharf/attachments")).unwrap();
        }
        attachment.del().silent();
        now.dump().assert_same(&before);
        assert_eq!(node.leased("net"), [""; 0], "what was the attachment's is gone");
        assert_eq!(node.leased("other").len(), 1);
    }
}

/// plugins#714 again: the namespace at that path has the inode of the one that is gone, and its container is on the same
/// network. Only what the kernel never gives twice tells them apart.
#[test]
fn plugins_714_nor_is_an_inode_that_was_given_again_the_namespace_that_had_it() {
    let inode = |container: &Container| std::fs::metadata(container.path()).unwrap().ino();
    for recorded in [true, false] {
        let node = Node::new();
        let gone = node.container("c");
        let network = Network::new(&node, [bridge(json!({}))]);
        let attachment = network.attach(&gone.eth0());
        let before = inode(&gone);
        gone.vanish();
        let mut tries = 0..500;
        let mut now = node.container("c");
        while recorded && inode(&now) != before {
            if tries.next().is_none() {
                skip!("this kernel does not give inodes of namespaces again");
            }
            now.vanish();
            now = node.container("c");
        }
        now.id = "d".into();
        network.attach(&now.eth0());
        let theirs = now.dump();
        if !recorded {
            let journals = node.root().join("run/wharf/attachments");
            std::fs::remove_file(journals.join("c:eth0:bridge:net")).unwrap();
        }
        attachment.del().silent();
        now.dump().assert_same(&theirs);
        assert_eq!(node.leased("net").len(), 1, "what was the attachment's is gone");
    }
}

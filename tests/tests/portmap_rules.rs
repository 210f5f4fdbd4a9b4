//! portmap, the rules: many ports, SCTP, several owners, what CHECK notices, what is left.

use std::net::IpAddr;

use wharf_tests::{Network, Node, Value, json};

use crate::common::{BACKENDS, assert_undone, bridge, dual_stack, portmap};

fn ports(protocol: &str, host: std::ops::Range<u16>) -> Value {
    host.map(|port| json!({"hostPort": port, "containerPort": port, "protocol": protocol})).collect()
}

#[test]
fn nothing_is_left_with_either_backend() {
    for backend in BACKENDS {
        let node = Node::new();
        let (first, container) = (node.container("first"), node.container("c"));
        let network = Network::new(&node, [dual_stack(json!({})), portmap(json!({"backend": backend}))]);
        network.attach(&first.eth0().port(8080, 80));
        let before = node.dump();
        let mappings = ports("tcp", 9000..9040);
        let attachment = network.attach(&container.eth0().with("portMappings", mappings));
        assert!(!node.dump().changes_since(&before).is_empty());
        attachment.check().silent();
        attachment.del().silent();
        node.dump().assert_same(&before);
    }
}

#[test]
fn sctp_ports_can_be_mapped() {
    // Whether or not the kernel has sockets for it.
    for backend in BACKENDS {
        let node = Node::new();
        let container = node.container("c");
        let network = Network::new(&node, [bridge(json!({})), portmap(json!({"backend": backend}))]);
        let attachment = network.attach(&container.eth0().with("portMappings", ports("sctp", 9899..9900)));
        let dump = node.dump();
        let lines = dump.lines(if backend == "nftables" { "nft" } else { "iptables" });
        assert!(lines.iter().any(|line| line.contains("9899")), "{backend}: {lines:#?}");
        attachment.check().silent();
        attachment.del().silent();
        assert!(!node.dump().mentions("9899"), "{backend}");
    }
}

#[test]
fn one_containers_end_does_not_touch_another_network() {
    // The reference's nftables backend removes what the container has on every network.
    for backend in BACKENDS {
        let node = Node::new();
        let container = node.container("c");
        let plugins = |bridge_name: &str, subnet: &str| {
            let ipam = json!({"type": "host-local", "subnet": subnet});
            let options =
                json!({"bridge": bridge_name, "isDefaultGateway": false, "isGateway": true, "ipam": ipam});
            [bridge(options), portmap(json!({"backend": backend}))]
        };
        let one = Network::new(&node, plugins("br1", "10.1.0.0/24")).named("one");
        let two = Network::new(&node, plugins("br2", "10.2.0.0/24")).named("two");
        let one = one.attach(&container.eth0().port(8001, 80));
        let two = two.attach(&container.target("eth1").port(8002, 80));
        two.del().silent();
        assert!(node.dump().mentions("8001") && !node.dump().mentions("8002"), "{backend}");
        one.check().silent();
    }
}

#[test]
fn long_names_are_no_problem() {
    // The reference's nftables backend fails with more than 128 characters.
    for backend in BACKENDS {
        let node = Node::new();
        let container = node.container("c");
        let mut target = container.eth0().port(8001, 80);
        target.id = "x".repeat(200);
        let before = {
            // What is shared is there before.
            let first = node.container("first");
            let network = Network::new(&node, [bridge(json!({})), portmap(json!({"backend": backend}))]);
            network.attach(&first.eth0().port(8000, 80)).del().silent();
            node.dump()
        };
        let network = Network::new(&node, [bridge(json!({})), portmap(json!({"backend": backend}))]);
        let attachment = network.attach(&target);
        attachment.check().silent();
        attachment.del().silent();
        node.dump().assert_same(&before);
    }
}

#[test]
fn check_notices_missing_rules() {
    for backend in BACKENDS {
        let node = Node::new();
        let container = node.container("c");
        let network = Network::new(&node, [bridge(json!({})), portmap(json!({"backend": backend}))]);
        let attachment = network.attach(&container.eth0().port(8001, 80));
        attachment.check().silent();
        node.sh("nft flush ruleset");
        attachment.check().error_naming(101, &["8001"]);
    }
}

#[test]
fn check_notices_another_mapping() {
    for backend in BACKENDS {
        let node = Node::new();
        let container = node.container("c");
        let network = Network::new(&node, [bridge(json!({})), portmap(json!({"backend": backend}))]);
        let mut attachment = network.attach(&container.eth0().port(8001, 80));
        attachment.target = container.eth0().port(8002, 80);
        attachment.check().error_naming(101, &["8002"]);
    }
}

#[test]
fn mappings_that_contradict_each_other_are_refused() {
    let node = Node::new();
    let container = node.container("c");
    let before = node.dump();
    let mappings = json!([
        {"hostPort": 8001, "containerPort": 80, "protocol": "tcp"},
        {"hostPort": 8001, "containerPort": 81, "protocol": "tcp"},
    ]);
    let network = Network::new(&node, [bridge(json!({})), portmap(json!({}))]).chain();
    network
        .add(&container.eth0().with("portMappings", mappings))
        .error_saying(7, &["hostPort", "8001", "80"]);
    assert_undone(&node.dump(), &before);
}

#[test]
fn without_mappings_the_result_is_handed_on_and_nothing_done() {
    let node = Node::new();
    let container = node.container("c");
    let alone = Network::new(&node, [bridge(json!({}))]).attach(&container.eth0());
    let before = node.dump().without_journals();
    for mappings in [None, Some(json!([]))] {
        let mut target = container.eth0();
        if let Some(mappings) = mappings {
            target = target.with("portMappings", mappings);
        }
        let mut config = portmap(json!({"cniVersion": "1.1.0", "name": "net", "prevResult": alone.result}));
        config["runtimeConfig"] = target.capabilities.clone();
        let result = node.call("portmap", "ADD", &target, &config).ok();
        assert_eq!(result, alone.result);
        node.dump().without_journals().assert_same(&before);
    }
}

#[test]
fn only_the_containers_own_addresses_count() {
    // Addresses of other interfaces in the result are not where the port leads.
    let node = Node::new();
    let container = node.container("c");
    let sandbox = container.eth0().netns;
    let previous = json!({
        "cniVersion": "1.1.0",
        "interfaces": [{"name": "eth0"}, {"name": "eth1", "sandbox": sandbox}, {"name": "eth0", "sandbox": sandbox}],
        "ips": [
            {"address": "10.8.0.2/24", "interface": 0},
            {"address": "10.8.1.2/24", "interface": 1},
            {"address": "10.8.2.2/24", "interface": 2},
        ],
    });
    let mut config =
        portmap(json!({"cniVersion": "1.1.0", "name": "net", "prevResult": previous, "snat": false}));
    let target = container.eth0().port(8001, 80);
    config["runtimeConfig"] = target.capabilities.clone();
    node.call("portmap", "ADD", &target, &config).ok();
    let dump = node.dump();
    assert!(dump.mentions("10.8.2.2") && !dump.mentions("10.8.0.2") && !dump.mentions("10.8.1.2"));
}

#[test]
fn automatic_means_what_the_host_has() {
    let node = Node::new();
    let container = node.container("c");
    let attachment =
        Network::new(&node, [bridge(json!({})), portmap(json!({}))]).attach(&container.eth0().port(8001, 80));
    let address: IpAddr = attachment.ip(false);
    let dump = node.dump();
    assert!(
        dump.lines("nft").iter().any(|line| line.contains("8001") && line.contains(&address.to_string()))
    );
}

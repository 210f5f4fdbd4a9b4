//! Bad configurations of each plugin: one error 7 that names the key and the value, before anything is done.

use wharf_tests::{Network, Node, Target, Value, json};

use crate::common::{assert_undone, bandwidth, bridge, layer2, portmap, with, with_ipam};

/// The plugins, what the runtime tells them, and the words of the error.
type Bad = (Vec<Value>, fn(Target) -> Target, &'static [&'static str]);

fn as_it_is(target: Target) -> Target {
    target
}

/// Each fails for ADD, in both ways of running it, and nothing is left. As drop-ins, plugins before the last succeed:
/// what they made is the runtime's to remove. The DEL that a runtime sends then succeeds: it would try for ever.
fn refuse(table: Vec<Bad>) {
    let node = Node::new();
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    for (plugins, prepare, words) in table {
        let target = prepare(container.eth0());
        let alone = plugins.len() == 1;
        let network = Network::new(&node, plugins);
        let chain = network.clone().chain();
        chain.add(&target).error_saying(7, words);
        chain.del(&target, None).silent();
        if alone {
            network.add(&target).error_saying(7, words);
            network.del(&target, None).silent();
        }
    }
    assert_undone(&node.dump(), &before.0);
    container.dump().assert_same(&before.1);
}

fn option(options: Value, words: &'static [&'static str]) -> Bad {
    (vec![layer2(options)], as_it_is, words)
}

fn ipam(section: Value, words: &'static [&'static str]) -> Bad {
    (vec![with_ipam(section)], as_it_is, words)
}

#[test]
fn options_of_bridge() {
    let ipam = json!({"type": "host-local", "subnet": "10.1.0.0/24"});
    refuse(vec![
        option(json!({"bridge": "a-name-of-16-byt"}), &["bridge", "a-name-of-16-byt"]),
        option(json!({"bridge": "a/b"}), &["bridge", "a/b"]),
        option(json!({"bridge": 5}), &["bridge: expected a string, found 5"]),
        option(json!({"bridge": "br%d"}), &["bridge", "br%d"]),
        option(json!({"bridge": "lo"}), &["bridge: lo", "is there already, and is no bridge"]),
        option(json!({"isGateway": "yes"}), &["isGateway", "yes"]),
        option(json!({"mtu": -1}), &["mtu: -1"]),
        option(json!({"mtu": 70000}), &["mtu", "70000"]),
        option(json!({"mtu": "big"}), &["mtu: expected an integer, found \"big\""]),
        option(json!({"mtu": 1500.5}), &["mtu: expected an integer, found 1500.5"]),
        option(json!({"vlan": 5000}), &["vlan", "5000"]),
        option(json!({"vlan": -1}), &["vlan: -1"]),
        option(json!({"vlanTrunk": [{"id": 4095}]}), &["vlanTrunk[0].id", "4095"]),
        option(json!({"vlanTrunk": [{"minID": 20, "maxID": 10}]}), &["vlanTrunk[0].minID", "20", "10"]),
        option(json!({"vlanTrunk": [{"minID": 20}]}), &["vlanTrunk[0].minID", "20", "maxID"]),
        option(json!({"hairpinMode": true, "promiscMode": true}), &["hairpinMode", "promiscMode"]),
        option(
            json!({"disableContainerInterface": true, "ipam": ipam}),
            &["disableContainerInterface", "ipam.type", "host-local"],
        ),
        option(json!({"ipMasq": true, "ipMasqBackend": "foo", "ipam": ipam}), &["ipMasqBackend", "foo"]),
        option(json!({"args": {"cni": {"mac": "zz"}}}), &["args.cni.mac", "zz"]),
        option(
            json!({"args": {"cni": {"mac": "01:00:5e:00:00:01"}}}),
            &["args.cni.mac", "01:00:5e:00:00:01"],
        ),
        option(json!({"runtimeConfig": {"mac": "02:00"}}), &["runtimeConfig.mac", "02:00"]),
    ]);
}

#[test]
fn a_bad_mac_among_the_arguments() {
    let node = Node::new();
    let container = node.container("c");
    let before = node.dump();
    Network::new(&node, [layer2(json!({}))])
        .add(&container.eth0().args("MAC=nonsense"))
        .error_saying(4, &["MAC", "nonsense"]);
    node.dump().assert_same(&before);
}

#[test]
fn ranges_of_host_local() {
    refuse(vec![
        ipam(json!({}), &["ipam.ranges", "no IP ranges specified"]),
        ipam(json!({"ranges": []}), &["ipam.ranges", "no IP ranges specified"]),
        ipam(json!({"ranges": [[]]}), &["ipam.ranges[0]", "empty range set"]),
        ipam(json!({"ranges": [[{}]]}), &["ipam.ranges[0][0]", "subnet"]),
        ipam(json!({"ranges": [[{"subnet": "10.1.0.0"}]]}), &["subnet", "10.1.0.0"]),
        ipam(
            json!({"ranges": [[{"subnet": "::ffff:10.1.0.0/120"}]]}),
            &["ipam.ranges[0][0].subnet", "::ffff:10.1.0.0/120", "10.1.0.0/24"],
        ),
        ipam(
            json!({"ranges": [[{"subnet": "10.1.0.5/24"}]]}),
            &["10.1.0.5/24", "network address is 10.1.0.0"],
        ),
        ipam(json!({"ranges": [[{"subnet": "10.1.0.0/31"}]]}), &["10.1.0.0/31"]),
        ipam(json!({"ranges": [[{"subnet": "fd01::/128"}]]}), &["fd01::/128"]),
        ipam(
            json!({"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd01::/64"}]]}),
            &["mixed address families", "10.1.0.1-10.1.0.254", "fd01::1-fd01::ffff:ffff:ffff:ffff"],
        ),
        ipam(
            json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}]]}),
            &["rangeStart", "10.2.0.1"],
        ),
        ipam(
            json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeEnd": "10.2.0.1"}]]}),
            &["rangeEnd", "10.2.0.1"],
        ),
        ipam(
            json!({"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.3"}]]}),
            &["10.1.0.9", "10.1.0.3"],
        ),
        ipam(
            json!({"ranges": [[{"subnet": "10.1.0.0/24", "gateway": "10.9.0.1"}]]}),
            &["gateway", "10.9.0.1"],
        ),
        ipam(
            json!({"ranges": [[{"subnet": "10.1.0.0/16"}, {"subnet": "10.1.2.0/24"}]]}),
            &["overlap", "10.1.0.1-10.1.255.254", "10.1.2.1-10.1.2.254"],
        ),
        ipam(
            json!({"ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "10.1.2.0/24"}]]}),
            &["overlaps", "10.1.0.1-10.1.255.254", "10.1.2.1-10.1.2.254"],
        ),
        ipam(json!({"subnet": "10.1.0.0/24", "dataDir": "../x"}), &["dataDir", "../x"]),
        ipam(
            json!({"subnet": "10.1.0.0/24", "resolvConf": "/etc/../etc/shadow"}),
            &["ipam.resolvConf", "/etc/../etc/shadow", "absolute path"],
        ),
        ipam(
            json!({"subnet": "10.1.0.0/24", "resolvConf": "/etc/none.conf"}),
            &["ipam.resolvConf", "/etc/none.conf", "is not there", "leave it out"],
        ),
        ipam(
            json!({"subnet": "10.1.0.0/24", "resolvConf": "/etc"}),
            &["ipam.resolvConf", "/etc", "is not a file", "leave it out"],
        ),
        ipam(json!({"subnet": "10.1.0.0/24", "routes": [{"dst": "nowhere"}]}), &["routes[0].dst", "nowhere"]),
        ipam(
            json!({"subnet": "10.1.0.0/24", "routes": [{"dst": "0.0.0.0/0", "gw": "x"}]}),
            &["routes[0].gw", "x"],
        ),
    ]);
}

/// Where leases can never have been, a DEL has nothing to look for.
#[test]
fn a_directory_of_leases_that_no_path_can_name() {
    let long = "n".repeat(256);
    refuse(vec![ipam(
        json!({"subnet": "10.1.0.0/24", "dataDir": format!("/{long}")}),
        &["ipam.dataDir", "too long", "255 bytes"],
    )]);
    let node = Node::new();
    let container = node.container("c");
    let before = node.dump();
    let target = container.eth0();
    let plugins = [with_ipam(json!({"subnet": "10.1.0.0/24"}))];
    for network in [Network::new(&node, plugins.clone()), Network::new(&node, plugins.clone()).chain()] {
        let network = network.named(&long);
        network.add(&target).error_saying(7, &["ipam.dataDir", "too long", "network's name"]);
        network.status().error_saying(50, &["nothing can be written", "File name too long"]);
        network.del(&target, None).silent();
    }
    assert_undone(&node.dump(), &before);
    let network = Network::new(&node, plugins).named(&long[1..]);
    network.add(&target).ok();
    network.del(&target, None).silent();
}

#[test]
fn mappings_and_options_of_portmap() {
    let node = Node::new();
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    for (entry, words) in [
        (json!({"hostPort": 0, "containerPort": 80, "protocol": "tcp"}), &["portMappings[0].hostPort: 0"]),
        (
            json!({"hostPort": 70000, "containerPort": 80, "protocol": "tcp"}),
            &["portMappings[0].hostPort: 70000"],
        ),
        (json!({"hostPort": -1, "containerPort": 80, "protocol": "tcp"}), &["portMappings[0].hostPort: -1"]),
        (
            json!({"hostPort": 80, "containerPort": 0, "protocol": "tcp"}),
            &["portMappings[0].containerPort: 0"],
        ),
        (
            json!({"hostPort": 80, "containerPort": 70000, "protocol": "tcp"}),
            &["portMappings[0].containerPort: 70000"],
        ),
        (
            json!({"hostPort": "80", "containerPort": 80, "protocol": "tcp"}),
            &["portMappings[0].hostPort: expected an integer, found \"80\""],
        ),
        (
            json!({"hostPort": 80, "containerPort": 80, "protocol": "icmp"}),
            &["portMappings[0].protocol: \"icmp\""],
        ),
        (
            json!({"hostPort": 80, "containerPort": 80, "protocol": "tcp", "hostIP": "1.2.3"}),
            &["portMappings[0].hostIP: \"1.2.3\""],
        ),
    ] {
        let target = container.eth0().with("portMappings", json!([entry]));
        let network = Network::new(&node, [bridge(json!({})), portmap(json!({}))]).chain();
        network.add(&target).error_saying(7, words);
    }
    for (options, words) in [
        (json!({"backend": "foo"}), &["backend", "foo"][..]),
        (json!({"markMasqBit": 32}), &["markMasqBit", "32"]),
        (json!({"markMasqBit": -1}), &["markMasqBit: -1"]),
        (json!({"markMasqBit": 5, "externalSetMarkChain": "X"}), &["markMasqBit", "externalSetMarkChain"]),
        (json!({"backend": "nftables", "externalSetMarkChain": "X"}), &["externalSetMarkChain", "nftables"]),
        (
            json!({"backend": "iptables", "conditionsV4": ["ip", "saddr", "10.0.0.0/8"]}),
            &["conditionsV4", "iptables"],
        ),
        (json!({"backend": "nftables", "conditionsV6": ["-s", "fd00::/8"]}), &["conditionsV6", "nftables"]),
        (
            json!({"conditionsV4": "-s 10.0.0.0/8"}),
            &["conditionsV4: expected an array, found \"-s 10.0.0.0/8\""],
        ),
        (json!({"snat": "no"}), &["snat: expected true or false, found \"no\""]),
    ] {
        let network = Network::new(&node, [bridge(json!({})), portmap(options)]).chain();
        network.add(&container.eth0().port(80, 80)).error_saying(7, words);
    }
    assert_undone(&node.dump(), &before.0);
    container.dump().assert_same(&before.1);
}

#[test]
fn chained_plugins_need_a_previous_result() {
    let node = Node::new();
    let container = node.container("c");
    for plugin in [portmap(json!({})), bandwidth()] {
        let target = container.eth0().port(80, 80).with("bandwidth", crate::common::limits());
        Network::new(&node, [plugin]).add(&target).error_saying(7, &["prevResult"]);
    }
}

#[test]
fn limits_of_bandwidth() {
    let node = Node::new();
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    for (limits, words) in [
        (json!({"ingressRate": 1000}), &["bandwidth.ingressBurst: 0"][..]),
        (json!({"egressRate": 1000}), &["bandwidth.egressBurst: 0"]),
        (json!({"ingressBurst": 1000}), &["bandwidth.ingressRate: 0"]),
        (json!({"egressBurst": 1000}), &["bandwidth.egressRate: 0"]),
        (
            json!({"ingressRate": 1000, "ingressBurst": 34_359_738_368_u64}),
            &["bandwidth.ingressBurst: 34359738368"],
        ),
        (json!({"ingressRate": 7, "ingressBurst": 1000}), &["bandwidth.ingressRate: 7"]),
        (json!({"ingressRate": -5, "ingressBurst": 1000}), &["bandwidth.ingressRate", "found -5"]),
        (
            json!({"ingressRate": 18_446_744_073_709_551_616.0, "ingressBurst": 1000}),
            &["bandwidth.ingressRate", "found 18446744073709551616"],
        ),
        (json!({"ingressRate": "1M", "ingressBurst": 1000}), &["bandwidth.ingressRate", "found \"1M\""]),
    ] {
        let network = Network::new(&node, [bridge(json!({})), bandwidth()]).chain();
        network.add(&container.eth0().with("bandwidth", limits)).error_saying(7, words);
    }
    assert_undone(&node.dump(), &before.0);
    container.dump().assert_same(&before.1);
}

#[test]
fn chains() {
    let node = Node::new();
    let container = node.container("c");
    let before = node.dump();
    let inner = layer2(json!({}));
    for (chain, words) in [
        (json!("bridge"), &["chain", "bridge"][..]),
        (json!([{"bridge": "br0"}]), &["chain[0].type"]),
        (json!([inner, {"type": "wharf", "chain": [inner]}]), &["chain[1]"]),
        (json!([inner, {"type": "../portmap"}]), &["chain[1].type", "../portmap"]),
        (json!([{"type": "bridge", "prevResult": {}}]), &["chain[0].prevResult"]),
        (json!(vec![inner.clone(); 65]), &["chain", "65", "64"]),
    ] {
        let config = json!({"cniVersion": "1.1.0", "name": "net", "type": "wharf", "chain": chain});
        let outcome = node.call("wharf", "ADD", &container.eth0(), &config);
        let code = if chain.is_string() { 6 } else { 7 };
        outcome.error_saying(code, words);
    }
    node.dump().assert_same(&before);
    assert_eq!(container.links(), ["lo"]);
}

/// What the specification knows as an object, and which plugins are delegates: refused for every plugin, of a chain too,
/// before one runs. No grant would help.
#[test]
fn sections_that_the_host_reads() {
    let node = Node::new();
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    for (section, code, words) in [
        (json!({"args": "x"}), 6, &["args: expected an object, found \"x\""][..]),
        (json!({"dns": "10.1.0.53"}), 6, &["dns: expected an object, found \"10.1.0.53\""]),
        (json!({"ipam": "host-local"}), 6, &["ipam: expected an object, found \"host-local\""]),
        (json!({"runtimeConfig": 5}), 6, &["runtimeConfig: expected an object, found 5"]),
        (json!({"capabilities": ["mac"]}), 6, &["capabilities: expected an object, found an array of 1"]),
        (json!({"capabilities": {"mac": "yes"}}), 6, &["capabilities.mac: expected true or false", "yes"]),
        (json!({"ipam": {"type": 5}}), 6, &["ipam.type: expected a string, found 5"]),
        (json!({"ipam": {"type": "../host-local"}}), 7, &["ipam.type", "\"../host-local\""]),
        (json!({"IPAM": {"Type": ".."}}), 7, &["ipam.type", "\"..\""]),
        (json!({"delegate": {"type": "a/b"}}), 7, &["delegate.type", "\"a/b\""]),
    ] {
        for kind in ["bridge", "loopback"] {
            let plugin = with(json!({"type": kind}), section.clone());
            let alone = with(json!({"cniVersion": "1.1.0", "name": "net"}), plugin.clone());
            let chain = json!({"cniVersion": "1.1.0", "name": "net", "type": "wharf", "chain": [plugin]});
            for command in ["ADD", "CHECK", "DEL"] {
                for config in [&alone, &chain] {
                    let mut config = config.clone();
                    config["prevResult"] = json!({"cniVersion": "1.1.0"});
                    let outcome = node.call("wharf", command, &container.eth0(), &config);
                    assert!(!outcome.stderr.contains("of its grant would"), "{outcome}");
                    if command == "DEL" {
                        // There is nothing, and what there was could be older than the check.
                        outcome.silent();
                    } else {
                        outcome.error_saying(code, words);
                    }
                }
            }
        }
    }
    node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
}

#[test]
fn whose_fault_a_failure_is() {
    let node = Node::new();
    let container = node.container("c");
    let range = json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.1", "rangeEnd": "10.1.0.1"});
    for (config, code) in [
        (layer2(json!({"vlan": 5000})), 7),
        (layer2(json!({"bridge": "lo"})), 7),
        (with_ipam(json!({"subnet": "10.1.0.0/24", "resolvConf": "/etc/none.conf"})), 7),
        (with_ipam(json!({"ranges": [[range]]})), 102),
    ] {
        let outcome = Network::new(&node, [config]).add(&container.eth0());
        outcome.error_explaining(code, &[], &["fault: runtime; guest: bridge"]);
    }
    let _ = std::fs::remove_dir_all(node.root().join("var/lib/cni"));
    std::fs::write(node.root().join("var/lib/cni"), "").unwrap();
    let ipam = json!({"type": "host-local", "subnet": "10.1.0.0/24"});
    let config = json!({"cniVersion": "1.1.0", "name": "net", "type": "host-local", "ipam": ipam});
    let outcome = node.call("host-local", "STATUS", &Target::new("", "", ""), &config);
    let details = ["fault: kernel; operation: leases/open, errno 20; guest: host-local"];
    outcome.error_explaining(50, &[], &details);
}

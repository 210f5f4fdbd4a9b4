//! An ADD that fails, at whatever stage, leaves nothing: not the bridge, not a rule, not a lease.

use wharf_tests::{Network, Node, Outcome, Target, Value, json};

use crate::common::{assert_undone, bandwidth, bridge, dual_stack, layer2, limits, portmap, with, with_ipam};

/// Fails on a fresh node, where the bridge would be new, and on one with another attachment.
fn fails(plugins: &[Value], prepare: fn(&wharf_tests::Container) -> Target, check: fn(Outcome)) {
    for populated in [false, true] {
        for version in ["1.1.0", "0.4.0"] {
            let node = Node::new();
            let other = node.container("other");
            if populated {
                let everything = [dual_stack(json!({"ipMasq": true})), portmap(json!({})), bandwidth()];
                let target = other.eth0().port(9999, 80).with("bandwidth", limits());
                Network::new(&node, everything).named("other").attach(&target);
            }
            let container = node.container("c");
            let target = prepare(&container);
            let before = (node.dump(), container.dump());
            let network = Network::new(&node, plugins.to_vec()).version(version).chain();
            check(network.add(&target));
            assert_undone(&node.dump(), &before.0);
            container.dump().assert_same(&before.1);
            // What runtimes do then. It may fail for the same reason as the ADD did.
            network.del(&target, None);
            assert_undone(&node.dump(), &before.0);
        }
    }
}

fn everything(target: Target) -> Target {
    target.port(8001, 80).with("bandwidth", limits())
}

#[test]
fn the_interface_name_is_taken() {
    fails(
        &[dual_stack(json!({"ipMasq": true}))],
        |container| {
            container.sh("ip link add eth0 type veth peer name other");
            container.eth0()
        },
        |outcome| outcome.error_naming(103, &["eth0"]),
    );
}

#[test]
fn the_addresses_are_used_up() {
    let ranges = json!([
        [{"subnet": "10.1.0.0/24"}],
        [{"subnet": "10.3.0.0/24", "rangeStart": "10.3.0.1", "rangeEnd": "10.3.0.1"}],
    ]);
    fails(&[with_ipam(json!({"ranges": ranges}))], wharf_tests::Container::eth0, |outcome| {
        outcome.error_naming(102, &["10.3.0.1"]);
    });
}

#[test]
fn a_route_cannot_be_made() {
    fails(
        &[with_ipam(
            json!({"subnet": "10.1.0.0/24", "routes": [{"dst": "198.51.100.0/24", "gw": "192.0.2.1"}]}),
        )],
        wharf_tests::Container::eth0,
        |outcome| outcome.error_naming(100, &["198.51.100.0/24"]),
    );
}

#[test]
fn the_second_plugin_fails() {
    fails(
        &[dual_stack(json!({"ipMasq": true})), portmap(json!({"backend": "foo"}))],
        |container| everything(container.eth0()),
        |outcome| outcome.error_naming(7, &["backend", "foo"]),
    );
}

#[test]
fn the_third_plugin_fails() {
    for backend in crate::common::BACKENDS {
        let bad = with(bandwidth(), json!({"ingressRate": 1000}));
        fails(
            &[
                dual_stack(json!({"ipMasq": true, "ipMasqBackend": backend})),
                portmap(json!({"backend": backend})),
                bad,
            ],
            |container| everything(container.eth0()),
            |outcome| outcome.error_naming(7, &["ingressBurst"]),
        );
    }
}

#[test]
fn a_plugin_at_the_end_is_not_installed() {
    fails(
        &[
            dual_stack(json!({"ipMasq": true})),
            portmap(json!({})),
            bandwidth(),
            json!({"type": "no-such-plugin"}),
        ],
        |container| everything(container.eth0()),
        |outcome| outcome.error_naming(50, &["no-such-plugin"]),
    );
}

#[test]
fn the_address_manager_is_not_installed() {
    fails(
        &[bridge(json!({"ipMasq": true, "ipam": {"type": "no-such-ipam"}}))],
        wharf_tests::Container::eth0,
        |outcome| outcome.error_naming(50, &["no-such-ipam"]),
    );
}

#[test]
fn the_result_cannot_be_told_in_the_version() {
    // The reference makes the interface and fails then.
    for as_chain in [false, true] {
        for version in ["0.1.0", "0.2.0"] {
            let node = Node::new();
            let container = node.container("c");
            let before = (node.dump(), container.dump());
            let mut network = Network::new(&node, [layer2(json!({}))]).version(version);
            if as_chain {
                network = network.chain();
            }
            network.add(&container.eth0()).error_naming(7, &["no valid IP addresses", version]);
            node.dump().assert_same(&before.0);
            container.dump().assert_same(&before.1);
        }
    }
}

#[test]
fn as_a_drop_in_each_plugin_cleans_up_what_it_did() {
    let node = Node::new();
    let container = node.container("c");
    let bridged = Network::new(&node, [bridge(json!({}))]).attach(&container.eth0());
    let before = node.dump();
    let target = everything(container.eth0());
    let mut config = portmap(json!({"cniVersion": "1.1.0", "name": "net", "prevResult": bridged.result}));
    config["backend"] = "iptables".into();
    config["conditionsV4"] = json!(["-m", "no-such-match"]);
    config["runtimeConfig"] = target.capabilities.clone();
    let outcome = node.call("portmap", "ADD", &target, &config);
    assert_eq!(outcome.status, 1, "{outcome}");
    node.dump().assert_same(&before);
}

//! The host's own namespace is refused before anything is done.

use wharf_tests::{Network, Node, Target, json};

use crate::common::{full, layer2, limits};

#[test]
fn the_hosts_own_namespace_is_refused_for_every_command() {
    let node = Node::new();
    let before = node.dump();
    let own = node.path().display().to_string();
    for path in [own.as_str(), "/proc/self/ns/net", "/proc/thread-self/ns/net"] {
        for as_chain in [false, true] {
            let mut network = Network::new(&node, full("nftables"));
            if as_chain {
                network = network.chain();
            }
            let target = Target::new("c", path, "eth0").port(8080, 80).with("bandwidth", limits());
            network.add(&target).error_naming(8, &["CNI_NETNS", path]);
            network.check(&target, &json!({"cniVersion": "1.1.0"})).error_naming(8, &["CNI_NETNS", path]);
            network.del(&target, None).error_naming(8, &["CNI_NETNS", path]);
        }
    }
    node.dump().assert_same(&before);
}

#[test]
fn unless_the_runtime_insists() {
    let node = Node::new();
    let own = node.path().display().to_string();
    let target = Target::new("c", &own, "eth0");
    let config = layer2(json!({"cniVersion": "1.1.0", "name": "net"})).to_string();
    for (value, allowed) in
        [("TRUE", true), ("true", true), ("1", true), ("0", false), ("yes", false), ("", false)]
    {
        for command in ["ADD", "DEL"] {
            let mut env = target.env(command);
            env.push(("CNI_NETNS_OVERRIDE", value));
            let outcome = node.exec("bridge", &env, config.as_bytes());
            if allowed {
                outcome.ok();
            } else {
                outcome.error(8);
            }
        }
    }
    assert!(node.link("eth0").is_none());
}

#[test]
fn two_mounts_of_one_namespace_are_one() {
    // The guard compares namespaces, not paths.
    let node = Node::new();
    let alias = node.folder("aliases").join("node");
    std::fs::write(&alias, "").unwrap();
    node.sh(&format!("mount --bind {} {}", node.path().display(), alias.display()));
    let network = Network::new(&node, [layer2(json!({}))]);
    let outcome = network.add(&Target::new("c", alias.to_str().unwrap(), "eth0"));
    node.sh(&format!("umount {}", alias.display()));
    outcome.error(8);
    assert_eq!(node.links(), ["lo"]);
}

//! Run as drop-ins or as one process: the kernel and the runtime cannot tell.

use wharf_tests::{Dump, Network, Node, Value, json};

use crate::common::{BACKENDS, full, limits};

/// Names and hardware addresses that are random, replaced by fixed words.
fn normalised(node: &Node, container: &wharf_tests::Container, result: &Value, text: &str) -> String {
    let mut text = text.to_owned();
    for interface in result["interfaces"].as_array().expect("interfaces") {
        let (name, mac) = (interface["name"].as_str().unwrap(), interface["mac"].as_str().unwrap());
        if name.starts_with("veth") {
            text = text.replace(name, "<veth>");
        }
        text = text.replace(mac, "<mac>");
    }
    text.replace(container.path().to_str().unwrap(), "<netns>")
        .replace(node.root().to_str().unwrap(), "<root>")
}

/// The result, and what an attachment adds to the node and to the container.
fn everything(backend: &str, as_chain: bool) -> (String, Vec<String>, Vec<String>) {
    let node = Node::new();
    let mut network = Network::new(&node, full(backend));
    if as_chain {
        network = network.chain();
    }
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    let attachment = network.attach(&container.eth0().port(8001, 80).with("bandwidth", limits()));
    let changes = |now: &Dump, before: &Dump| -> Vec<String> {
        let lines = now.changes_since(before).into_iter();
        let mut lines: Vec<String> =
            lines.map(|line| normalised(&node, &container, &attachment.result, &line)).collect();
        lines.sort();
        lines
    };
    let result = normalised(&node, &container, &attachment.result, &attachment.result.to_string());
    let made =
        (result, changes(&node.dump().without_journals(), &before.0), changes(&container.dump(), &before.1));
    attachment.check().silent();
    attachment.del().silent();
    made
}

#[test]
fn both_ways_make_the_same() {
    for backend in BACKENDS {
        let (drop_in, chain) = (everything(backend, false), everything(backend, true));
        assert_eq!(drop_in.0, chain.0, "the result");
        assert_eq!(drop_in.1, chain.1, "on the node");
        assert_eq!(drop_in.2, chain.2, "in the container");
    }
}

#[test]
fn one_way_checks_and_deletes_what_the_other_made() {
    // A node is switched over while its containers run.
    for [made_by_chain, deleted_by_chain] in [[false, true], [true, false]] {
        let node = Node::new();
        let (first, container) = (node.container("first"), node.container("c"));
        let way = |as_chain| {
            let network = Network::new(&node, full("nftables"));
            if as_chain { network.chain() } else { network }
        };
        let target = container.eth0().port(8001, 80).with("bandwidth", limits());
        way(made_by_chain).attach(&first.eth0().port(8000, 80).with("bandwidth", limits())).del().silent();
        let before = node.dump();
        let made = way(made_by_chain).attach(&target);
        way(deleted_by_chain).check(&target, &made.result).silent();
        way(deleted_by_chain).del(&target, Some(&made.result)).silent();
        node.dump().assert_same(&before);
    }
}

#[test]
fn a_chain_hands_capabilities_only_to_who_asks_for_them() {
    let node = Node::new();
    let container = node.container("c");
    let mut plugins = full("nftables");
    plugins[2]["capabilities"] = json!({"bandwidth": false});
    let attachment = Network::new(&node, plugins)
        .chain()
        .attach(&container.eth0().port(8001, 80).with("bandwidth", limits()));
    assert_eq!(attachment.result["interfaces"].as_array().unwrap().len(), 3, "no limits were set");
    assert!(node.dump().mentions("8001"));
}

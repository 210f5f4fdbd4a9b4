//! host-local: addresses that the runtime or the container asks for.

use wharf_tests::{Container, Network, Node, Outcome, Target, Value, json};

use crate::common::with_ipam;

fn plugin() -> Value {
    let mut plugin = with_ipam(json!({"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]}));
    plugin["capabilities"] = json!({"ips": true});
    plugin
}

fn addresses(result: &Value) -> Vec<&str> {
    result["ips"].as_array().expect("addresses").iter().map(|ip| ip["address"].as_str().unwrap()).collect()
}

fn add(node: &Node, plugin: Value, target: &Target) -> Outcome {
    Network::new(node, [plugin]).add(target)
}

#[test]
fn by_the_runtime() {
    let node = Node::new();
    let container = node.container("c");
    let target = container.eth0().with("ips", json!(["10.1.0.50/24", "fd01::50"]));
    assert_eq!(addresses(&add(&node, plugin(), &target).ok()), ["10.1.0.50/24", "fd01::50/64"]);
    assert_eq!(container.addresses("eth0"), ["10.1.0.50/24", "fd01::50/64"]);
}

#[test]
fn by_cni_args() {
    let node = Node::new();
    let container = node.container("c");
    let target = container.eth0().args("IgnoreUnknown=1;IP=10.1.0.50;MAC=02:00:00:00:00:50");
    assert_eq!(addresses(&add(&node, plugin(), &target).ok()), ["10.1.0.50/24", "fd01::2/64"]);
}

#[test]
fn by_args_of_the_configuration() {
    let node = Node::new();
    let container = node.container("c");
    let mut plugin = plugin();
    plugin["args"] = json!({"cni": {"ips": ["fd01::77/64"]}});
    assert_eq!(addresses(&add(&node, plugin, &container.eth0()).ok()), ["10.1.0.2/24", "fd01::77/64"]);
}

/// The request fails, names `words`, and leaves no lease of `c`.
fn refused(container: &Container, node: &Node, target: &Target, code: u32, words: &[&str]) {
    let before = node.leased("net");
    add(node, plugin(), target).error_naming(code, words);
    assert_eq!(node.leased("net"), before);
    assert_eq!(container.links(), ["lo"]);
}

#[test]
fn what_cannot_be_had_is_refused() {
    let node = Node::new();
    let (holder, container) = (node.container("holder"), node.container("c"));
    add(&node, plugin(), &holder.eth0().with("ips", json!(["10.1.0.50"]))).ok();
    let target = |ips: Value| container.eth0().with("ips", ips);
    refused(&container, &node, &target(json!(["10.1.0.50"])), 102, &["10.1.0.50", "not available"]);
    refused(&container, &node, &target(json!(["10.1.0.1"])), 7, &["10.1.0.1", "gateway"]);
    refused(&container, &node, &target(json!(["10.9.0.9"])), 7, &["10.9.0.9"]);
    refused(&container, &node, &target(json!(["10.1.0.60", "10.1.0.61"])), 7, &["10.1.0.61"]);
    refused(&container, &node, &target(json!(["nonsense"])), 7, &["runtimeConfig.ips[0]", "nonsense"]);
    let args = container.eth0().args("IgnoreUnknown=1;IP=nonsense");
    refused(&container, &node, &args, 4, &["IP", "nonsense"]);
}

#[test]
fn a_requested_address_counts_as_a_second_one_too() {
    // The reference lets an attachment have two addresses of one range this way.
    let node = Node::new();
    let container = node.container("c");
    let config = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "x",
        "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"},
        "runtimeConfig": {"ips": ["10.1.0.50"]},
    });
    node.call("host-local", "ADD", &container.eth0(), &config).ok();
    let mut other = config;
    other["runtimeConfig"]["ips"] = json!(["10.1.0.51"]);
    node.call("host-local", "ADD", &container.eth0(), &other).error_naming(103, &["10.1.0.50"]);
    assert_eq!(node.leased("net"), ["10.1.0.50"]);
}

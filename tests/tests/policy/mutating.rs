//! A policy that changes configurations: what it changes holds for the attachment's life, and is told as its doing.

use wharf_tests::install::wharfctl;
use wharf_tests::{Node, Outcome, Target, Value, json, sh};

use super::{node, set};
use crate::common::{assert_undone, bandwidth, bridge, limits, with};

const SETTINGS: &str =
    "policies = ['default-bandwidth']\n[policy.default-bandwidth.tiers]\nfree = 10_000_000\n";

fn labels(tier: &str) -> Value {
    json!({"args": {"cni": {"labels": [{"key": "tier", "value": tier}]}}})
}

/// The list, bridge and bandwidth, as one process: labels are of the whole.
fn chain(tier: &str) -> Value {
    let chain = json!({"cniVersion": "1.1.0", "name": "net", "type": "wharf", "chain": [bridge(json!({})), bandwidth()]});
    with(chain, labels(tier))
}

fn call(node: &Node, command: &str, target: &Target, config: &Value, result: &Value) -> Outcome {
    let config = with(config.clone(), json!({"prevResult": result, "runtimeConfig": target.capabilities}));
    node.call("wharf", command, target, &config)
}

/// The rate of the token bucket on the host's end, in bytes per second; none without one.
fn rate(node: &Node, result: &Value) -> Option<u64> {
    let interfaces = result["interfaces"].as_array().expect("interfaces").iter();
    let mut names = interfaces.filter_map(|interface| interface["name"].as_str());
    let end = names.find(|name| name.starts_with("veth")).expect("a veth");
    let qdiscs = node.json(&format!("tc -j qdisc show dev {end}"));
    let bucket = qdiscs.as_array()?.iter().find(|qdisc| qdisc["kind"] == "tbf")?;
    bucket["options"]["rate"].as_u64()
}

#[test]
fn a_default_by_label_holds_for_check_and_del() {
    let node = node(SETTINGS);
    let container = node.container("c");
    let target = container.eth0();
    let config = chain("free");
    node.set_sysctl("ipv4/ip_forward", "1");
    let before = node.dump();
    let result = call(&node, "ADD", &target, &config, &Value::Null).ok();
    assert_eq!(rate(&node, &result), Some(10_000_000 / 8));

    let shown = sh::run(wharfctl(&node.root()).args(["journal", "show"]));
    let line = shown.lines().find(|line| line.contains("changed the configuration")).expect(&shown);
    assert!(
        line.contains("policy default-bandwidth changed the configuration of bandwidth: {")
            && line.contains("\"ingressRate\":10000000"),
        "{line}"
    );
    // Nobody is asked again: what was made is looked at and removed.
    set(&node, "policies = ['missing']\n");
    call(&node, "CHECK", &target, &config, &result).silent();
    node.sh(&format!("tc qdisc del dev {} root", end_of(&result)));
    call(&node, "CHECK", &target, &config, &result).error(101);
    call(&node, "DEL", &target, &config, &result).silent();
    node.sh("ip link del br0");
    assert_undone(&node.dump(), &before);
}

fn end_of(result: &Value) -> String {
    let interfaces = result["interfaces"].as_array().unwrap().iter();
    let mut names = interfaces.filter_map(|interface| interface["name"].as_str());
    names.find(|name| name.starts_with("veth")).unwrap().to_owned()
}

#[test]
fn the_drop_in_is_changed_as_well() {
    let node = node(SETTINGS);
    let container = node.container("c");
    let target = container.eth0();
    let of = |plugin: Value, result: &Value| {
        let base = json!({"cniVersion": "1.1.0", "name": "net", "prevResult": result});
        with(with(plugin, base), labels("free"))
    };
    let first = node.call("bridge", "ADD", &target, &of(bridge(json!({})), &Value::Null)).ok();
    assert_eq!(rate(&node, &first), None);
    let result = node.call("bandwidth", "ADD", &target, &of(bandwidth(), &first)).ok();
    assert_eq!(rate(&node, &result), Some(10_000_000 / 8));
    node.call("bandwidth", "CHECK", &target, &of(bandwidth(), &result)).silent();
    node.call("bandwidth", "DEL", &target, &of(bandwidth(), &result)).silent();
    assert_eq!(rate(&node, &first), None);
    node.call("bridge", "DEL", &target, &of(bridge(json!({})), &result)).silent();
}

#[test]
fn who_has_a_limit_keeps_it_and_a_strange_label_is_an_error() {
    let node = node(SETTINGS);
    let container = node.container("c");
    let target = container.eth0().with("bandwidth", limits());
    let result = call(&node, "ADD", &target, &chain("free"), &Value::Null).ok();
    assert_eq!(rate(&node, &result), Some(40_000_000 / 8));
    call(&node, "DEL", &target, &chain("free"), &result).silent();
    let before = (node.dump(), container.dump());
    let words = ["policy \"default-bandwidth\" denies the configuration of bandwidth", "the tier \"gold\""];
    call(&node, "ADD", &container.eth0(), &chain("gold"), &Value::Null).error_naming(901, &words);
    node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
    let wrong = with(chain("free"), json!({"args": {"cni": {"labels": {"tier": "free"}}}}));
    call(&node, "ADD", &container.eth0(), &wrong, &Value::Null).error_naming(7, &["args.cni.labels"]);
}

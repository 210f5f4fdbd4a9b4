//! bandwidth: the qdiscs, the real rates, what is left.

use std::time::Duration;

use wharf_tests::traffic::{at, rate};
use wharf_tests::{Attachment, Network, Node, Value, json};

use crate::common::{bandwidth, bridge, limits};

fn network(node: &Node) -> Network<'_> {
    Network::new(node, [bridge(json!({})), bandwidth()])
}

fn qdiscs(node: &Node, link: &str) -> Vec<Value> {
    node.json(&format!("tc -j qdisc show dev {link}")).as_array().expect("a list").clone()
}

/// The ifb of an attachment, from its result.
fn ifb(attachment: &Attachment) -> String {
    let interfaces = attachment.result["interfaces"].as_array().expect("interfaces");
    assert_eq!(interfaces.len(), 4, "{interfaces:?}");
    let last = &interfaces[3];
    assert!(last.get("sandbox").is_none() && last["mac"].is_string(), "{last}");
    last["name"].as_str().unwrap().to_owned()
}

#[test]
fn rates_are_within_twenty_percent() {
    let node = Node::new();
    let container = node.container("c");
    let attachment = network(&node).attach(&container.eth0().with("bandwidth", limits()));
    let time = Duration::from_millis(1200);
    let into = rate(&node, &container, at(&attachment.ip(false), 5001), time);
    let out_of = rate(&container, &node, at("10.1.0.1", 5002), time);
    for (measured, limit) in [(into, 40e6), (out_of, 20e6)] {
        assert!(
            (limit * 0.8..limit * 1.2).contains(&measured),
            "{measured:.0} bit/s, the limit is {limit:.0}"
        );
    }
}

#[test]
fn token_buckets_are_as_configured() {
    let node = Node::new();
    let container = node.container("c");
    let limits = json!({
        "ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 16_000_000, "egressBurst": 1_600_000,
    });
    let attachment = network(&node).attach(&container.eth0().with("bandwidth", limits));
    let port = attachment.host_end();
    let ifb = ifb(&attachment);
    for (link, rate, burst) in [(&port, 1_000_000, 100_000), (&ifb, 2_000_000, 200_000)] {
        let all = qdiscs(&node, link);
        let root = all.iter().find(|qdisc| qdisc["root"] == true).expect("a root qdisc");
        assert_eq!(root["kind"], "tbf", "{root}");
        assert_eq!(
            (&root["options"]["rate"], &root["options"]["burst"]),
            (&json!(rate), &json!(burst)),
            "{root}"
        );
        assert_eq!(root["options"]["lat"], 25_000, "25 ms: {root}");
    }
    assert!(qdiscs(&node, &port).iter().any(|qdisc| qdisc["kind"] == "ingress"));
    let filters = node.sh(&format!("tc filter show dev {port} ingress"));
    assert!(filters.contains(&format!("mirred (Egress Redirect to device {ifb})")), "{filters}");
    let link = node.link(&ifb).expect("the ifb");
    assert_eq!(link["mtu"], node.link(&port).unwrap()["mtu"]);
    assert!(link["flags"].as_array().unwrap().contains(&json!("UP")));
    assert_eq!(node.sh(&format!("ip -o addr show dev {ifb}")), "", "nobody talks to an ifb");
}

#[test]
fn one_direction_alone_needs_no_more_than_that() {
    let node = Node::new();
    let (into, out_of) = (node.container("into"), node.container("out"));
    let limits = json!({"ingressRate": 8_000_000, "ingressBurst": 800_000});
    let attachment = network(&node).attach(&into.eth0().with("bandwidth", limits));
    assert_eq!(attachment.result["interfaces"].as_array().unwrap().len(), 3);
    let limits = json!({"egressRate": 8_000_000, "egressBurst": 800_000});
    let attachment = network(&node).attach(&out_of.eth0().with("bandwidth", limits));
    let root = qdiscs(&node, &attachment.host_end());
    assert!(root.iter().all(|qdisc| qdisc["kind"] != "tbf"), "{root:?}");
    ifb(&attachment);
}

#[test]
fn limits_of_the_configuration_win_over_the_runtimes() {
    let node = Node::new();
    let container = node.container("c");
    let mut plugin = bandwidth();
    plugin["ingressRate"] = 8_000_000.into();
    plugin["ingressBurst"] = 800_000.into();
    let network = Network::new(&node, [bridge(json!({})), plugin]);
    let attachment = network.attach(&container.eth0().with("bandwidth", limits()));
    let root = qdiscs(&node, &attachment.host_end());
    assert!(root.iter().any(|qdisc| qdisc["options"]["rate"] == 1_000_000), "{root:?}");
    assert_eq!(attachment.result["interfaces"].as_array().unwrap().len(), 3, "no egress limit");
}

#[test]
fn without_limits_nothing_is_done() {
    let node = Node::new();
    let container = node.container("c");
    let attachment = network(&node).attach(&container.eth0());
    assert_eq!(attachment.result["interfaces"].as_array().unwrap().len(), 3);
    attachment.check().silent();
    // The reference panics without a previous result.
    let config = json!({"cniVersion": "1.1.0", "name": "net", "type": "bandwidth"});
    let outcome = node.call("bandwidth", "ADD", &container.target("eth9"), &config);
    assert!(outcome.status <= 1, "{outcome}");
}

#[test]
fn nothing_is_left() {
    let node = Node::new();
    let (first, container) = (node.container("first"), node.container("c"));
    network(&node).attach(&first.eth0());
    let before = node.dump();
    let attachment = network(&node).attach(&container.eth0().with("bandwidth", limits()));
    attachment.check().silent();
    attachment.del().silent();
    node.dump().assert_same(&before);
}

#[test]
fn its_own_delete_removes_the_qdiscs_too() {
    // The reference leaves them on the host's end, so that a second ADD fails.
    let node = Node::new();
    let container = node.container("c");
    let bridged = Network::new(&node, [bridge(json!({}))]).attach(&container.eth0());
    let before = node.dump();
    let target = container.eth0().with("bandwidth", limits());
    let mut config = bandwidth();
    for (key, value) in [
        ("cniVersion", json!("1.1.0")),
        ("name", json!("net")),
        ("prevResult", bridged.result.clone()),
        ("runtimeConfig", target.capabilities.clone()),
    ] {
        config[key] = value;
    }
    for _ in 0..2 {
        node.call("bandwidth", "ADD", &target, &config).ok();
        assert!(!node.dump().changes_since(&before).is_empty());
        node.call("bandwidth", "DEL", &target, &config).silent();
        node.dump().assert_same(&before);
    }
}

#[test]
fn check_notices_other_limits() {
    let tampering: [fn(&Node, &Attachment); 4] = [
        |node, attachment| drop(node.sh(&format!("tc qdisc del dev {} root", attachment.host_end()))),
        |node, attachment| {
            let port = attachment.host_end();
            node.sh(&format!("tc qdisc change dev {port} root tbf rate 1mbit burst 100000 latency 25ms"));
        },
        |node, attachment| drop(node.sh(&format!("tc qdisc del dev {} ingress", attachment.host_end()))),
        |node, attachment| drop(node.sh(&format!("ip link del {}", ifb(attachment)))),
    ];
    for tamper in tampering {
        let node = Node::new();
        let container = node.container("c");
        let attachment = network(&node).attach(&container.eth0().with("bandwidth", limits()));
        attachment.check().silent();
        tamper(&node, &attachment);
        attachment.check().error(101);
    }
}

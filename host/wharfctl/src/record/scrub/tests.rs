//! What holds between addresses holds afterwards, whatever the masks are.

use std::net::IpAddr;

use serde_json::{Value, json};
use wharf_ops::{IpNetwork, Op, Reply, call};

use super::super::file::tests::{exchange, recording};
use super::super::file::{Exchange, Recording};
use super::*;

fn op(value: Value) -> Op {
    serde_json::from_value(value).unwrap()
}

fn asked(value: Value) -> Exchange {
    exchange(op(value), Reply::Done)
}

/// A call with this configuration that asks for these things.
fn sample(config: &Value, operations: Vec<Exchange>) -> Recording {
    let mut whole = recording(operations);
    whole.calls[0].given = call::Call::Status { config: config.to_string() };
    whole
}

fn scrubbed(mut whole: Recording, seed: u64) -> Recording {
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        Ok(state)
    };
    scrub(&mut whole, &mut random).unwrap();
    whole
}

fn config(whole: &Recording) -> Value {
    let call::Call::Status { config } = &whole.calls[0].given else { panic!("still a STATUS") };
    serde_json::from_str(config).unwrap()
}

fn route(dst: &str, gateway: &str) -> Value {
    let route = json!({"dst": dst, "gateway": gateway, "link": null, "source": null, "metric": null, "table": null,
        "mtu": null, "advmss": null, "scope": null});
    json!({"kernel": {"route": {"add": {"ns": "container", "route": route}}}})
}

#[test]
fn prefixes_offsets_and_gateways_hold() {
    let given = json!({
        "subnets": ["10.1.0.0/16", "10.1.7.0/24", "192.168.5.0/24", "fd01:2::/48", "fd01:2:0:3::/64"],
        "first": "10.1.0.1", "last": "10.1.255.254", "inner": "10.1.7.9", "six": "fd01:2:0:3::9",
        "default": "0.0.0.0/0", "said": "10.1.7.9 is not in 192.168.5.0/24",
    });
    for seed in 1..200 {
        let now = config(&scrubbed(sample(&given, Vec::new()), seed));
        let net = |index: usize| now["subnets"][index].as_str().unwrap().parse::<IpNetwork>().unwrap();
        let ip = |key: &str| now[key].as_str().unwrap().parse::<IpAddr>().unwrap();
        for (index, subnet) in given["subnets"].as_array().unwrap().iter().enumerate() {
            assert_eq!(net(index).network(), net(index).ip(), "host bits: {now}");
            assert_ne!(net(index).to_string(), subnet.as_str().unwrap());
        }
        let IpAddr::V4(first) = ip("first") else { panic!("of another family") };
        let IpAddr::V4(network) = net(0).network() else { panic!("of another family") };
        assert_eq!(first.to_bits(), network.to_bits() + 1, "the gateway is the first one: {now}");
        let IpAddr::V4(broadcast) = net(0).broadcast() else { panic!("of another family") };
        assert_eq!(ip("last"), IpAddr::V4((broadcast.to_bits() - 1).into()));
        assert!(net(0).contains(net(1).network()) && net(1).contains(ip("inner")), "{now}");
        assert!(!net(2).contains(ip("inner")) && net(3).contains(net(4).network()), "{now}");
        assert!(net(4).contains(ip("six")), "{now}");
        assert_eq!(now["default"], "0.0.0.0/0");
        assert_eq!(now["said"], format!("{} is not in {}", ip("inner"), net(2)), "one for each, everywhere");
    }
}

#[test]
fn typed_fields_and_texts_have_the_same() {
    let given = json!({"subnet": "10.1.0.0/24"});
    let operations = vec![
        asked(route("10.1.0.0/24", "10.1.0.1")),
        exchange(op(json!({"kernel": {"nat": "detect"}})), Reply::Text("10.1.0.7".into())),
    ];
    let whole = scrubbed(sample(&given, operations), 5);
    let subnet = config(&whole)["subnet"].clone();
    let asked = serde_json::to_value(&whole.calls[0].operations[0].op).unwrap();
    let added = &asked["kernel"]["route"]["add"]["route"];
    assert_eq!(added["dst"], subnet);
    let [network, _] = subnet.as_str().unwrap().split('/').collect::<Vec<_>>()[..] else {
        panic!("a prefix")
    };
    let start = network.strip_suffix('0').unwrap();
    assert_eq!(added["gateway"], format!("{start}1"));
    assert_eq!(whole.calls[0].operations[1].reply, Some(Reply::Text(format!("{start}7"))));
    assert!(whole.scrubbed);
    let text = serde_json::to_string(&whole).unwrap();
    assert!(!text.contains("10.1.0."), "{text}");
}

#[test]
fn what_a_guest_makes_up_stays_and_so_does_its_echo() {
    let link = |name: &str| json!({"ns": "host", "index": 3, "name": name});
    let set = |mac: &str| json!({"kernel": {"link": {"set-mac": {"link": link("br0"), "mac": mac}}}});
    let [own, told] = ["02:42:ac:11:00:02", "02:42:ac:11:00:03"];
    let given = json!({"subnet": "10.1.0.0/24", "mac": told});
    let operations = vec![
        exchange(op(set(own)), Reply::MaybeMac(Some(own.parse().unwrap()))),
        asked(set(own)),
        asked(set(told)),
        asked(route("198.51.100.0/24", "10.1.0.1")),
    ];
    let whole = scrubbed(sample(&given, operations.clone()), 9);
    let now = &whole.calls[0].operations;
    assert_eq!(now[..2], operations[..2]);
    assert_ne!(now[2], operations[2]);
    let text = serde_json::to_string(&now[3].op).unwrap();
    assert!(text.contains("198.51.100.0/24") && !text.contains("10.1.0.1"), "{text}");
}

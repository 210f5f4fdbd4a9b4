//! CHECK: what differs is named.

use wharf_sdk::net::PortState;
use wharf_sdk::{Interface, IpConfig, LinkInfo, Mac, NetworkResult, Result, code};

use super::{net, parse};
use crate::add::masquerades;
use crate::check::{compare_bridge, compare_flags, compare_gateways, compare_masquerades, compare_port};

const MAC: Mac = Mac([2, 0, 0, 0, 0, 1]);
const OTHER: Mac = Mac([2, 0, 0, 0, 0, 2]);

fn info(name: &str) -> LinkInfo {
    LinkInfo {
        index: 5,
        name: name.to_owned(),
        kind: "veth".to_owned(),
        mac: Some(MAC),
        mtu: 1500,
        up: true,
        operational: true,
        promiscuous: false,
        master: Some(3),
        peer: Some(2),
        alias: None,
    }
}

fn differs(outcome: Result<()>, text: &str) {
    let error = outcome.unwrap_err();
    assert_eq!(error.code, code::CHECK_FAILED);
    assert!(error.msg.contains(text), "{error}");
}

#[test]
fn a_bridge_is_up_and_keeps_its_address_once_it_carries_a_gateway() {
    let listed = Interface::new("cni0").with_mac(MAC);
    let gateway = parse(r#"{"isGateway": true, "ipam": {"type": "x"}}"#).unwrap();
    let plain = parse("{}").unwrap();
    compare_bridge(&info("cni0"), &listed, &gateway).unwrap();
    differs(compare_bridge(&LinkInfo { up: false, ..info("cni0") }, &listed, &plain), "down");

    let moved = LinkInfo { mac: Some(OTHER), ..info("cni0") };
    compare_bridge(&moved, &listed, &plain).unwrap();
    differs(compare_bridge(&moved, &listed, &gateway), "02:00:00:00:00:02");
    compare_bridge(&moved, &Interface::new("cni0"), &gateway).unwrap();

    let promiscuous = parse(r#"{"promiscMode": true}"#).unwrap();
    differs(compare_bridge(&info("cni0"), &listed, &promiscuous), "promiscMode");
    compare_bridge(&LinkInfo { promiscuous: true, ..info("cni0") }, &listed, &promiscuous).unwrap();
}

#[test]
fn a_port_is_the_listed_one_up_and_on_the_bridge() {
    let config = parse("{}").unwrap();
    let interfaces = vec![Interface::new("cni0"), Interface::new("veth0").with_mac(MAC)];
    let previous = NetworkResult { interfaces, ..NetworkResult::default() };
    compare_port(&info("veth0"), 3, &previous, &config).unwrap();
    differs(compare_port(&info("veth1"), 3, &previous, &config), "does not list");
    differs(compare_port(&info("veth0"), 4, &previous, &config), "not a port of the bridge \"cni0\"");
    differs(compare_port(&LinkInfo { master: None, ..info("veth0") }, 3, &previous, &config), "not a port");
    differs(compare_port(&LinkInfo { up: false, ..info("veth0") }, 3, &previous, &config), "down");
    differs(
        compare_port(&LinkInfo { mac: Some(OTHER), ..info("veth0") }, 3, &previous, &config),
        "MAC address",
    );
}

#[test]
fn the_flags_of_a_port_are_as_configured() {
    let state = |hairpin, isolated| PortState { hairpin, isolated };
    let hairpin = parse(r#"{"hairpinMode": true}"#).unwrap();
    let isolated = parse(r#"{"portIsolation": true}"#).unwrap();
    compare_flags("veth0", state(true, false), &hairpin).unwrap();
    compare_flags("veth0", state(false, true), &isolated).unwrap();
    differs(
        compare_flags("veth0", state(false, false), &hairpin),
        "hairpinMode of the bridge port \"veth0\" is false",
    );
    differs(
        compare_flags("veth0", state(true, true), &hairpin),
        "portIsolation of the bridge port \"veth0\" is true",
    );
}

#[test]
fn gateways_and_masquerading_are_there() {
    let gateways = [net("10.1.0.1/24"), net("fd00::1/64")];
    compare_gateways("cni0", &[gateways[1], net("fe80::1/64"), gateways[0]], &gateways).unwrap();
    differs(compare_gateways("cni0", &gateways[..1], &gateways), "fd00::1/64 is missing on \"cni0\"");
    differs(compare_gateways("cni0", &[net("10.1.0.1/16"), gateways[1]], &gateways), "10.1.0.1/24");

    let ips = vec![IpConfig::new(net("10.1.0.2/24")), IpConfig::new(net("fd00::2/64"))];
    let rules = masquerades(&NetworkResult { ips, ..NetworkResult::default() }, "eth0");
    assert_eq!(rules[0].except, [net("10.1.0.0/24")]);
    assert_eq!(rules[1].source, net("fd00::2/64").ip());
    compare_masquerades(&[rules[1].clone(), rules[0].clone()], &rules).unwrap();
    differs(compare_masquerades(&rules[..1], &rules), "ipMasq: fd00::2");
    let mut wrong = rules.clone();
    wrong[0].except.clear();
    differs(compare_masquerades(&wrong, &rules), "ipMasq: 10.1.0.2");
}

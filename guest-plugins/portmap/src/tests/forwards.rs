//! From mappings and a result to forwards, and back again in CHECK.

use wharf_sdk::firewall::nat::{PortForward, Protocol};
use wharf_sdk::{Interface, IpConfig, IpNetwork, NetworkResult, code};

use super::parse;
use crate::mapping::{compare, flows, forwarded_flows, forwards, name};
use crate::target::Target;

fn net(text: &str) -> IpNetwork {
    text.parse().unwrap()
}

/// Host address and port, protocol, container address and port of each.
fn texts(forwards: &[PortForward]) -> Vec<String> {
    let text = |forward: &PortForward| {
        let host = forward.host_address.map_or_else(|| "*".to_owned(), |address| address.to_string());
        let PortForward { protocol, host_port, container_address, container_port, .. } = forward;
        format!("{host} {host_port} {} {container_address} {container_port}", name(*protocol))
    };
    forwards.iter().map(text).collect()
}

fn forwards_of(entries: &str, containers: &[&str]) -> Vec<PortForward> {
    let config = parse(&format!(r#"{{"runtimeConfig": {{"portMappings": {entries}}}}}"#)).unwrap();
    forwards(&config.mappings, &containers.iter().map(|text| net(text)).collect::<Vec<_>>())
}

#[test]
fn the_target_is_the_first_address_of_each_family_on_the_interface() {
    let mut previous = NetworkResult::default();
    let bridge = previous.add_interface(Interface::new("eth0"));
    let eth1 = previous.add_interface(Interface::new("eth1").in_sandbox("/n"));
    let eth0 = previous.add_interface(Interface::new("eth0").in_sandbox("/n"));
    for (address, index) in [
        ("10.0.0.1/8", Some(bridge)),
        ("10.1.0.1/16", Some(eth1)),
        ("10.2.0.9/16", Some(eth0)),
        ("fd00::9/64", Some(99)),
        ("10.3.0.9/16", None),
        ("fd01::9/64", Some(eth0)),
    ] {
        previous.ips.push(IpConfig { interface: index, ..IpConfig::new(net(address)) });
    }
    let target = Target::of(&previous, "eth0");
    assert_eq!(target.addresses, [net("10.2.0.9/16"), net("fd00::9/64")]);
    assert_eq!(target.v4(), Some("10.2.0.9".parse().unwrap()));
    assert_eq!(target.subnets(), [net("10.2.0.0/16"), net("fd00::/64")]);
    assert_eq!(Target::of(&NetworkResult::default(), "eth0"), Target::default());
}

#[test]
fn a_mapping_is_forwarded_in_the_families_of_its_host_address() {
    let both = ["10.2.0.9/16", "fd00::9/64"];
    let entry = |host: &str| format!(r#"[{{"hostPort": 80, "containerPort": 8080, "hostIP": "{host}"}}]"#);
    let (v4, v6) = ("80 tcp 10.2.0.9 8080", "80 tcp fd00::9 8080");
    let table: [(&str, &[&str], Vec<String>); 8] = [
        ("", &both, vec![format!("* {v4}"), format!("* {v6}")]),
        ("", &both[1..], vec![format!("* {v6}")]),
        ("", &[], vec![]),
        ("0.0.0.0", &both, vec![format!("* {v4}")]),
        ("::", &both, vec![format!("* {v6}")]),
        ("192.0.2.7", &both, vec![format!("192.0.2.7 {v4}")]),
        ("2001:db8::7", &both, vec![format!("2001:db8::7 {v6}")]),
        ("192.0.2.7", &both[1..], vec![]),
    ];
    for (host, containers, expected) in table {
        assert_eq!(texts(&forwards_of(&entry(host), containers)), expected, "{host} {containers:?}");
    }
}

#[test]
fn a_forward_is_never_doubled() {
    let entries = r#"[{"hostPort": 80, "containerPort": 8080, "hostIP": "0.0.0.0"},
        {"hostPort": 80, "containerPort": 8080, "hostIP": "::"}, {"hostPort": 80, "containerPort": 8080}]"#;
    let all = forwards_of(entries, &["10.2.0.9/16", "fd00::9/64"]);
    assert_eq!(texts(&all), ["* 80 tcp 10.2.0.9 8080", "* 80 tcp fd00::9 8080"]);
}

#[test]
fn flows_to_forget_are_those_of_udp() {
    let entries = r#"[{"hostPort": 53, "containerPort": 53, "protocol": "udp"},
        {"hostPort": 54, "containerPort": 53, "protocol": "UDP", "hostIP": "192.0.2.7"},
        {"hostPort": 53, "containerPort": 53, "protocol": "tcp"}]"#;
    let config = parse(&format!(r#"{{"runtimeConfig": {{"portMappings": {entries}}}}}"#)).unwrap();
    assert_eq!(
        flows(&config.mappings).into_iter().collect::<Vec<_>>(),
        [(false, 53), (true, 53), (true, 54)]
    );
    let forwarded = forwarded_flows(&forwards_of(entries, &["10.2.0.9/16"]));
    assert_eq!(forwarded.into_iter().collect::<Vec<_>>(), [(true, 53), (true, 54)]);
}

#[test]
fn localhost_is_answered_only_where_a_mapping_covers_it() {
    let table = [
        (r#"{"hostPort": 1, "containerPort": 1}"#, "true", true),
        (r#"{"hostPort": 1, "containerPort": 1, "hostIP": "127.0.0.1"}"#, "true", true),
        (r#"{"hostPort": 1, "containerPort": 1, "hostIP": "0.0.0.0"}"#, "true", true),
        (r#"{"hostPort": 1, "containerPort": 1, "hostIP": "192.0.2.1"}"#, "true", false),
        (r#"{"hostPort": 1, "containerPort": 1, "hostIP": "::"}"#, "true", false),
        (r#"{"hostPort": 1, "containerPort": 1, "hostIP": "::1"}"#, "true", false),
        (r#"{"hostPort": 1, "containerPort": 1}"#, "false", false),
    ];
    for (entry, snat, expected) in table {
        let config = format!(r#"{{"snat": {snat}, "runtimeConfig": {{"portMappings": [{entry}]}}}}"#);
        assert_eq!(parse(&config).unwrap().answers_localhost(), expected, "{config}");
    }
}

#[test]
fn options_carry_the_subnets_of_the_container() {
    let config =
        parse(r#"{"masqAll": true, "markMasqBit": 5, "conditionsV4": ["-s", "192.0.2.0/24"]}"#).unwrap();
    let options = config.options(&Target { addresses: vec![net("10.2.0.9/16")] });
    assert!(options.snat && options.masquerade_all);
    assert_eq!((options.mark_bit, options.subnets), (5, vec![net("10.2.0.0/16")]));
    assert_eq!(options.conditions_v4, ["-s", "192.0.2.0/24"]);
}

/// What to do to a forward, and what CHECK says then.
type Change = (fn(&mut PortForward), &'static str);

#[test]
fn check_compares_content_and_not_order() {
    let entries = r#"[{"hostPort": 80, "containerPort": 8080}, {"hostPort": 81, "containerPort": 8081}]"#;
    let wanted = forwards_of(entries, &["10.2.0.9/16"]);
    let mut present: Vec<PortForward> = wanted.iter().rev().copied().collect();
    present[0].host_address = Some("0.0.0.0".parse().unwrap());
    compare(&present, &wanted).unwrap();

    let changes: [Change; 5] = [
        (
            |forward| forward.protocol = Protocol::Udp,
            "tcp port 81 of address any to 10.2.0.9:8081 is missing",
        ),
        (|forward| forward.host_port = 82, "tcp port 81"),
        (|forward| forward.container_port = 1, "10.2.0.9:8081 is missing"),
        (|forward| forward.container_address = "10.2.0.8".parse().unwrap(), "10.2.0.9:8081 is missing"),
        (|forward| forward.host_address = Some("192.0.2.1".parse().unwrap()), "of address any"),
    ];
    for (change, text) in changes {
        let mut present = wanted.clone();
        change(&mut present[1]);
        let error = compare(&present, &wanted).unwrap_err();
        assert_eq!(error.code, code::CHECK_FAILED);
        assert!(error.msg.contains(text), "{error}");
    }
    let error = compare(&wanted, &wanted[..1]).unwrap_err();
    assert!(error.msg.contains("tcp port 81") && error.msg.contains("not configured"), "{error}");
    assert!(compare(&[], &wanted).is_err());
}

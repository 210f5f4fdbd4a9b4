//! Port mappings as runtimes write them, and as they should not.

use wharf_sdk::code;
use wharf_sdk::firewall::nat::Protocol;

use super::parse;
use crate::mapping::Mapping;

fn mappings(entries: &str) -> Vec<Mapping> {
    parse(&format!(r#"{{"runtimeConfig": {{"portMappings": {entries}}}}}"#)).unwrap().mappings
}

fn mapping(protocol: Protocol, host: Option<&str>, host_port: u16, container_port: u16) -> Mapping {
    Mapping { protocol, host_address: host.map(|text| text.parse().unwrap()), host_port, container_port }
}

#[test]
fn runtimes_spell_them_in_their_own_way() {
    let table = [
        ("null", vec![]),
        ("[]", vec![]),
        (
            r#"[{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]"#,
            vec![mapping(Protocol::Tcp, None, 8080, 80)],
        ),
        // containerd
        (
            r#"[{"HostPort": 8080, "ContainerPort": 80, "Protocol": "UDP", "HostIP": ""}]"#,
            vec![mapping(Protocol::Udp, None, 8080, 80)],
        ),
        (r#"[{"hostport": 1, "CONTAINERPORT": 65535}]"#, vec![mapping(Protocol::Tcp, None, 1, 65535)]),
        (
            r#"[{"hostPort": 5, "containerPort": 5, "protocol": "Sctp", "hostIP": "::1", "other": {"a": [1]}}]"#,
            vec![mapping(Protocol::Sctp, Some("::1"), 5, 5)],
        ),
        (
            r#"[{"hostPort": 5, "containerPort": 5, "protocol": "", "hostIP": "::ffff:192.0.2.1"}]"#,
            vec![mapping(Protocol::Tcp, Some("192.0.2.1"), 5, 5)],
        ),
        (
            r#"[{"hostPort": 5, "containerPort": 5, "protocol": null, "hostIP": null}]"#,
            vec![mapping(Protocol::Tcp, None, 5, 5)],
        ),
    ];
    for (entries, expected) in table {
        assert_eq!(mappings(entries), expected, "{entries}");
    }
}

#[test]
fn the_same_mapping_twice_counts_once() {
    let twice =
        r#"[{"hostPort": 5, "containerPort": 6}, {"hostPort": 5, "containerPort": 6, "protocol": "TCP"}]"#;
    assert_eq!(mappings(twice), [mapping(Protocol::Tcp, None, 5, 6)]);
    // The second covers both families, the first had taken one of them.
    let partly =
        r#"[{"hostPort": 5, "containerPort": 6, "hostIP": "0.0.0.0"}, {"hostPort": 5, "containerPort": 6}]"#;
    assert_eq!(
        mappings(partly),
        [mapping(Protocol::Tcp, Some("0.0.0.0"), 5, 6), mapping(Protocol::Tcp, Some("::"), 5, 6)]
    );
    let apart = r#"[{"hostPort": 5, "containerPort": 6, "hostIP": "192.0.2.1"},
        {"hostPort": 5, "containerPort": 7, "hostIP": "192.0.2.2"},
        {"hostPort": 5, "containerPort": 8, "protocol": "udp", "hostIP": "192.0.2.1"}]"#;
    assert_eq!(mappings(apart).len(), 3);
}

#[test]
fn wrong_mappings_are_refused_by_key_and_value() {
    let table = [
        (r#"{"hostPort": 0, "containerPort": 80}"#, "hostPort", "0 is no port"),
        (r#"{"hostPort": 70000, "containerPort": 80}"#, "hostPort", "70000 is no port"),
        (r#"{"hostPort": -1, "containerPort": 80}"#, "hostPort", "-1 is no port"),
        (r#"{"containerPort": 80}"#, "hostPort", "missing"),
        (r#"{"hostPort": 80}"#, "containerPort", "missing"),
        (r#"{"hostPort": 80, "containerPort": 0}"#, "containerPort", "0 is no port"),
        (r#"{"hostPort": 80, "containerPort": 65536}"#, "containerPort", "65536 is no port"),
        (r#"{"hostPort": "80", "containerPort": 80}"#, "hostPort", "\"80\""),
        (r#"{"HostPort": 1.5, "containerPort": 80}"#, "HostPort", "1.5"),
        (r#"{"hostPort": 80, "containerPort": 80, "protocol": "icmp"}"#, "protocol", "\"icmp\""),
        (r#"{"hostPort": 80, "containerPort": 80, "hostIP": "localhost"}"#, "hostIP", "\"localhost\""),
        (r#"{"hostPort": 80, "containerPort": 80, "hostIP": "10.0.0.1/8"}"#, "hostIP", "\"10.0.0.1/8\""),
        (r#"{"hostPort": 1, "containerPort": 9}"#, "hostPort", "1 leads to 1 already, by portMappings[0]"),
        (
            r#"{"hostPort": 1, "containerPort": 9, "hostIP": "0.0.0.0"}"#,
            "hostPort",
            "1 leads to 1 already, by portMappings[0]",
        ),
    ];
    for (entry, key, value) in table {
        let good = r#"{"hostPort": 1, "containerPort": 1}"#;
        let config = format!(r#"{{"runtimeConfig": {{"portMappings": [{good}, {good}, {entry}]}}}}"#);
        let error = parse(&config).unwrap_err();
        assert_eq!(error.code, code::INVALID_CONFIG, "{entry}: {error}");
        let key = format!("invalid network config: runtimeConfig.portMappings[2].{key}: ");
        assert!(error.msg.starts_with(&key), "{entry}: {error}");
        assert!(error.msg.contains(value), "{entry}: {error}");
    }
    for wrong in [r#"{"runtimeConfig": {"portMappings": {}}}"#, r#"{"runtimeConfig": {"portMappings": [7]}}"#]
    {
        let error = parse(wrong).unwrap_err();
        assert_eq!(error.code, code::INVALID_CONFIG, "{wrong}: {error}");
        assert!(error.msg.contains("runtimeConfig.portMappings"), "{wrong}: {error}");
    }
}

//! Options: defaults, the backend they imply, and what is refused.

use wharf_sdk::code;
use wharf_sdk::firewall::nat::Backend;
use wharf_sdk::{HostError, HostErrorKind};

use super::parse;
use crate::config::{Config, refused};

#[test]
fn options_default_as_the_reference_has_them() {
    let config = parse("{}").unwrap();
    assert_eq!(
        config,
        Config {
            backend: Backend::Automatic,
            snat: true,
            masquerade_all: false,
            mark_bit: 13,
            external_mark_chain: None,
            conditions_v4: vec![],
            conditions_v6: vec![],
            mappings: vec![],
        }
    );
    let nulls = r#"{"backend": null, "snat": null, "markMasqBit": null, "conditionsV4": null, "runtimeConfig": null}"#;
    assert_eq!(parse(nulls).unwrap(), config);
}

#[test]
fn options_are_read() {
    let config = parse(
        r#"{"backend": "iptables", "snat": false, "masqAll": true, "externalSetMarkChain": "KUBE-MARK-MASQ",
            "conditionsV4": ["!", "-d", "192.0.2.0/24"], "conditionsV6": ["!", "-d", "fd00::/8"]}"#,
    )
    .unwrap();
    assert_eq!(config.backend, Backend::Iptables);
    assert!(!config.snat && config.masquerade_all);
    assert_eq!(config.external_mark_chain.as_deref(), Some("KUBE-MARK-MASQ"));
    assert_eq!(config.conditions_v4, ["!", "-d", "192.0.2.0/24"]);
    assert_eq!(config.conditions_v6, ["!", "-d", "fd00::/8"]);
    assert_eq!(parse(r#"{"markMasqBit": 0}"#).unwrap().mark_bit, 0);
    assert_eq!(parse(r#"{"markMasqBit": 31}"#).unwrap().mark_bit, 31);
}

#[test]
fn options_imply_the_backend_they_are_written_for() {
    let table = [
        (r#"{"backend": "nftables"}"#, Backend::Nftables),
        (r#"{"backend": ""}"#, Backend::Automatic),
        (r#"{"externalSetMarkChain": "X"}"#, Backend::Iptables),
        (r#"{"conditionsV4": ["-s", "10.0.0.0/8"]}"#, Backend::Iptables),
        (r#"{"conditionsV6": ["!", "-d", "fd00::/8"]}"#, Backend::Iptables),
        (r#"{"conditionsV4": ["ip", "saddr", "10.0.0.0/8"]}"#, Backend::Nftables),
        (r#"{"conditionsV4": [], "conditionsV6": ["ip6", "saddr", "fd00::/8"]}"#, Backend::Nftables),
        (r#"{"externalSetMarkChain": "X", "conditionsV4": ["-s", "10.0.0.0/8"]}"#, Backend::Iptables),
    ];
    for (config, backend) in table {
        assert_eq!(parse(config).unwrap().backend, backend, "{config}");
    }
}

#[test]
fn wrong_options_are_refused_by_key_and_value() {
    let table = [
        (r#"{"backend": "foo"}"#, "backend", "\"foo\""),
        (r#"{"backend": 7}"#, "backend", "7"),
        (r#"{"snat": "yes"}"#, "snat", "yes"),
        (r#"{"markMasqBit": 32}"#, "markMasqBit", "32"),
        (r#"{"markMasqBit": -1}"#, "markMasqBit", "-1"),
        (r#"{"markMasqBit": 13, "externalSetMarkChain": "X"}"#, "markMasqBit", "13"),
        (r#"{"externalSetMarkChain": ""}"#, "externalSetMarkChain", "\"\""),
        (r#"{"externalSetMarkChain": "A B"}"#, "externalSetMarkChain", "\"A B\""),
        (r#"{"externalSetMarkChain": "-X"}"#, "externalSetMarkChain", "\"-X\""),
        (
            r#"{"externalSetMarkChain": "ABCDEFGHIJKLMNOPQRSTUVWXYZABC"}"#,
            "externalSetMarkChain",
            "\"ABCDEFGHIJKLMNOPQRSTUVWXYZABC\"",
        ),
        (
            r#"{"backend": "nftables", "externalSetMarkChain": "X"}"#,
            "externalSetMarkChain",
            "backend is for nftables",
        ),
        (
            r#"{"backend": "iptables", "conditionsV4": ["ip", "saddr"]}"#,
            "conditionsV4",
            "backend is for iptables",
        ),
        (
            r#"{"backend": "nftables", "conditionsV6": ["-s", "::1"]}"#,
            "conditionsV6",
            "backend is for nftables",
        ),
        (
            r#"{"conditionsV4": ["-s", "10.0.0.1"], "conditionsV6": ["ip6", "saddr"]}"#,
            "conditionsV6",
            "conditionsV4 is for iptables",
        ),
        (r#"{"conditionsV4": "-s"}"#, "conditionsV4", "-s"),
        (r#"{"conditionsV4": ["-s", ""]}"#, "conditionsV4[1]", "\"\""),
        (r#"{"conditionsV4": ["-s", "a\n-A INPUT"]}"#, "conditionsV4[1]", "\\n"),
    ];
    for (config, key, value) in table {
        let error = parse(config).unwrap_err();
        assert_eq!(error.code, code::INVALID_CONFIG, "{config}: {error}");
        assert!(error.msg.starts_with(&format!("invalid network config: {key}: ")), "{config}: {error}");
        assert!(error.msg.contains(value), "{config}: {error}");
    }
}

#[test]
fn a_condition_that_the_host_refuses_is_named_by_its_key() {
    let error = |kind, message: &str| {
        let operation = "nat/forward-ports".to_owned();
        refused(HostError { kind, errno: None, operation, message: message.into() })
    };
    let condition = error(HostErrorKind::Invalid, "conditions-v6[1]: \"10.0.0.0/8\" is no address");
    assert_eq!(condition.code, code::INVALID_CONFIG);
    assert_eq!(condition.msg, "invalid network config: conditionsV6[1]: \"10.0.0.0/8\" is no address");
    for (kind, message) in [
        (HostErrorKind::Invalid, "port 0 cannot be forwarded"),
        (HostErrorKind::Io, "conditions-v4[0]: what"),
    ] {
        let other = error(kind, message);
        assert_ne!(other.code, code::INVALID_CONFIG, "{other}");
        assert!(other.msg.contains("portMappings") && other.msg.contains(message), "{other}");
    }
}

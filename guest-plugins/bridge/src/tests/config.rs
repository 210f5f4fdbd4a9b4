//! Options: defaults, precedence, and what is refused by key and value.

use wharf_sdk::firewall::nat::Backend;
use wharf_sdk::{Args, Attachment, DnsConfig, IpConfig, Mac, Request, code};

use super::{net, parse};
use crate::config::Config;

#[test]
fn options_default_as_the_reference_has_them() {
    let config = parse("{}").unwrap();
    let expected = Config {
        bridge: "cni0".to_owned(),
        gateway: false,
        default_gateway: false,
        force_address: false,
        masquerade: None,
        mtu: None,
        hairpin: false,
        promiscuous: false,
        isolated: false,
        vlans: crate::vlan::Vlans::default(),
        anti_spoof: false,
        detect_duplicates: false,
        up: true,
        mac: None,
        ipam: None,
        dns: None,
    };
    assert_eq!(config, expected);
    let nulls = r#"{"bridge": null, "vlan": null, "vlanTrunk": null, "mtu": null, "ipMasqBackend": null, "ipam": null,
        "isGateway": null, "args": null, "runtimeConfig": null, "dns": null}"#;
    assert_eq!(parse(nulls).unwrap(), expected);
}

#[test]
fn options_are_read() {
    let config = parse(
        r#"{"bridge": "br-1", "isDefaultGateway": true, "forceAddress": true, "ipMasq": true, "mtu": 9000,
            "ipMasqBackend": "iptables", "hairpinMode": true, "portIsolation": true, "macspoofchk": true,
            "enabledad": true, "preserveDefaultVlan": true, "ipam": {"type": "host-local"},
            "dns": {"search": []}, "unknown": {"a": 1}}"#,
    )
    .unwrap();
    assert_eq!(config.bridge, "br-1");
    assert!(config.gateway && config.default_gateway && config.force_address && config.carries_gateway());
    assert_eq!((config.masquerade, config.mtu), (Some(Backend::Iptables), Some(9000)));
    assert!(config.hairpin && config.isolated && config.anti_spoof && config.detect_duplicates);
    assert!(config.vlans.keep_default && !config.vlans.configured());
    assert_eq!(config.ipam.unwrap().plugin(), "host-local");
    assert!(config.dns.as_ref().is_some_and(DnsConfig::has_any_key));
    assert_eq!(parse(r#"{"ipMasq": true}"#).unwrap().masquerade, Some(Backend::Automatic));
    assert_eq!(parse(r#"{"ipMasqBackend": "nftables"}"#).unwrap().masquerade, None);
    assert!(parse(r#"{"promiscMode": true}"#).unwrap().promiscuous);
    assert!(!parse(r#"{"disableContainerInterface": true}"#).unwrap().up);
    for mtu in [68, 65535] {
        assert_eq!(parse(&format!(r#"{{"mtu": {mtu}}}"#)).unwrap().mtu, Some(mtu));
    }
}

#[test]
fn without_ipam_it_is_a_layer_2_network() {
    for ipam in ["null", "{}", r#"{"type": ""}"#, r#"{"type": null}"#] {
        let config = parse(&format!(r#"{{"isGateway": true, "ipMasq": true, "ipam": {ipam}}}"#)).unwrap();
        assert_eq!(config.ipam, None, "{ipam}");
        assert!(!config.carries_gateway());
        assert_eq!(config.ignored(), ["isGateway", "ipMasq"]);
    }
    let config = parse(r#"{"isGateway": true, "ipMasq": true, "ipam": {"type": "static"}}"#).unwrap();
    assert!(config.ignored().is_empty());
}

#[test]
fn a_vlan_has_a_gateway_link_of_its_own() {
    let with = |config: &str| parse(config).unwrap().vlan_gateway();
    assert_eq!(with(r#"{"vlan": 10, "isGateway": true, "ipam": {"type": "x"}}"#).as_deref(), Some("cni0.10"));
    assert_eq!(with(r#"{"vlan": 10, "isGateway": true}"#), None);
    assert_eq!(with(r#"{"vlan": 10, "ipam": {"type": "x"}}"#), None);
    assert_eq!(with(r#"{"vlan": 0, "isGateway": true, "ipam": {"type": "x"}}"#), None);
}

#[test]
fn sysctls_of_the_container_depend_on_duplicate_detection() {
    let sysctls = |config: &str| parse(config).unwrap().container_sysctls("eth0.1");
    let own = |text: &str| text.to_owned();
    assert_eq!(sysctls("{}"), [(own("ipv6/conf/eth0.1/accept_dad"), "0")]);
    assert_eq!(
        sysctls(r#"{"enabledad": true}"#),
        [(own("ipv6/conf/eth0.1/enhanced_dad"), "1"), (own("ipv6/conf/eth0.1/accept_dad"), "1"),]
    );
}

fn request(config: &str, args: &[(&str, &str)]) -> Request {
    let attachment =
        Attachment { network: "net".to_owned(), container: "c".to_owned(), ifname: "eth0".to_owned() };
    Request::new(attachment, config).with_args(args.iter().copied().collect::<Args>())
}

#[test]
fn the_runtime_outranks_args_which_outrank_cni_args() {
    let (runtime, args, cni) = ("02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03");
    let both =
        format!(r#"{{"runtimeConfig": {{"mac": "{runtime}"}}, "args": {{"cni": {{"mac": "{args}"}}}}}}"#);
    let empty = format!(r#"{{"runtimeConfig": {{"mac": ""}}, "args": {{"cni": {{"mac": "{args}"}}}}}}"#);
    let other = r#"{"args": {"cni": {"ips": ["10.0.0.1"]}, "other": 1}, "runtimeConfig": {"ips": []}}"#;
    let table = [
        (both.as_str(), vec![("MAC", cni)], Some(runtime)),
        (&empty, vec![("MAC", cni)], Some(args)),
        (
            other,
            vec![("IgnoreUnknown", "true"), ("MAC", "02-00-00-00-00-03"), ("K8S_POD_NAME", "p")],
            Some(cni),
        ),
        (other, vec![("MAC", "")], None),
        (other, vec![], None),
    ];
    for (config, args, mac) in table {
        let found = Config::of(&request(config, &args)).unwrap().mac;
        assert_eq!(found, mac.map(|mac| mac.parse::<Mac>().unwrap()), "{config} {args:?}");
    }
}

#[test]
fn wrong_arguments_are_refused_by_key_and_value() {
    let table = [
        (vec![("MAC", "zz")], "MAC", "\"zz\""),
        (vec![("MAC", "01:00:5e:00:00:01")], "MAC", "\"01:00:5e:00:00:01\""),
        (vec![("MAC", "02:00:00:00:00:01"), ("FOO", "BAR")], "FOO=BAR", "unknown"),
        (vec![("IgnoreUnknown", "maybe")], "IgnoreUnknown", "\"maybe\""),
    ];
    for (args, key, value) in table {
        let error = Config::of(&request("{}", &args)).unwrap_err();
        assert_eq!(error.code, code::INVALID_ENVIRONMENT, "{args:?}: {error}");
        assert!(error.msg.starts_with("CNI_ARGS") && error.msg.contains(key), "{args:?}: {error}");
        assert!(error.msg.contains(value), "{args:?}: {error}");
    }
}

#[test]
fn wrong_options_are_refused_by_key_and_value() {
    let table = [
        (r#"{"bridge": "a/b"}"#, "bridge", "\"a/b\""),
        (r#"{"bridge": "a:b"}"#, "bridge", "\"a:b\""),
        (r#"{"bridge": "a b"}"#, "bridge", "\"a b\""),
        (r#"{"bridge": ".."}"#, "bridge", "\"..\""),
        (r#"{"bridge": "br%d"}"#, "bridge", "\"br%d\""),
        (r#"{"bridge": "sixteen-bytes-lo"}"#, "bridge", "\"sixteen-bytes-lo\""),
        (r#"{"bridge": 7}"#, "bridge", "7"),
        (r#"{"isGateway": "yes"}"#, "isGateway", "yes"),
        (r#"{"mtu": 67}"#, "mtu", "67"),
        (r#"{"mtu": 65536}"#, "mtu", "65536"),
        (r#"{"mtu": -1}"#, "mtu", "-1"),
        (r#"{"mtu": 1500.5}"#, "mtu", "expected an integer, found 1500.5"),
        (r#"{"mtu": "1500"}"#, "mtu", "1500"),
        (r#"{"vlan": 5000}"#, "vlan", "5000"),
        (r#"{"vlan": 4095}"#, "vlan", "4095"),
        (r#"{"vlan": -1}"#, "vlan", "-1"),
        (r#"{"vlanTrunk": [{"id": 0}]}"#, "vlanTrunk[0].id", "0"),
        (r#"{"vlanTrunk": [{"id": 1}, {"id": 4095}]}"#, "vlanTrunk[1].id", "4095"),
        (r#"{"vlanTrunk": [{"minID": 5}]}"#, "vlanTrunk[0].minID", "5"),
        (r#"{"vlanTrunk": [{"maxID": 5}]}"#, "vlanTrunk[0].maxID", "5"),
        (r#"{"vlanTrunk": [{"minID": 6, "maxID": 5}]}"#, "vlanTrunk[0].minID", "6"),
        (r#"{"vlanTrunk": [{"minID": 0, "maxID": 5}]}"#, "vlanTrunk[0].minID", "0"),
        (r#"{"vlanTrunk": [{"minID": 1, "maxID": 5000}]}"#, "vlanTrunk[0].maxID", "5000"),
        (r#"{"vlanTrunk": [{}]}"#, "vlanTrunk[0]", "{}"),
        (r#"{"vlanTrunk": [{"id": "7"}]}"#, "vlanTrunk[0].id", "expected an integer, found \"7\""),
        (
            r#"{"vlanTrunk": [7]}"#,
            "vlanTrunk[0]",
            "expected an object with id, or with minID and maxID, found 7",
        ),
        (r#"{"vlanTrunk": {"id": 7}}"#, "vlanTrunk", "expected an array, found an object with id"),
        (r#"{"ipMasqBackend": "foo"}"#, "ipMasqBackend", "\"foo\""),
        (r#"{"ipMasq": true, "ipMasqBackend": "foo"}"#, "ipMasqBackend", "\"foo\""),
        (r#"{"hairpinMode": true, "promiscMode": true}"#, "promiscMode", "true excludes hairpinMode"),
        (
            r#"{"disableContainerInterface": true, "ipam": {"type": "host-local"}}"#,
            "ipam.type",
            "\"host-local\" excludes disableContainerInterface",
        ),
        (
            r#"{"bridge": "thirteenbytes", "vlan": 100, "isGateway": true, "ipam": {"type": "x"}}"#,
            "vlan",
            "\"thirteenbytes.100\"",
        ),
        (r#"{"runtimeConfig": {"mac": "0a:58"}}"#, "runtimeConfig.mac", "\"0a:58\""),
        (r#"{"runtimeConfig": {"mac": "00:00:00:00:00:00"}}"#, "runtimeConfig.mac", "\"00:00:00:00:00:00\""),
        (r#"{"args": {"cni": {"mac": "ff:ff:ff:ff:ff:ff"}}}"#, "args.cni.mac", "\"ff:ff:ff:ff:ff:ff\""),
        (r#"{"ipam": 7}"#, "ipam", "7"),
        (r#"{"ipam": {"type": 7}}"#, "ipam.type", "7"),
        (r#"{"dns": {"search": "x"}}"#, "dns.search", "x"),
    ];
    for (config, key, value) in table {
        let error = parse(config).unwrap_err();
        assert_eq!(error.code, code::INVALID_CONFIG, "{config}: {error}");
        assert!(error.msg.starts_with(&format!("invalid network config: {key}: ")), "{config}: {error}");
        assert!(error.msg.contains(value), "{config}: {error}");
    }
    assert_eq!(parse(r#"{"mtu": "#).unwrap_err().code, code::DECODING_FAILURE);
}

#[test]
fn an_mtu_that_takes_ipv6_away_is_refused_where_there_is_any() {
    let four = IpConfig::new(net("10.1.0.2/24"));
    let both = [four.clone(), IpConfig::new(net("fd01::2/64"))];
    let small = parse(r#"{"mtu": 1279}"#).unwrap();
    small.can_carry(&[four]).unwrap();
    let error = small.can_carry(&both).unwrap_err();
    assert_eq!(error.code, code::INVALID_CONFIG);
    let named = "invalid network config: mtu: 1279 is too little for IPv6, for fd01::2/64: give 1280 or more";
    assert_eq!(error.msg, named);
    for config in ["{}", r#"{"mtu": 1280}"#] {
        parse(config).unwrap().can_carry(&both).unwrap();
    }
}

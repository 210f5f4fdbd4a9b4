//! The configuration of one plugin, and what is sent on to guests and delegates.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::{Value, json};
use wharf_cni::config::MAX_BYTES;
use wharf_cni::{Attachment, CniError, IpConfig, NetConf, NetworkResult, Version};

fn parse(value: &Value) -> NetConf {
    NetConf::parse(value.to_string().as_bytes()).unwrap()
}

#[test]
fn what_is_refused() {
    let deep = format!("{{\"name\": \"n\", \"x\": {}{}}}", "[".repeat(200), "]".repeat(200));
    let deeper = "[".repeat(2 << 20);
    let rows: &[(&str, u32, &str)] = &[
        ("", 6, "cannot decode network config"),
        ("{", 6, "cannot decode network config"),
        ("{} {}", 6, "trailing characters"),
        ("null", 6, "expected an object, found null"),
        ("[]", 6, "expected an object, found an array of 0"),
        ("\"x\"", 6, "expected an object, found \"x\""),
        (&deep, 6, "recursion limit"),
        (&deeper, 6, "recursion limit"),
        ("{\"name\": \"\\ud800\"}", 6, "cannot decode"),
        (r#"{"name": "n", "x": 1e999}"#, 6, "number out of range"),
        ("{}", 7, "missing network name"),
        (r#"{"name": ""}"#, 7, "missing network name"),
        (r#"{"name": null}"#, 7, "missing network name"),
        (r#"{"name": "", "cniVersion": "9.9.9"}"#, 7, "missing network name"),
        (r#"{"name": 5}"#, 6, "name: expected a string, found 5"),
        (r#"{"name": "a b", "cniVersion": "9"}"#, 7, "invalid characters found in network name; a b"),
        (r#"{"name": "-a"}"#, 7, "invalid characters found in network name; -a"),
        (r#"{"name": "a/../b"}"#, 7, "invalid characters found in network name"),
        (r#"{"name": "a\nb"}"#, 7, r#"network name; "a\nb""#),
        (r#"{"name": "n", "cniVersion": "9.9.9"}"#, 1, r#"config is "9.9.9", plugin supports ["0.1.0""#),
        (r#"{"name": "n", "cniVersion": "1.0"}"#, 1, "incompatible CNI versions"),
        (r#"{"name": "n", "cniVersion": 1}"#, 6, "cniVersion: expected a string"),
        (r#"{"name": "n", "type": 1}"#, 6, "type: expected a string"),
        (r#"{"name": "n", "type": "../sh"}"#, 7, "invalid plugin name: \"../sh\""),
        (r#"{"name": "n", "type": ".."}"#, 7, "invalid plugin name"),
        (
            r#"{"name": "n", "ipam": {"type": "../host-local"}}"#,
            7,
            r#"ipam.type: invalid plugin name: "../host-local""#,
        ),
        (r#"{"name": "n", "IPAM": {"Type": "."}}"#, 7, r#"ipam.type: invalid plugin name: ".""#),
        (r#"{"name": "n", "ipam": {"type": 1}}"#, 6, "ipam.type: expected a string, found 1"),
        (r#"{"name": "n", "delegate": {"type": "a/b"}}"#, 7, r#"delegate.type: invalid plugin name: "a/b""#),
        (r#"{"name": "n", "ipam": "host-local"}"#, 6, r#"ipam: expected an object, found "host-local""#),
        (r#"{"name": "n", "args": []}"#, 6, "args: expected an object, found an array of 0"),
        (r#"{"name": "n", "dns": "10.1.0.53"}"#, 6, r#"dns: expected an object, found "10.1.0.53""#),
        (r#"{"name": "n", "runtimeConfig": 5}"#, 6, "runtimeConfig: expected an object, found 5"),
        (
            r#"{"name": "n", "capabilities": ["mac"]}"#,
            6,
            "capabilities: expected an object, found an array of 1",
        ),
        (
            r#"{"name": "n", "capabilities": {"mac": "yes"}}"#,
            6,
            r#"capabilities.mac: expected true or false, found "yes""#,
        ),
        (r#"{"name": "n", "prevResult": 1}"#, 6, "prevResult: expected an object"),
        (r#"{"name": "n", "prevResult": {"cniVersion": "7.0.0"}}"#, 1, r#"prevResult.cniVersion is "7.0.0""#),
        (
            r#"{"name": "n", "prevResult": {"cniVersion": "1.0.0", "ips": [{"address": "x"}]}}"#,
            6,
            "prevResult.ips[0].address: expected an address with prefix length, found \"x\"",
        ),
        (
            r#"{"name": "n", "cni.dev/valid-attachments": {}}"#,
            6,
            "cni.dev/valid-attachments: expected an array",
        ),
        (r#"{"name": "n", "cni.dev/valid-attachments": [1]}"#, 6, "cni.dev/valid-attachments[0]"),
        (
            r#"{"name": "n", "cni.dev/valid-attachments": [{"containerID": "a"}]}"#,
            7,
            "cni.dev/valid-attachments[0].ifname: missing or empty",
        ),
        (
            r#"{"name": "n", "cni.dev/attachments": [{"containerID": "a/b", "ifname": "e"}]}"#,
            7,
            "cni.dev/attachments[0].containerID: invalid characters in a/b",
        ),
    ];
    for (text, code, part) in rows {
        let head: String = text.chars().take(80).collect();
        let error = CniError::from(NetConf::parse(text.as_bytes()).unwrap_err());
        assert_eq!(error.code, *code, "{head}: {error}");
        assert!(error.to_string().contains(part), "{head}: {error}");
    }
    let not_text = CniError::from(NetConf::parse(b"{\"name\": \"\xff\"}").unwrap_err());
    assert_eq!(not_text.code, 6);
}

#[test]
fn size_limit() {
    let fill = |size: usize| {
        let mut text = br#"{"name":"n","x":""#.to_vec();
        text.resize(size - 2, b'x');
        text.extend(b"\"}");
        text
    };
    assert_eq!(CniError::from(NetConf::parse(&fill(10_000_000)).unwrap_err()).code, 6);
    assert!(NetConf::parse(&fill(MAX_BYTES)).is_ok());
    let error = CniError::from(NetConf::parse(&fill(MAX_BYTES + 1)).unwrap_err());
    assert_eq!(error.msg, "network config has 4194305 bytes, at most 4194304 are allowed");
    assert_eq!(error.code, 6);
    for text in [r#"{"name":"@"}"#, r#"{"name":"n","cniVersion":"@"}"#, r#"{"name":"n","type":"/@"}"#] {
        let text = text.replace('@', &"é".repeat(1 << 20));
        let error = CniError::from(NetConf::parse(text.as_bytes()).unwrap_err());
        assert!(error.to_string().len() < 500, "{} bytes", error.to_string().len());
    }
}

#[test]
fn what_is_accepted() {
    let conf = parse(&json!({"name": "n"}));
    assert_eq!((conf.cni_version, conf.plugin_type.as_str()), (Version::V0_1_0, ""));
    assert_eq!((conf.previous, conf.valid_attachments), (None, None));
    for (version, expected) in [(json!(null), "0.1.0"), (json!(""), "0.1.0"), (json!("1.1.0"), "1.1.0")] {
        assert_eq!(parse(&json!({"name": "n", "cniVersion": version})).cni_version.as_str(), expected);
    }
    for section in ["args", "delegate", "dns", "ipam", "runtimeConfig"] {
        for value in [json!(null), json!({}), json!({"type": ""}), json!({"type": null})] {
            assert_eq!(parse(&json!({"name": "n", section: value})).raw[section], value);
        }
    }
    for capabilities in [json!(null), json!({}), json!({"mac": true, "ips": false, "dns": null})] {
        assert_eq!(
            parse(&json!({"name": "n", "capabilities": capabilities})).raw["capabilities"],
            capabilities
        );
    }
    assert_eq!(parse(&json!({"name": "n", "delegate": "10.1.0.1"})).raw["delegate"], "10.1.0.1");
    let twice = NetConf::parse(br#"{"name":"a","name":"b","type":"x","type":"y","mtu":1,"mtu":2}"#).unwrap();
    assert_eq!((twice.name.as_str(), twice.plugin_type.as_str()), ("b", "y"));
    assert_eq!(twice.raw["mtu"], 2);
    let deep = format!("{{\"name\": \"n\", \"x\": {}{}}}", "[".repeat(100), "]".repeat(100));
    assert!(NetConf::parse(deep.as_bytes()).is_ok());
}

#[test]
fn previous_results_of_every_version() {
    let result = NetworkResult {
        ips: vec![IpConfig { address: "10.1.0.5/24".parse().unwrap(), gateway: None, interface: None }],
        ..NetworkResult::default()
    };
    for config in wharf_cni::version::SUPPORTED {
        for previous in wharf_cni::version::SUPPORTED {
            let mut value = result.render(previous).unwrap();
            value["unknown"] = json!({"key": [1]});
            let conf = parse(&json!({"cniVersion": config.as_str(), "name": "n", "prevResult": value}));
            assert_eq!(conf.previous.as_ref(), Some(&result), "{previous} in {config}");
        }
        let mut unnamed = result.render(config).unwrap();
        unnamed.as_object_mut().unwrap().remove("cniVersion");
        let conf = parse(&json!({"cniVersion": config.as_str(), "name": "n", "prevResult": unnamed}));
        assert_eq!(conf.previous.as_ref(), Some(&result), "unnamed in {config}");
    }
    assert_eq!(parse(&json!({"name": "n", "prevResult": null})).previous, None);
    assert_eq!(parse(&json!({"name": "n", "prevResult": {}})).previous, Some(NetworkResult::default()));
}

#[test]
fn del_goes_on_without_a_broken_previous_result() {
    let text = r#"{"name": "n", "type": "t", "prevResult": {"ip4": {"ip": "x"}}}"#;
    let (conf, fault) = NetConf::parse_for_del(text.as_bytes()).unwrap();
    assert_eq!((conf.plugin_type.as_str(), &conf.previous), ("t", &None));
    assert!(fault.unwrap().to_string().starts_with("prevResult.ip4.ip: "));
    let (_, fault) = NetConf::parse_for_del(br#"{"name": "n"}"#).unwrap();
    assert_eq!(fault, None);
    assert!(NetConf::parse_for_del(b"{}").is_err());
}

/// What is deleted may have been made when nobody looked at them.
#[test]
fn del_goes_on_with_members_of_a_wrong_type() {
    for member in [r#""args": "x""#, r#""dns": []"#, r#""capabilities": {"a": 1}"#, r#""ipam": 7"#] {
        let text = format!(r#"{{"name": "n", "type": "t", {member}}}"#);
        let (conf, fault) = NetConf::parse_for_del(text.as_bytes()).unwrap();
        assert_eq!(conf.name, "n");
        assert_eq!(NetConf::parse(text.as_bytes()).unwrap_err(), fault.unwrap(), "{member}");
    }
}

#[test]
fn valid_attachments() {
    let one = json!([{"containerID": "c", "ifname": "eth0", "more": 1}]);
    let other = json!([{"containerID": "d", "ifname": "eth1"}]);
    let rows = [
        (json!({}), None),
        (json!({"cni.dev/valid-attachments": []}), Some(vec![])),
        (json!({"cni.dev/valid-attachments": null}), Some(vec![])),
        (json!({"cni.dev/valid-attachments": one}), Some(vec!["net/c/eth0"])),
        (json!({"cni.dev/attachments": other}), Some(vec!["net/d/eth1"])),
        (json!({"cni.dev/valid-attachments": one, "cni.dev/attachments": other}), Some(vec!["net/c/eth0"])),
        (json!({"cni.dev/valid-attachments": [], "cni.dev/attachments": other}), Some(vec![])),
    ];
    for (mut value, expected) in rows {
        value["name"] = json!("net");
        let got = parse(&value).valid_attachments;
        let got: Option<Vec<String>> = got.map(|list| list.iter().map(Attachment::to_string).collect());
        let expected = expected.map(|list| list.into_iter().map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(got, expected, "{value}");
    }
    let attachment = Attachment { network: "n".into(), container_id: "c".into(), ifname: "e".into() };
    let value = json!({"network": "n", "containerID": "c", "ifname": "e"});
    assert_eq!(serde_json::to_value(&attachment).unwrap(), value);
    assert_eq!(serde_json::from_value::<Attachment>(value).unwrap(), attachment);
}

#[test]
fn what_is_sent_on() {
    let value = json!({
        "cniVersion": "0.4.0", "name": "n", "type": "bridge", "unknown": {"a": [1, null, 1.5]},
        "runtimeConfig": {"mac": "m"}, "prevResult": {"ips": [{"address": "10.0.0.2/8"}], "foreign": 1},
    });
    let conf = parse(&value);
    let mut without = value.clone();
    without.as_object_mut().unwrap().remove("prevResult");
    assert_eq!(serde_json::from_str::<Value>(&conf.guest_config()).unwrap(), without);
    assert_eq!(Value::Object(conf.raw.clone()), without);

    let sent: Value = serde_json::from_slice(&conf.delegate_stdin(conf.previous.as_ref())).unwrap();
    let previous =
        json!({"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.0.0.2/8"}], "dns": {}});
    assert_eq!(sent["prevResult"], previous);
    assert_eq!(sent["unknown"], value["unknown"]);
    let sent: Value = serde_json::from_slice(&conf.delegate_stdin(None)).unwrap();
    assert_eq!(sent, without);

    let empty = NetworkResult::default();
    let next = conf.with_previous(&empty);
    assert_eq!((next.previous.as_ref(), &next.raw), (Some(&empty), &conf.raw));
    // A result without addresses passes as prevResult even where it could not be the answer to an ADD.
    let old = parse(&json!({"cniVersion": "0.2.0", "name": "n"}));
    let sent: Value = serde_json::from_slice(&old.delegate_stdin(Some(&empty))).unwrap();
    assert_eq!(sent["prevResult"], json!({"cniVersion": "0.2.0", "dns": {}}));
}

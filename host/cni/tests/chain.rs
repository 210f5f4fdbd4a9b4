//! A chain inside one configuration.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::{Value, json};
use wharf_cni::chain::MAX_CHAIN;
use wharf_cni::{CniError, NetConf, Version};

fn outer(extra: Value) -> NetConf {
    let mut value = json!({"cniVersion": "1.1.0", "name": "net", "type": "wharf"});
    let Value::Object(extra) = extra else { panic!("an object, please") };
    value.as_object_mut().unwrap().extend(extra);
    NetConf::parse(value.to_string().as_bytes()).unwrap()
}

#[test]
fn what_is_no_chain() {
    assert_eq!(outer(json!({})).chain(), Ok(None));
    assert_eq!(outer(json!({"chain": null})).chain(), Ok(None));
    let other = outer(json!({"type": "iptables", "chain": "FORWARD"}));
    assert_eq!(other.chain(), Ok(None), "the member means something else to other plugins");
}

#[test]
fn what_is_refused() {
    let many: Vec<Value> = vec![json!({"type": "a"}); MAX_CHAIN + 1];
    let rows = [
        (json!({"chain": []}), 7, "chain: no plugins in the chain"),
        (json!({"chain": {}}), 6, "chain: expected an array"),
        (json!({"chain": many}), 7, "chain: 65 plugins in the chain, at most 64"),
        (
            json!({"chain": [{"type": "a"}, {"type": "b"}], "args": {"x": "x".repeat(3 << 20)}}),
            7,
            "chain: 2 plugins would inherit 3145736 bytes each, at most 4194304",
        ),
        (json!({"chain": ["bridge"]}), 6, "chain[0]: expected an object"),
        (json!({"chain": [{"type": "a"}, {}]}), 7, "chain[1].type: missing or empty"),
        (json!({"chain": [{"type": ""}]}), 7, "chain[0].type: missing or empty"),
        (json!({"chain": [{"type": 1}]}), 6, "chain[0].type: expected a string"),
        (json!({"chain": [{"type": "a/b"}]}), 7, "chain[0].type: invalid plugin name"),
        (json!({"chain": [{"type": "a", "chain": []}]}), 7, "chain[0].chain: a chain cannot be inside"),
        (json!({"chain": [{"type": "a"}, {"type": "wharf"}]}), 7, "chain[1].type: a chain cannot be"),
        (json!({"chain": [{"type": "a", "prevResult": {}}]}), 7, "chain[0].prevResult: is for the runtime"),
        (
            json!({"chain": [{"type": "a", "capabilities": {"mac": "yes"}}], "runtimeConfig": {}}),
            6,
            "chain[0].capabilities.mac: expected true or false",
        ),
        (
            json!({"chain": [{"type": "a", "capabilities": []}], "runtimeConfig": {}}),
            6,
            "chain[0].capabilities: expected an object",
        ),
        (
            json!({"chain": [{"type": "a"}, {"type": "b", "ipam": {"type": "../x"}}]}),
            7,
            "chain[1].ipam.type: invalid plugin name: \"../x\"",
        ),
        (json!({"chain": [{"type": "a", "dns": []}]}), 6, "chain[0].dns: expected an object"),
        (
            json!({"chain": [{"type": "a", "cni.dev/attachments": [{}]}]}),
            7,
            "chain[0].cni.dev/attachments[0].containerID",
        ),
    ];
    for (extra, code, part) in rows {
        let error = CniError::from(outer(extra.clone()).chain().unwrap_err());
        assert!(error.msg.contains(part), "{part}: {error}");
        assert_eq!(error.code, code, "{part}");
    }
}

#[test]
fn what_is_inherited() {
    let runtime = json!({"mac": "m", "portMappings": [{"HostPort": 1}], "ips": []});
    let conf = outer(json!({
        "runtimeConfig": runtime,
        "args": {"cni": {"ips": ["10.0.0.1"]}},
        "cni.dev/x": 1,
        "cni.dev/attachments": [{"containerID": "c", "ifname": "e"}],
        "cni.dev/y": 3,
        "mtu": 9000,
        "capabilities": {"mac": true},
        "prevResult": {"ips": [{"address": "10.0.0.2/8"}]},
        "chain": [
            {"type": "bridge", "bridge": "cni0"},
            {"type": "portmap", "capabilities": {"portMappings": true, "mac": false, "ips": null, "dns": true}},
            {"type": "tuning", "capabilities": {}, "args": {"own": 1}, "cni.dev/y": null, "cni.dev/x": 2},
            {"type": "own", "name": "other", "cniVersion": "0.2.0", "capabilities": {"mac": false},
                "runtimeConfig": {"mine": 1}},
        ],
    }));
    let chain = conf.chain().unwrap().unwrap();
    let objects: Vec<Value> = chain.iter().map(|inner| Value::Object(inner.raw.clone())).collect();
    for (inner, raw) in chain.iter().zip(&objects) {
        assert_eq!((inner.name.as_str(), inner.cni_version), ("net", Version::V1_1_0));
        assert_eq!((&raw["name"], &raw["cniVersion"]), (&json!("net"), &json!("1.1.0")));
        assert_eq!(inner.previous, conf.previous);
        assert_eq!(inner.valid_attachments, conf.valid_attachments);
        assert_eq!(raw.get("mtu").or(raw.get("chain")), None, "members of the outer object stay there");
        assert_eq!(raw["type"], inner.plugin_type.as_str());
    }
    let rows = [
        (0, "runtimeConfig", runtime),
        (0, "args", json!({"cni": {"ips": ["10.0.0.1"]}})),
        (0, "cni.dev/x", json!(1)),
        (0, "capabilities", Value::Null),
        (0, "bridge", json!("cni0")),
        (1, "runtimeConfig", json!({"portMappings": [{"HostPort": 1}]})),
        (2, "runtimeConfig", Value::Null),
        (2, "args", json!({"own": 1})),
        (2, "cni.dev/x", json!(2)),
        (2, "cni.dev/y", json!(3)),
        (3, "runtimeConfig", json!({"mine": 1})),
    ];
    for (index, key, expected) in rows {
        assert_eq!(objects[index][key], expected, "chain[{index}].{key}");
    }
    assert_eq!(conf.valid_attachments.unwrap().len(), 1);
}

#[test]
fn a_missing_version_stays_missing() {
    let text = br#"{"name":"n","type":"wharf","chain":[{"type":"a","cniVersion":"1.0.0"}]}"#;
    let chain = NetConf::parse(text).unwrap().chain().unwrap().unwrap();
    assert_eq!(chain[0].cni_version, Version::V0_1_0);
    assert_eq!(chain[0].raw.get("cniVersion"), None);
}

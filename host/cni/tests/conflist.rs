//! Network configuration lists, and the requests made of them.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use serde_json::{Value, json};
use wharf_cni::conflist::RequestArgs;
use wharf_cni::{Attachment, CniError, NetConf, NetworkList, NetworkResult, Version};

fn list(mut value: Value) -> Result<NetworkList, CniError> {
    let defaults = [("name", json!("net")), ("plugins", json!([{"type": "a"}]))];
    for (key, default) in defaults {
        if value.get(key).is_none() {
            value[key] = default;
        }
    }
    NetworkList::parse(value.to_string().as_bytes()).map_err(CniError::from)
}

#[test]
fn version_selection() {
    let rows: &[(Value, Result<&str, &str>)] = &[
        (json!({}), Ok("0.1.0")),
        (json!({"cniVersion": ""}), Ok("0.1.0")),
        (json!({"cniVersion": "0.4.0"}), Ok("0.4.0")),
        (json!({"cniVersion": "0.4.0", "cniVersions": []}), Ok("0.4.0")),
        (json!({"cniVersion": "0.4.0", "cniVersions": null}), Ok("0.4.0")),
        (json!({"cniVersions": ["0.3.1", "1.0.0", "0.4.0"]}), Ok("1.0.0")),
        (json!({"cniVersion": "1.1.0", "cniVersions": ["0.3.1"]}), Ok("1.1.0")),
        (json!({"cniVersion": "0.3.1", "cniVersions": ["1.2.0", "1.1.0", "99.0.0"]}), Ok("1.1.0")),
        (json!({"cniVersion": "0.4.0", "cniVersions": ["1.2.0"]}), Ok("0.4.0")),
        (json!({"cniVersion": "1.2.0"}), Err("incompatible CNI versions")),
        (json!({"cniVersions": ["1.2.0"]}), Err("incompatible CNI versions")),
        (json!({"cniVersions": ["0.5.0", "0.4.0"]}), Err("\"0.5.0\"")),
        (json!({"cniVersions": ["1.0.0", "abc"]}), Err("cniVersions[1]: \"abc\" is no version")),
        (json!({"cniVersions": ["1.0.0", ""]}), Err("cniVersions[1]: \"\" is no version")),
        (json!({"cniVersions": ["1.0.0.0"]}), Err("cniVersions[0]")),
        (json!({"cniVersions": ["1.0.0"], "cniVersion": "x"}), Err("cniVersion: \"x\" is no version")),
        (json!({"cniVersions": [1]}), Err("cniVersions[0]: expected a string")),
        (json!({"cniVersions": "1.0.0"}), Err("cniVersions: expected an array")),
        (json!({"cniVersion": 1}), Err("cniVersion: expected a string")),
    ];
    for (value, expected) in rows {
        match (list(value.clone()), expected) {
            (Ok(got), Ok(version)) => assert_eq!(got.cni_version.as_str(), *version, "{value}"),
            (Err(error), Err(part)) => assert!(error.to_string().contains(part), "{value}: {error}"),
            (got, _) => panic!("{value}: {got:?}"),
        }
    }
}

#[test]
fn flags() {
    let rows = [
        (json!(null), Some(false)),
        (json!(true), Some(true)),
        (json!(false), Some(false)),
        (json!("true"), Some(true)),
        (json!("TRUE"), Some(true)),
        (json!("False"), Some(false)),
        (json!("x"), None),
        (json!(""), None),
        (json!(1), None),
        (json!([]), None),
    ];
    for (value, expected) in rows {
        for key in ["disableCheck", "disableGC", "loadOnlyInlinedPlugins"] {
            let got = list(json!({key: value}));
            let Some(expected) = expected else {
                let error = got.unwrap_err();
                assert!(error.msg.contains(key) && error.code == 7, "{key} {value}: {error}");
                continue;
            };
            let got = got.unwrap();
            let set = [got.disable_check, got.disable_gc, got.load_only_inlined_plugins];
            assert_eq!(set.into_iter().any(|on| on), expected, "{key} {value}");
        }
    }
    assert_eq!(
        list(json!({"disableGC": "x"})).unwrap_err().msg,
        "disableGC: invalid value \"x\" for disableGC"
    );
}

#[test]
fn plugins() {
    let rows = [
        (json!({"plugins": []}), "plugins: no plugins in list"),
        (json!({"plugins": {}}), "plugins: expected an array"),
        (json!({"plugins": [1]}), "plugins[0]: expected an object"),
        (json!({"plugins": [{"type": "a"}, {}]}), "plugins[1].type: missing 'type'"),
        (json!({"plugins": [{"type": 1}]}), "plugins[0].type: expected a string"),
        (json!({"plugins": [{"type": "a/b"}]}), "plugins[0].type: invalid plugin name"),
        (
            json!({"plugins": [{"type": "a", "capabilities": 1}]}),
            "plugins[0].capabilities: expected an object",
        ),
        (json!({"plugins": [{"type": "a", "capabilities": {"x": 1}}]}), "plugins[0].capabilities.x"),
        (json!({"plugins": null, "loadOnlyInlinedPlugins": true}), "plugins: missing, and loadOnly"),
        (json!({"name": ""}), "missing network name"),
        (json!({"name": "a b"}), "invalid characters found in network name"),
    ];
    for (value, part) in rows {
        let error = list(value.clone()).unwrap_err();
        assert!(error.to_string().contains(part), "{value}: {error}");
    }
    for (text, part) in [("", "cannot decode"), ("[]", "network list: expected an object")] {
        let error = NetworkList::parse(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
}

#[test]
fn plugins_beside_the_file() {
    let mut open = list(json!({"plugins": null})).unwrap();
    assert!(open.complete().unwrap_err().to_string().contains("no plugin configs found"));
    assert_eq!(open.add_plugin(br#"{"type": "b"}"#), Ok(true));
    assert_eq!(open.complete(), Ok(()));
    assert!(open.add_plugin(b"{}").unwrap_err().to_string().contains("missing 'type'"));
    assert!(open.add_plugin(b"{").is_err());
    let mut closed = list(json!({"loadOnlyInlinedPlugins": "true"})).unwrap();
    assert_eq!(closed.add_plugin(br#"{"type": "b"}"#), Ok(false));
    let mut both = list(json!({})).unwrap();
    assert_eq!(both.add_plugin(br#"{"type": "b"}"#), Ok(true));
    let types: Vec<&str> = both.plugins.iter().map(|p| p.plugin_type.as_str()).collect();
    assert_eq!((types, closed.plugins.len()), (vec!["a", "b"], 1));
}

#[test]
fn single_plugin_files() {
    let one = NetworkList::from_plugin(br#"{"cniVersion":"0.3.1","name":"n","type":"a","x":1}"#).unwrap();
    assert_eq!((one.cni_version, one.name.as_str(), one.plugins.len()), (Version::V0_3_1, "n", 1));
    assert_eq!(one.plugins[0].raw["x"], 1);
    let rows = [
        (r#"{"name":"n"}"#, "type: missing 'type'"),
        (r#"{"type":"a"}"#, "missing network name"),
        (r#"{"name":"n","plugins":[]}"#, "plugins: this is a list"),
        ("3", "expected an object"),
    ];
    for (text, part) in rows {
        let error = NetworkList::from_plugin(text.as_bytes()).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
}

#[test]
fn requests() {
    let list = list(json!({
        "cniVersion": "1.1.0",
        "plugins": [
            {"type": "a", "name": "own", "cniVersion": "0.1.0", "prevResult": {"stale": 1}, "unknown": [1]},
            {"type": "b", "capabilities": {"mac": true, "ips": false, "bandwidth": true}},
        ],
    }))
    .unwrap();
    let offered = json!({"mac": "m", "ips": ["i"], "other": 1});
    let previous = NetworkResult::default();
    let valid = [Attachment { network: "net".into(), container_id: "c".into(), ifname: "e".into() }];
    let args = RequestArgs {
        previous: Some(&previous),
        capability_args: offered.as_object(),
        valid_attachments: Some(&valid),
    };
    let get = |index, args| -> Value {
        serde_json::from_slice(&list.request(index, args).unwrap().unwrap()).unwrap()
    };
    let attachments = json!([{"containerID": "c", "ifname": "e"}]);
    let rows = [
        (
            get(0, RequestArgs::default()),
            json!({"type": "a", "name": "net", "cniVersion": "1.1.0", "unknown": [1]}),
        ),
        (
            get(1, args),
            json!({
                "type": "b", "name": "net", "cniVersion": "1.1.0", "runtimeConfig": {"mac": "m"},
                "capabilities": {"mac": true, "ips": false, "bandwidth": true},
                "prevResult": {"cniVersion": "1.1.0"},
                "cni.dev/valid-attachments": attachments, "cni.dev/attachments": attachments,
            }),
        ),
        (get(0, args)["runtimeConfig"].clone(), Value::Null),
    ];
    for (got, expected) in rows {
        assert_eq!(got, expected);
    }
    assert_eq!(list.request(2, args), Ok(None));
    // What a runtime sends is what a plugin reads.
    let conf = NetConf::parse(&list.request(1, args).unwrap().unwrap()).unwrap();
    assert_eq!(conf.previous, Some(previous.clone()));
    assert_eq!(conf.valid_attachments.unwrap(), valid);
}

#[test]
fn which_commands_a_runtime_sends() {
    let rows = [
        (json!({"cniVersion": "0.3.1"}), None, false, false),
        (json!({"cniVersion": "0.4.0"}), Some(true), false, false),
        (json!({"cniVersion": "1.0.0", "disableCheck": true}), Some(false), false, false),
        (json!({"cniVersion": "1.1.0"}), Some(true), true, true),
        (json!({"cniVersion": "1.1.0", "disableGC": true}), Some(true), false, true),
    ];
    for (value, check, gc, status) in rows {
        let list = list(value.clone()).unwrap();
        assert_eq!(list.wants_check().ok(), check, "{value}");
        assert_eq!((list.wants_gc(), list.wants_status()), (gc, status), "{value}");
    }
}

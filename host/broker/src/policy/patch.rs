//! JSON merge patches (RFC 7396) of configurations, and what they may not touch.

use serde_json::{Map, Value};
use wharf_cni::spelling::{self, alike};

/// The largest, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// The members that say what runs, for whom, and under which policies.
const FIXED: [&str; 7] = ["name", "type", "cniVersion", "prevResult", "policies", "capabilities", "chain"];

/// The members of an `ipam` section by which a plugin finds files, programs and keys: those of host-local, Calico's
/// address manager, Whereabouts and dhcp. A native one is root.
const FILES: [&str; 8] = [
    "dataDir",
    "resolvConf",
    "kubernetes",
    "kubeconfig",
    "configuration_path",
    "log_file",
    "daemonSocketPath",
    "etcd_key_file",
];

/// Reads a patch of a plugin's configuration, and refuses what is no policy's to change. The error says what is wrong.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("its patch has {} bytes, at most {MAX_BYTES} are allowed", text.len()));
    }
    let patch = read(text)?;
    match forbidden(&patch) {
        Some(member) => Err(format!("its patch changes {member:?}, which no policy can")),
        None => Ok(patch),
    }
}

/// Reads a patch that was allowed when it was written down.
pub(super) fn read(text: &str) -> Result<Map<String, Value>, String> {
    // With the configuration's spelling, or `IPAM` would stand beside `ipam`.
    match spelling::read(text.as_bytes()) {
        Ok(Value::Object(patch)) => Ok(patch),
        Ok(other) => Err(format!("its patch is {other}, and no object")),
        Err(error) => Err(format!("its patch is not JSON: {error}")),
    }
}

/// The path of what is not a policy's to change, in the patch of a plugin's object: who runs, and with which files.
fn forbidden(patch: &Map<String, Value>) -> Option<String> {
    let is_fixed = |key: &str| {
        FIXED.iter().any(|fixed| alike(fixed, key))
            || alike(key, "kubeconfig")
            || key.to_lowercase().starts_with("cni.dev/")
    };
    patch.iter().find_map(|(key, change)| {
        let inside = match (key.as_str(), change) {
            (key, _) if is_fixed(key) => Some(String::new()),
            ("ipam", Value::Object(ipam)) => {
                find(ipam, &|key, value| alike(key, "type") || names_a_file(key, value))
            }
            ("delegate", Value::Object(delegate)) => {
                forbidden(delegate).or_else(|| find(delegate, &names_a_file))
            }
            // Nothing, or something else in the place of the section: what runs is another then as well.
            ("ipam" | "delegate", _) => Some(String::new()),
            (key, change) => within(key, change, &|key, _| alike(key, "kubeconfig")),
        };
        inside.map(|inside| join(key, &inside))
    })
}

/// Whether a member leads a plugin to a file: by its name, or as an absolute path.
fn names_a_file(key: &str, value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with('/')) || FILES.iter().any(|file| alike(file, key))
}

/// The path of the first member, at any depth, that `is` it.
fn find(object: &Map<String, Value>, is: &dyn Fn(&str, &Value) -> bool) -> Option<String> {
    object.iter().find_map(|(key, value)| {
        if is(key, value) {
            return Some(key.clone());
        }
        within(key, value, is).map(|inside| join(key, &inside))
    })
}

fn within(key: &str, value: &Value, is: &dyn Fn(&str, &Value) -> bool) -> Option<String> {
    match value {
        Value::Object(members) => find(members, is),
        // An item has its list's name.
        Value::Array(items) => items.iter().enumerate().find_map(|(index, item)| {
            if is(key, item) {
                return Some(format!("[{index}]"));
            }
            within(key, item, is).map(|inside| join(&format!("[{index}]"), &inside))
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn join(key: &str, inside: &str) -> String {
    let dot = if inside.is_empty() || inside.starts_with('[') { "" } else { "." };
    format!("{key}{dot}{inside}")
}

/// Changes `target` as the patch says.
pub(super) fn apply(target: &mut Map<String, Value>, patch: &Map<String, Value>) {
    for (key, change) in patch {
        match change {
            Value::Null => drop(target.remove(key)),
            Value::Object(inner) => {
                let member = target.entry(key.clone()).or_insert(Value::Null);
                if !member.is_object() {
                    *member = Value::Object(Map::new());
                }
                if let Value::Object(member) = member {
                    apply(member, inner);
                }
            }
            other => drop(target.insert(key.clone(), other.clone())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_patch_does_what_the_rfc_says() {
        // The examples of RFC 7396, appendix A, whose both sides are objects.
        for (target, patch, result) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"b"}), json!({"b":"c"}), json!({"a":"b","b":"c"})),
            (json!({"a":"b"}), json!({"a":null}), json!({})),
            (json!({"a":"b","b":"c"}), json!({"a":null}), json!({"b":"c"})),
            (json!({"a":["b"]}), json!({"a":"c"}), json!({"a":"c"})),
            (json!({"a":"c"}), json!({"a":["b"]}), json!({"a":["b"]})),
            (json!({"a":{"b":"c"}}), json!({"a":{"b":"d","c":null}}), json!({"a":{"b":"d"}})),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!({}), json!({"a":{"bb":{"ccc":null}}}), json!({"a":{"bb":{}}})),
        ] {
            let mut changed = target.as_object().cloned().unwrap();
            apply(&mut changed, patch.as_object().unwrap());
            assert_eq!(Value::Object(changed), result, "{target} and {patch}");
        }
    }

    #[test]
    fn what_runs_and_under_which_policies_is_no_policys_to_change() {
        parse(r#"{"mtu":1400,"runtimeConfig":{"bandwidth":{"ingressRate":1}},"ipam":{"ranges":[[{"subnet":"10.0.0.0/8"}]]}}"#)
            .unwrap();
        let patch = parse(r#"{"IPAM":{"Subnet":"10.0.0.0/8"},"delegate":{"mtu":1400}}"#).unwrap();
        assert_eq!(Value::Object(patch), json!({"ipam":{"subnet":"10.0.0.0/8"},"delegate":{"mtu":1400}}));
        for (text, path) in [
            (r#"{"ipam":{"type":"x"}}"#, "ipam.type"),
            (r#"{"Ipam":{"TYPE":null}}"#, "ipam.type"),
            (r#"{"ipam":null}"#, "ipam"),
            (r#"{"ipam":[]}"#, "ipam"),
            (r#"{"ipam":{"dataDir":null}}"#, "ipam.dataDir"),
            (r#"{"ipam":{"resolvConf":"etc"}}"#, "ipam.resolvConf"),
            (r#"{"ipam":{"Kubernetes":{"k8s_api_root":"x"}}}"#, "ipam.Kubernetes"),
            (r#"{"ipam":{"x":{"KubeConfig":"x"}}}"#, "ipam.x.KubeConfig"),
            (r#"{"ipam":{"ranges":[[{"hook":"/bin/sh"}]]}}"#, "ipam.ranges[0][0].hook"),
            (r#"{"ipam":{"files":["a","/etc/shadow"]}}"#, "ipam.files[1]"),
            (r#"{"kubernetes":{"kubeconfig":"x"}}"#, "kubernetes.kubeconfig"),
            (r#"{"delegate":7}"#, "delegate"),
            (r#"{"delegate":null}"#, "delegate"),
            (r#"{"Delegate":{"Type":"x"}}"#, "delegate.type"),
            (r#"{"delegate":{"ipam":{"type":"x"}}}"#, "delegate.ipam.type"),
            (r#"{"delegate":{"Chain":[]}}"#, "delegate.chain"),
            (r#"{"delegate":{"x":"/etc"}}"#, "delegate.x"),
            (r#"{"Policies":[],"policies":["p"]}"#, "Policies"),
            (r#"{"policie\u017f":null}"#, "policies"),
        ] {
            let error = parse(text).unwrap_err();
            assert!(
                error.contains(&format!("its patch changes {path:?}, which no policy can")),
                "{text}: {error}"
            );
        }
        for (text, word) in [
            (r#"{"type":"portmap"}"#, "type"),
            (r#"{"Policies":[]}"#, "policies"),
            (r#"{"cni.dev/attachments":[]}"#, "cni.dev/attachments"),
            (r#"{"chain":[]}"#, "chain"),
            ("[]", "no object"),
            ("{", "not JSON"),
        ] {
            assert!(parse(text).unwrap_err().contains(word), "{text}");
        }
        let large = format!("{{\"a\":{:?}}}", "x".repeat(MAX_BYTES));
        assert!(parse(&large).unwrap_err().contains("65"));
    }
}

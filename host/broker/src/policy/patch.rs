//! JSON merge patches (RFC 7396) of configurations, and what they may not touch.

use serde_json::{Map, Value};

/// The largest, in bytes.
const MAX_BYTES: usize = 64 << 10;

/// The members that say what runs, for whom, and under which policies.
const FIXED: [&str; 7] = ["name", "type", "cniVersion", "prevResult", "policies", "capabilities", "chain"];

/// Reads a patch of a plugin's configuration. The error says what is wrong with it.
pub(super) fn parse(text: &str) -> Result<Map<String, Value>, String> {
    if text.len() > MAX_BYTES {
        return Err(format!("its patch has {} bytes, at most {MAX_BYTES} are allowed", text.len()));
    }
    let patch = match serde_json::from_str(text) {
        Ok(Value::Object(patch)) => patch,
        Ok(other) => return Err(format!("its patch is {other}, and no object")),
        Err(error) => return Err(format!("its patch is not JSON: {error}")),
    };
    // Go's decoder, which native plugins use, does not mind the case.
    let fixed = |key: &&String| {
        FIXED.iter().any(|fixed| fixed.eq_ignore_ascii_case(key))
            || key.to_lowercase().starts_with("cni.dev/")
    };
    match patch.keys().find(fixed) {
        Some(key) => Err(format!("its patch changes {key:?}, which no policy can")),
        None => Ok(patch),
    }
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
        parse(r#"{"mtu":1400,"runtimeConfig":{"bandwidth":{"ingressRate":1}},"ipam":{"type":"x"}}"#).unwrap();
        for (text, word) in [
            (r#"{"type":"portmap"}"#, "type"),
            (r#"{"Policies":[]}"#, "Policies"),
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

//! Secrets of a configuration: strings that never reach a log, an error or a span.
//!
//! What a secret is, its key tells: `password`, `token`, `clientKey`, ... The values are learned when the request is
//! read, and whatever is written afterwards is cleaned of them, whoever says it: a guest may repeat any of its
//! configuration in a message.

mod names;

use std::borrow::Cow;
use std::sync::Mutex;

use serde_json::{Map, Value};

use crate::journal::{Effect, Record};
use names::is_kind;
pub use names::is_secret;

/// What stands in the place of a secret.
pub const REDACTED: &str = "[redacted]";

/// Shorter strings occur anywhere.
const SHORTEST: usize = 4;
/// So do these, which say how a secret is used, or that there is none.
const ORDINARY: &[&str] = &["auto", "basic", "default", "false", "none", "null", "true"];

static LEARNED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Remembers the secrets of a configuration.
pub fn learn(conf: &Map<String, Value>) {
    let mut found = Vec::new();
    for (key, value) in conf {
        collect(value, is_secret(key), &mut found);
    }
    remember(found);
}

/// Remembers the secrets that a record has: those of arguments, of native plugins' configurations, and of what policies
/// changed.
pub fn learn_record(record: &Record) {
    for transaction in &record.transactions {
        learn_args(&transaction.begin.args);
        let native = transaction.steps.iter().filter_map(|step| match &step.effect {
            Effect::Native { config, .. } => Some(config),
            Effect::Kernel { .. } | Effect::Lease { .. } => None,
        });
        for text in native.chain(transaction.changes.iter().map(|change| &change.patch)) {
            if let Ok(Value::Object(conf)) = serde_json::from_str(text) {
                learn(&conf);
            }
        }
    }
}

/// Remembers the secrets of CNI_ARGS, also of what is no pair because its value has a `=`.
pub(crate) fn learn_args(text: &str) {
    let pairs = text.split(';').filter_map(|piece| piece.split_once('='));
    let secret = pairs.filter(|(key, _)| is_secret(key)).map(|(_, value)| value.to_owned());
    remember(secret.collect());
}

/// Remembers strings that are known to be secrets for another reason than their keys.
pub fn learn_values(values: impl IntoIterator<Item = String>) {
    remember(values.into_iter().collect());
}

fn remember(mut found: Vec<String>) {
    found.retain(|text| text.len() >= SHORTEST && !ORDINARY.contains(&text.as_str()));
    if found.is_empty() {
        return;
    }
    let mut learned = LEARNED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for text in found {
        if !learned.contains(&text) {
            learned.push(text);
        }
    }
    // One may be a part of another.
    learned.sort_by_key(|text| std::cmp::Reverse(text.len()));
}

/// The text without the secrets that were learned, also where they are escaped as in JSON or in a quoted value.
pub fn redact(text: &str) -> Cow<'_, str> {
    let learned = LEARNED.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let mut clean = Cow::Borrowed(text);
    for secret in learned.iter() {
        let quoted = format!("{secret:?}");
        let quoted = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
        for form in [secret.as_str(), &secret.escape_debug().to_string(), quoted] {
            if !form.is_empty() && clean.contains(form) {
                clean = Cow::Owned(clean.replace(form, REDACTED));
            }
        }
    }
    clean
}

/// Replaces every secret in a JSON value; for what is shown to others as a whole. Also in strings that are JSON themselves:
/// a journal keeps configurations as text.
pub fn scrub(value: &mut Value) {
    scrub_inner(value, false);
}

/// As [`scrub`], and takes the secrets that were learned out of every string.
pub fn clean(value: &mut Value) {
    scrub(value);
    redact_strings(value);
}

fn redact_strings(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Cow::Owned(clean) = redact(text) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(redact_strings),
        Value::Object(members) => members.values_mut().for_each(redact_strings),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn scrub_inner(value: &mut Value, secret: bool) {
    match value {
        Value::String(text) if secret => REDACTED.clone_into(text),
        Value::String(text) if text.trim_start().starts_with('{') => {
            if let Ok(mut object @ Value::Object(_)) = serde_json::from_str::<Value>(text) {
                scrub_inner(&mut object, false);
                *text = object.to_string();
            }
        }
        Value::String(text) => {
            if let Some(password) = password(text).map(str::to_owned) {
                *text = text.replace(&password, REDACTED);
            }
        }
        Value::Number(_) if secret => *value = Value::from(REDACTED),
        Value::Array(items) => items.iter_mut().for_each(|item| scrub_inner(item, secret)),
        Value::Object(members) => {
            for (key, member) in members {
                scrub_inner(member, is_within(key, secret));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn collect(value: &Value, secret: bool, found: &mut Vec<String>) {
    match value {
        Value::String(text) if secret => found.push(text.clone()),
        Value::String(text) => found.extend(password(text).map(str::to_owned)),
        Value::Number(number) if secret => found.push(number.to_string()),
        Value::Array(items) => items.iter().for_each(|item| collect(item, secret, found)),
        Value::Object(members) => {
            members.iter().for_each(|(key, member)| collect(member, is_within(key, secret), found));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a member is secret, by its name or because it is part of what is.
fn is_within(key: &str, secret: bool) -> bool {
    (secret && !is_kind(key)) || is_secret(key)
}

/// The password in `scheme://user:password@host`.
fn password(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    let (_, password) = user.split_once(':')?;
    (!password.is_empty()).then_some(password)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn conf() -> Value {
        json!({
            "type": "bridge", "name": "pods",
            "policy": {"k8s_auth_token": "eyJ.learned-token"},
            "ipam": {"type": "host-local", "etcd": "https://root:learned-pass@10.0.0.1:2379/x", "credentials": ["learned-one", 12_345_678]},
            "kubernetes": {"client-key-data": "learned\"quoted", "token": "learned's \"two\"", "kubeconfig": "/etc/kubeconfig"},
        })
    }

    #[test]
    fn what_was_learned_is_taken_out_of_any_text() {
        learn(conf().as_object().unwrap());
        learn_args("API_TOKEN=learned-arg;K8S_POD_NAME=pod-1;DB_PASSWORD=learned=twice");
        for secret in [
            "eyJ.learned-token",
            "learned-pass",
            "learned-one",
            "12345678",
            "learned\"quoted",
            "learned's \"two\"",
            "learned-arg",
            "learned=twice",
        ] {
            let text = format!("before {secret} after {secret:?}");
            let clean = redact(&text);
            assert!(!clean.contains("earned") && !clean.contains("12345678"), "{clean}");
            assert!(clean.starts_with("before [redacted] after"), "{clean}");
        }
        for text in ["bridge", "/etc/kubeconfig", "10.0.0.1:2379", "pod-1", "pods"] {
            assert_eq!(redact(text), text);
        }
    }

    #[test]
    fn scrubbing_leaves_everything_but_the_values() {
        let mut value = conf();
        scrub(&mut value);
        assert_eq!(value["policy"]["k8s_auth_token"], REDACTED);
        assert_eq!(value["ipam"]["etcd"], "https://root:[redacted]@10.0.0.1:2379/x");
        assert_eq!(value["ipam"]["credentials"], json!([REDACTED, REDACTED]));
        assert_eq!(
            value["kubernetes"],
            json!({"client-key-data": REDACTED, "token": REDACTED, "kubeconfig": "/etc/kubeconfig"})
        );
        assert_eq!(value["type"], "bridge");
        let mut journal = json!({"patch": conf().to_string(), "text": "{ no JSON"});
        scrub(&mut journal);
        assert_eq!(journal, json!({"patch": value.to_string(), "text": "{ no JSON"}));
    }

    #[test]
    fn a_record_tells_its_secrets() {
        let attachment =
            wharf_ops::Attachment { network: "n".into(), container: "c".into(), ifname: "eth0".into() };
        let key = crate::journal::Key { attachment, entry: "g".into() };
        let mut begin = crate::journal::Begin::of_test(&key);
        begin.args = "IgnoreUnknown=1;MY_TOKEN=recorded-arg".into();
        let mut transaction = crate::journal::Transaction::new(begin);
        transaction.changes.push(crate::journal::ConfigChange {
            policy: "p".into(),
            plugin: "g".into(),
            position: 0,
            patch: json!({"mtu": 1400, "apiToken": "recorded-patch"}).to_string(),
        });
        learn_record(&Record { transactions: vec![transaction], damage: None });
        let mut value = json!({"said": "recorded-arg, recorded-patch", "mtu": 1400});
        clean(&mut value);
        assert_eq!(value, json!({"said": "[redacted], [redacted]", "mtu": 1400}));
    }

    #[test]
    fn what_only_says_of_which_kind_a_secret_is_stays() {
        let auth =
            json!({"type": "kind-of-auth", "value": "learned-value", "psk": {"mode": "none", "of": "none"}});
        let mut value = json!({"auth": auth, "type": "bridge"});
        learn(value.as_object().unwrap());
        assert_eq!(redact("none of kind-of-auth has learned-value"), "none of kind-of-auth has [redacted]");
        scrub(&mut value);
        let auth =
            json!({"type": "kind-of-auth", "value": REDACTED, "psk": {"mode": "none", "of": REDACTED}});
        assert_eq!(value, json!({"auth": auth, "type": "bridge"}));
    }

    #[test]
    fn passwords_of_urls() {
        assert_eq!(password("http://u:p4ss@h"), Some("p4ss"));
        for text in ["http://h/a:b@c", "http://u@h", "u:p@h", "http://u:@h", "10.1.0.0/16"] {
            assert_eq!(password(text), None, "{text}");
        }
    }
}

//! Keys that nobody reads, and values of a shape that nobody can read.

use serde_json::{Map, Value};
use wharf_broker::spelling::nearest;
use wharf_cni::spelling::{POLICIES, alike};

use super::schema::{self, Key, Shape};
use crate::doctor::Findings;
use crate::lists::{List, OWN, Plugin, member};

/// Looks at the list's own object.
pub(super) fn network(file: &str, list: &Map<String, Value>, is_list: bool, findings: &mut Findings) {
    if !is_list {
        return;
    }
    // Runtimes mind the case here, other than in a plugin's object.
    for (key, value) in list {
        match schema::NETWORK.iter().find(|(name, _)| name == key) {
            Some((_, shape)) => values(file, key, value, *shape, findings),
            None => unread(file, key, key, schema::NETWORK.iter(), findings),
        }
    }
}

/// Looks at every plugin's object.
pub(super) fn plugins(file: &str, list: &List, is_list: bool, findings: &mut Findings) {
    for plugin in &list.plugins {
        let place = if is_list { plugin.place.as_str() } else { "" };
        one(file, place, plugin, findings);
    }
}

fn one(file: &str, place: &str, plugin: &Plugin, findings: &mut Findings) {
    let Some(own) = schema::of_plugin(&plugin.kind) else { return };
    if plugin.kind == OWN {
        // Its members are handed on to every plugin of the chain: what any of them knows is known here.
        let all = ["bridge", "portmap", "bandwidth"].map(|kind| schema::of_plugin(kind).unwrap_or_default());
        let [bridge, portmap, bandwidth] = all;
        object(file, place, &plugin.written, &[schema::PLUGIN, own, bridge, portmap, bandwidth], findings);
    } else {
        object(file, place, &plugin.written, &[schema::PLUGIN, own], findings);
    }
    let section = member(&plugin.written, "ipam").and_then(Value::as_object);
    if let (Some(section), Some(keys)) = (section, plugin.ipam().and_then(schema::of_ipam)) {
        object(file, &join(place, "ipam"), section, &[keys], findings);
    }
}

fn object(
    file: &str,
    place: &str,
    object: &Map<String, Value>,
    known: &[&'static [Key]],
    findings: &mut Findings,
) {
    for (key, value) in object {
        let at = join(place, key);
        let all = || known.iter().copied().flatten();
        if let Some((_, shape)) = all().find(|(name, _)| name == key) {
            values(file, &at, value, *shape, findings);
        } else if let Some((name, shape)) = all().find(|(name, _)| alike(name, key)) {
            if let Some(other) = object.keys().find(|other| *other != key && alike(other, key)) {
                twice(file, &at, key, other, findings);
            } else {
                let cure = format!("write {name:?}: other tools that read the list may mind the case");
                findings.note(format!("{file}: {at}"), format!("it is read as {name:?}"), cure);
            }
            values(file, &at, value, *shape, findings);
        } else {
            unread(file, &at, key, all(), findings);
        }
    }
}

/// Two spellings of one name.
fn twice(file: &str, at: &str, key: &str, other: &str, findings: &mut Findings) {
    let place = format!("{file}: {at}");
    let what = format!("{key:?} and {other:?} are one key");
    if alike(key, POLICIES) {
        findings.error(
            place,
            format!("{what}, and no ADD is served that names policies twice"),
            "write one list",
        );
    } else {
        findings.warning(place, format!("{what}, and not everybody reads the same of them"), "remove one");
    }
}

fn unread<'k>(
    file: &str,
    at: &str,
    key: &str,
    known: impl Iterator<Item = &'k Key>,
    findings: &mut Findings,
) {
    if free(key) {
        return;
    }
    let what = format!("nobody reads the key {key:?}");
    let cure = match nearest(key, known.map(|(name, _)| *name)) {
        Some(name) => format!("did you mean {name:?}?"),
        None => "remove it, or begin it with `_` if it is a remark".to_owned(),
    };
    findings.warning(format!("{file}: {at}"), what, cure);
}

/// Keys that are nobody's by convention: remarks, and names with a domain (CNI specification: `cni.dev/...`).
pub(super) fn free(key: &str) -> bool {
    key.starts_with('_') || key.starts_with("//") || key.contains('/') || key == "comment"
}

fn values(file: &str, place: &str, value: &Value, shape: Shape, findings: &mut Findings) {
    // `null` is an absent member.
    if value.is_null() {
        return;
    }
    let good = match shape {
        Shape::Any => true,
        Shape::Bool => value.is_boolean(),
        Shape::Flag => {
            let is = |word: &str| value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(word));
            value.is_boolean() || is("true") || is("false")
        }
        Shape::Text => value.is_string(),
        Shape::Number => value.is_i64() || value.is_u64(),
        Shape::Word(words) => {
            let Some(word) = value.as_str() else { return wrong(file, place, value, "a string", findings) };
            if !word.is_empty() && !words.contains(&word) {
                let cure = format!("write one of {}", words.join(", "));
                findings.error(format!("{file}: {place}"), format!("{word:?} is none of its words"), cure);
            }
            true
        }
        Shape::List(inner) => {
            let Some(items) = value.as_array() else { return wrong(file, place, value, "a list", findings) };
            for (index, item) in items.iter().enumerate() {
                values(file, &format!("{place}[{index}]"), item, *inner, findings);
            }
            true
        }
        Shape::Object(keys) => {
            let Some(members) = value.as_object() else {
                return wrong(file, place, value, "an object", findings);
            };
            object(file, place, members, &[keys], findings);
            true
        }
        Shape::Map(inner) => {
            let Some(members) = value.as_object() else {
                return wrong(file, place, value, "an object", findings);
            };
            for (key, member) in members {
                values(file, &join(place, key), member, *inner, findings);
            }
            true
        }
    };
    if !good {
        wrong(file, place, value, expected(shape), findings);
    }
}

fn wrong(file: &str, place: &str, value: &Value, expected: &str, findings: &mut Findings) {
    let text: String = value.to_string().chars().take(60).collect();
    findings.error(format!("{file}: {place}"), format!("{text} is not {expected}"), "correct it");
}

fn expected(shape: Shape) -> &'static str {
    match shape {
        Shape::Bool | Shape::Flag => "true or false",
        Shape::Number => "a whole number",
        Shape::Text | Shape::Word(_) => "a string",
        Shape::List(_) => "a list",
        Shape::Object(_) | Shape::Map(_) | Shape::Any => "an object",
    }
}

pub(super) fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

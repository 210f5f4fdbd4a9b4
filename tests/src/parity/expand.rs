//! Definitions and variants: `"${name}"` is replaced by what `define`, `each` or this module has for the name.

use serde_json::{Map, Value};

use crate::node::{NODE, OUTSIDE};

/// Every combination of the values that `each` lists, as cases of their own. A file's definitions may use variables of
/// `each`.
pub(super) fn variants(mut case: Map<String, Value>, define: &Map<String, Value>) -> Vec<Value> {
    let each = case.remove("each").unwrap_or_default();
    let mut all: Vec<Map<String, Value>> = vec![Map::new()];
    for (name, values) in each.as_object().into_iter().flatten() {
        let values = values.as_array().unwrap_or_else(|| panic!("each.{name} is no list"));
        all = all
            .iter()
            .flat_map(|variant| values.iter().map(move |value| with(variant, name, value)))
            .collect();
    }
    all.into_iter()
        .map(|variant| {
            let mut case = case.clone();
            if !variant.is_empty() {
                let words: Vec<String> = variant.values().map(shown).collect();
                let name = case.get("name").and_then(Value::as_str).unwrap_or_default();
                let name = format!("{name} [{}]", words.join(", "));
                case.insert("name".to_owned(), name.into());
            }
            let mut known = define.clone();
            known.extend(variant);
            for (name, values) in [("node", NODE), ("outside", OUTSIDE)] {
                for (name, value) in [name.to_owned(), format!("{name}6")].into_iter().zip(values) {
                    known.insert(name, value.into());
                }
            }
            let mut case = Value::Object(case);
            substitute(&mut case, &known);
            case
        })
        .collect()
}

fn with(variant: &Map<String, Value>, name: &str, value: &Value) -> Map<String, Value> {
    let mut variant = variant.clone();
    variant.insert(name.to_owned(), value.clone());
    variant
}

/// As it is shown in a name, and in the middle of a text.
fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A text that is nothing but a variable becomes its value, of whatever type; others get the value's text.
fn substitute(value: &mut Value, known: &Map<String, Value>) {
    match value {
        Value::String(text) => {
            if let Some(replacement) = whole(text, known) {
                *value = replacement;
                // A definition may use others.
                substitute(value, known);
            } else {
                *text = inside(text, known);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| substitute(item, known)),
        Value::Object(members) => members.values_mut().for_each(|member| substitute(member, known)),
        _ => {}
    }
}

fn whole(text: &str, known: &Map<String, Value>) -> Option<Value> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    known.get(name).cloned()
}

fn inside(text: &str, known: &Map<String, Value>) -> String {
    let mut parts = text.split("${");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or_else(|| panic!("{text:?}: a variable has no end"));
        let value = known.get(name).unwrap_or_else(|| panic!("{text:?}: nothing defines {name:?}"));
        out.push_str(&shown(value));
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else { panic!("not an object: {value}") };
        object
    }

    #[test]
    fn each_combination_is_a_case() {
        let case = object(json!({
            "name": "masquerade", "each": {"backend": ["nftables", "iptables"], "mtu": [0, 1400]},
            "plugins": [{"ipam": "${ipam}", "mtu": "${mtu}", "text": "${backend} at ${node6}"}],
        }));
        let define = object(json!({"ipam": {"type": "host-local", "by": "${backend}"}}));
        let cases = variants(case, &define);
        let names: Vec<&str> = cases.iter().filter_map(|case| case["name"].as_str()).collect();
        assert_eq!(
            names,
            [
                "masquerade [nftables, 0]",
                "masquerade [nftables, 1400]",
                "masquerade [iptables, 0]",
                "masquerade [iptables, 1400]",
            ]
        );
        let plugin = &cases[3]["plugins"][0];
        assert_eq!(plugin["mtu"], 1400);
        assert_eq!(plugin["ipam"], json!({"type": "host-local", "by": "iptables"}));
        assert_eq!(plugin["text"], "iptables at 2001:db8:113::1");
    }

    #[test]
    #[should_panic(expected = "nothing defines \"bakend\"")]
    fn an_unknown_variable_is_an_error() {
        variants(object(json!({"name": "x", "plugins": ["a ${bakend}"]})), &Map::new());
    }
}

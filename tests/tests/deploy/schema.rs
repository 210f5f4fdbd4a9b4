//! The part of the Kubernetes API that the manifests use (`api.json`), and what is wrong with an object by it.

use serde_json::Map;
use wharf_tests::Value;

/// The definitions.
pub(super) struct Api(Value);

impl Api {
    pub(super) fn load() -> Self {
        Self(serde_json::from_str(include_str!("api.json")).expect("api.json is JSON"))
    }

    /// What is wrong with a whole object.
    pub(super) fn faults(&self, object: &Value) -> Vec<String> {
        let kind = format!("{} {}", text(object, "apiVersion"), text(object, "kind"));
        match self.0["kinds"].get(&kind).and_then(Value::as_str) {
            Some(definition) => self.against(definition, object, &kind, true),
            None => vec![format!("api.json has no {kind:?}")],
        }
    }

    /// The same of a patch, which leaves out what it does not change.
    pub(super) fn faults_of_patch(&self, patch: &Value) -> Vec<String> {
        let kind = format!("{} {}", text(patch, "apiVersion"), text(patch, "kind"));
        let definition =
            self.0["kinds"][&kind].as_str().unwrap_or_else(|| panic!("api.json has no {kind:?}"));
        self.against(definition, &without_directives(patch), &kind, false)
    }

    fn against(&self, definition: &str, value: &Value, path: &str, whole: bool) -> Vec<String> {
        self.check(&self.0["definitions"][definition], value, path, whole)
    }

    fn check(&self, schema: &Value, value: &Value, path: &str, whole: bool) -> Vec<String> {
        let schema_object = schema.as_object().unwrap_or_else(|| panic!("{path}: no such definition"));
        let mut faults = Vec::new();
        for (word, rule) in schema_object {
            match word.as_str() {
                "$ref" => faults.extend(self.against(rule.as_str().expect("a name"), value, path, whole)),
                "type" if !types(rule).any(|kind| is(kind, value)) => {
                    faults.push(format!("{path}: {value} is not of type {rule}"));
                }
                "enum" if !rule.as_array().is_some_and(|all| all.contains(value)) => {
                    faults.push(format!("{path}: {value} is none of {rule}"));
                }
                "oneOf" => {
                    let all = rule.as_array().map_or(&[][..], Vec::as_slice);
                    if !all.iter().any(|one| self.check(one, value, path, whole).is_empty()) {
                        faults.push(format!("{path}: {value} is none of {rule}"));
                    }
                }
                "required" if whole => {
                    let missing = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
                    let missing = missing.filter(|key| value.is_object() && value.get(key).is_none());
                    faults.extend(missing.map(|key| format!("{path}: {key} is missing")));
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        faults.extend(self.check(rule, item, &format!("{path}[{index}]"), whole));
                    }
                }
                "type" | "enum" | "required" | "format" | "properties" | "additionalProperties" => {}
                other => panic!("{path}: the schema says {other:?}, which this does not know"),
            }
        }
        faults.extend(self.members(schema_object, value, path, whole));
        faults
    }

    fn members(&self, schema: &Map<String, Value>, value: &Value, path: &str, whole: bool) -> Vec<String> {
        let mut faults = Vec::new();
        for (key, member) in value.as_object().into_iter().flatten() {
            let path = format!("{path}.{key}");
            match (schema.get("properties").and_then(|all| all.get(key)), schema.get("additionalProperties"))
            {
                (Some(rule), _) | (None, Some(rule @ Value::Object(_))) => {
                    faults.extend(self.check(rule, member, &path, whole));
                }
                (None, Some(Value::Bool(false))) => faults.push(format!("{path}: there is no such field")),
                _ => {}
            }
        }
        faults
    }
}

fn text<'a>(object: &'a Value, key: &str) -> &'a str {
    object[key].as_str().unwrap_or_default()
}

/// One type, or several.
fn types(rule: &Value) -> impl Iterator<Item = &str> {
    rule.as_str().into_iter().chain(rule.as_array().into_iter().flatten().filter_map(Value::as_str))
}

fn is(kind: &str, value: &Value) -> bool {
    match kind {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "null" => value.is_null(),
        other => panic!("unknown type {other}"),
    }
}

/// A strategic merge patch without what says how to merge.
fn without_directives(patch: &Value) -> Value {
    match patch {
        Value::Object(members) => {
            let kept = members.iter().filter(|(key, _)| !key.starts_with('$'));
            Value::Object(kept.map(|(key, value)| (key.clone(), without_directives(value))).collect())
        }
        Value::Array(items) => items.iter().map(without_directives).collect(),
        other => other.clone(),
    }
}

#[test]
fn what_is_wrong_is_found() {
    let api = Api::load();
    let good = wharf_tests::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "n", "labels": {"a": "b"}}, "data": {"k": "v"}});
    assert_eq!(api.faults(&good), [""; 0]);
    for (pointer, value, words) in [
        ("/data/k", wharf_tests::json!(7), "v1 ConfigMap.data.k: 7 is not of type"),
        ("/metadata", wharf_tests::json!({"nmae": "n"}), "metadata.nmae: there is no such field"),
        ("/kind", wharf_tests::json!("Configmap"), "has no"),
    ] {
        let mut bad = good.clone();
        *bad.pointer_mut(pointer).unwrap() = value;
        let faults = api.faults(&bad).join("\n");
        assert!(faults.contains(words), "{faults}");
    }
    let binding = wharf_tests::json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "n"}});
    assert_eq!(api.faults(&binding).len(), 1, "roleRef is missing");
    assert_eq!(api.faults_of_patch(&binding), [""; 0]);
}

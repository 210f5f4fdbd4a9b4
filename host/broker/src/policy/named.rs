//! Which policies hold: the node's in their order, then those that the network's configuration adds. Nothing removes one.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wharf_cni::CniError;
use wharf_cni::error::code;
use wharf_cni::spelling::{self, POLICIES as MEMBER};

use super::error;
use crate::failure::{self, Fault};
use crate::guests::check_name;

/// What `/etc/cni/wharf.toml` says of policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NodePolicies {
    names: Vec<String>,
    /// `[policy.NAME]`.
    tables: BTreeMap<String, Value>,
    fault: Option<String>,
}

impl NodePolicies {
    /// These, with the tables that are theirs.
    pub fn new(names: Vec<String>, tables: BTreeMap<String, Value>) -> Result<Self, String> {
        match names.iter().find_map(|name| check_name(name).err()) {
            Some(error) => Err(format!("{MEMBER}: {error}")),
            None => Ok(Self { names, tables, fault: None }),
        }
    }

    /// The file cannot be read: there may be policies in it.
    pub fn unknown(fault: String) -> Self {
        Self { fault: Some(fault), ..Self::default() }
    }

    /// Those that hold on every network of the node, in their order.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The names that have a table `[policy.NAME]`.
    pub fn with_settings(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// Why nobody knows them, if so.
    pub fn fault(&self) -> Option<&str> {
        self.fault.as_deref()
    }

    /// All that hold for a configuration and the plugins of its chain, in their order, each once.
    pub(crate) fn named(&self, conf: &Map<String, Value>) -> Result<Vec<String>, CniError> {
        if let Some(fault) = &self.fault {
            return Err(error::unknown(fault));
        }
        let mut all = Vec::new();
        let mut add = |name: &str| {
            if !all.iter().any(|known| known == name) {
                all.push(name.to_owned());
            }
        };
        self.names.iter().for_each(|name| add(name));
        let chain = conf.get("chain").and_then(Value::as_array);
        let plugins = chain.into_iter().flatten().filter_map(Value::as_object);
        for conf in std::iter::once(conf).chain(plugins) {
            for name in members(conf)? {
                add(name);
            }
        }
        Ok(all)
    }

    /// A policy may repeat its settings in what it says.
    pub(crate) fn learn_secrets(&self) {
        self.tables.values().filter_map(Value::as_object).for_each(crate::secrets::learn);
    }

    /// What a policy is told of its table, as JSON.
    pub(crate) fn settings(&self, name: &str) -> String {
        self.tables.get(name).map_or_else(|| "{}".to_owned(), Value::to_string)
    }
}

fn members(conf: &Map<String, Value>) -> Result<Vec<&str>, CniError> {
    let wrong = |what: String| {
        let message =
            format!("{MEMBER}: {what}; it is a list of the names of policies, such as [\"host-ports\"]");
        failure::host(code::INVALID_CONFIG, Fault::Runtime, message)
    };
    let mut spellings = conf.iter().filter(|(key, _)| spelling::alike(key, MEMBER));
    let found = spellings.next();
    if let (Some((one, _)), Some((other, _))) = (found, spellings.next()) {
        return Err(wrong(format!("it is there twice, as {one:?} and as {other:?}")));
    }
    match found.map(|(_, value)| value) {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) => items
            .iter()
            .map(|item| {
                let name = item.as_str().ok_or_else(|| wrong(format!("{item} is no name")))?;
                check_name(name).map_err(|error| wrong(error.to_string()))?;
                Ok(name)
            })
            .collect(),
        Some(other) => Err(wrong(format!("{other} is no list"))),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wharf_cni::NetConf;

    use super::*;

    #[test]
    fn a_network_adds_and_never_removes() {
        let node = NodePolicies::new(vec!["a".into(), "b".into()], BTreeMap::new()).unwrap();
        let of = |conf: Value| node.named(conf.as_object().unwrap());
        assert_eq!(of(json!({})).unwrap(), ["a", "b"]);
        assert_eq!(of(json!({"policies": [], "chain": [{"policies": null}]})).unwrap(), ["a", "b"]);
        let both = of(json!({"policies": ["c", "a"], "chain": [{}, {"policies": ["d", "c"]}]})).unwrap();
        assert_eq!(both, ["a", "b", "c", "d"]);
        for wrong in [json!("c"), json!([7]), json!(["../c"]), json!({"c": true})] {
            let error = of(json!({ "policies": wrong })).unwrap_err();
            assert_eq!(error.code, 7);
            assert!(error.msg.starts_with("policies: "), "{error}");
        }
    }

    #[test]
    fn a_name_in_two_spellings_is_none() {
        let node = NodePolicies::default();
        let text = br#"{"name":"n","type":"wharf","chain":[{"type":"g","Policies":["a"],"policies":[]}]}"#;
        let conf = NetConf::parse(text).unwrap();
        let error = node.named(&conf.raw).unwrap_err();
        assert!(error.code == 7 && error.msg.contains("as \"Policies\" and as \"policies\""), "{error}");
        let conf = NetConf::parse(br#"{"name":"n","type":"g","POLICIES":["a"]}"#).unwrap();
        assert_eq!(node.named(&conf.raw).unwrap(), ["a"]);
    }

    #[test]
    fn what_cannot_be_read_denies_everything() {
        let node = NodePolicies::unknown("/etc/cni/wharf.toml: no".into());
        let error = node.named(&Map::new()).unwrap_err();
        assert_eq!(error.code, 901);
        assert!(error.msg.contains("/etc/cni/wharf.toml: no"), "{error}");
    }
}

//! `usePodCidr` and `usePodCidrIPv6` as a subnet of host-local, as Calico's configuration writes it: they stand for the
//! node's pod CIDRs.
//!
//! Calico's plugin asks the Kubernetes API for them at every ADD. A node's pod CIDRs never change once they are assigned:
//! here `wharfctl pod-cidr` asks once and writes them to a file, and an ADD reads that. A configuration that does not
//! use the words costs a look at its `ipam`.

use std::fs::File;
use std::io;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::Paths;
use crate::guests::{StoreError, own, write_atomically};

/// The IPv4 one.
const V4: &str = "usePodCidr";
/// The IPv6 one.
const V6: &str = "usePodCidrIPv6";

/// What is known of the node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PodCidrs {
    /// The node's name.
    pub node: String,
    /// `.spec.podCIDRs` of the node.
    pub pod_cidrs: Vec<IpNetwork>,
}

/// Why a word cannot be replaced.
#[derive(Debug, thiserror::Error)]
pub enum PodCidrError {
    /// Nobody has asked for them yet.
    #[error(
        "{key}: {word} stands for the node's pod CIDR, which is not known here ({path} is missing): run `wharfctl \
         pod-cidr --kubeconfig FILE --node NAME`"
    )]
    Unknown {
        /// Where the word stands.
        key: String,
        /// The word.
        word: String,
        /// Where the file was looked for.
        path: String,
    },
    /// The node has none of that family.
    #[error("{key}: {word}: node {node} has no pod CIDR of that family ({path}); it has {has}")]
    Family {
        /// Where the word stands.
        key: String,
        /// The word.
        word: String,
        /// The node's name.
        node: String,
        /// The file.
        path: String,
        /// What it has.
        has: String,
    },
    /// The file is not what it should be.
    #[error("{path}: {reason}; `wharfctl pod-cidr` writes it again")]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
}

impl PodCidrs {
    /// Reads the file, if it is there.
    pub fn read(paths: &Paths) -> Result<Option<Self>, PodCidrError> {
        let file = paths.pod_cidrs();
        let path = file.display().to_string();
        let damaged = |reason: String| PodCidrError::Damaged { path: path.clone(), reason };
        let handle = match File::open(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| damaged(error.to_string()))?,
        };
        own(&handle).map_err(damaged)?;
        let text = io::read_to_string(handle).map_err(|error| damaged(error.to_string()))?;
        serde_json::from_str(&text).map(Some).map_err(|error| damaged(error.to_string()))
    }

    /// Writes the file.
    pub fn write(&self, paths: &Paths) -> Result<(), StoreError> {
        let file = paths.pod_cidrs();
        let damaged =
            |reason: &str| StoreError::Damaged { path: file.display().to_string(), reason: reason.into() };
        let directory = file.parent().ok_or_else(|| damaged("it is in no folder"))?;
        let text = serde_json::to_string_pretty(self).map_err(|error| damaged(&error.to_string()))? + "\n";
        write_atomically(directory, "pod-cidrs.json", text.as_bytes())
    }

    /// Puts the CIDRs into the place of the words, in the `ipam` section of a plugin's configuration. Answers how many
    /// there were. `path` is for messages.
    pub fn replace_in(&self, raw: &mut Map<String, Value>, path: &str) -> Result<usize, PodCidrError> {
        let mut replaced = 0;
        each(raw, &mut |key, subnet| {
            let v6 = subnet.as_str().is_some_and(|text| text.eq_ignore_ascii_case(V6));
            let Some(cidr) = self.pod_cidrs.iter().find(|cidr| cidr.is_ipv6() == v6) else {
                let has: Vec<String> = self.pod_cidrs.iter().map(ToString::to_string).collect();
                let has = if has.is_empty() { "none".to_owned() } else { has.join(", ") };
                let (word, node) = (word(subnet), self.node.clone());
                return Err(PodCidrError::Family { key, word, node, path: path.to_owned(), has });
            };
            *subnet = Value::from(cidr.to_string());
            replaced += 1;
            Ok(())
        })?;
        Ok(replaced)
    }
}

/// Puts the node's pod CIDRs into the place of the words, if the configuration uses them.
pub fn resolve(paths: &Paths, raw: &mut Map<String, Value>) -> Result<(), PodCidrError> {
    let mut first = None;
    each(raw, &mut |key, subnet| {
        first.get_or_insert((key, word(subnet)));
        Ok(())
    })?;
    let Some((key, word)) = first else { return Ok(()) };
    let path = paths.pod_cidrs().display().to_string();
    match PodCidrs::read(paths)? {
        Some(known) => known.replace_in(raw, &path).map(drop),
        None => Err(PodCidrError::Unknown { key, word, path }),
    }
}

/// How often a plugin's configuration uses the words.
pub fn words(raw: &mut Map<String, Value>) -> usize {
    let mut count = 0;
    // Counting does not fail.
    let _ = each(raw, &mut |_, _| {
        count += 1;
        Ok(())
    });
    count
}

fn word(subnet: &Value) -> String {
    subnet.as_str().unwrap_or_default().to_owned()
}

/// Calls `f` for each subnet that is one of the words: `ipam.subnet`, and those of `ipam.ranges`.
fn each(
    raw: &mut Map<String, Value>,
    f: &mut dyn FnMut(String, &mut Value) -> Result<(), PodCidrError>,
) -> Result<(), PodCidrError> {
    let Some(ipam) = raw.get_mut("ipam").and_then(Value::as_object_mut) else { return Ok(()) };
    if ipam.get("type").and_then(Value::as_str) != Some("host-local") {
        return Ok(());
    }
    let is_word = |subnet: &Value| {
        subnet.as_str().is_some_and(|text| text.eq_ignore_ascii_case(V4) || text.eq_ignore_ascii_case(V6))
    };
    if let Some(subnet) = ipam.get_mut("subnet").filter(|subnet| is_word(subnet)) {
        f("ipam.subnet".to_owned(), subnet)?;
    }
    let sets = ipam.get_mut("ranges").and_then(Value::as_array_mut).into_iter().flatten();
    for (number, set) in sets.enumerate() {
        for (index, range) in set.as_array_mut().into_iter().flatten().enumerate() {
            if let Some(subnet) = range.get_mut("subnet").filter(|subnet| is_word(subnet)) {
                f(format!("ipam.ranges[{number}][{index}].subnet"), subnet)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn known(cidrs: &[&str]) -> PodCidrs {
        PodCidrs { node: "n1".into(), pod_cidrs: cidrs.iter().map(|cidr| cidr.parse().unwrap()).collect() }
    }

    fn raw(ipam: &Value) -> Map<String, Value> {
        json!({"type": "bridge", "ipam": ipam}).as_object().unwrap().clone()
    }

    #[test]
    fn the_words_are_replaced_wherever_calico_takes_them() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        known(&["10.244.3.0/24", "fd00:3::/64"]).write(&paths).unwrap();
        let mut conf = raw(&json!({"type": "host-local", "subnet": "usePodCIDR"}));
        resolve(&paths, &mut conf).unwrap();
        assert_eq!(conf["ipam"]["subnet"], "10.244.3.0/24");
        let ranges =
            json!([[{"subnet": "usePodCidr"}], [{"subnet": "usePodCidrIPv6"}], [{"subnet": "10.9.0.0/24"}]]);
        let mut conf = raw(&json!({"type": "host-local", "ranges": ranges}));
        resolve(&paths, &mut conf).unwrap();
        let replaced =
            json!([[{"subnet": "10.244.3.0/24"}], [{"subnet": "fd00:3::/64"}], [{"subnet": "10.9.0.0/24"}]]);
        assert_eq!(conf["ipam"]["ranges"], replaced);
    }

    #[test]
    fn what_does_not_use_them_needs_no_file() {
        let paths = Paths::below("/nonexistent");
        for ipam in [
            json!({"type": "host-local", "subnet": "10.1.0.0/16"}),
            json!({"type": "calico-ipam", "subnet": "usePodCidr"}),
            json!({}),
            json!({"type": "host-local", "ranges": 7, "subnet": 7}),
        ] {
            let mut conf = raw(&ipam);
            resolve(&paths, &mut conf).unwrap();
            assert_eq!(conf["ipam"], ipam);
        }
        resolve(&paths, &mut Map::new()).unwrap();
    }

    #[test]
    fn each_error_says_what_where_and_what_to_do() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let mut conf = raw(&json!({"type": "host-local", "ranges": [[{"subnet": "usePodCidrIPv6"}]]}));
        let unknown = resolve(&paths, &mut conf).unwrap_err().to_string();
        for word in ["ipam.ranges[0][0].subnet", "usePodCidrIPv6", "pod-cidrs.json", "wharfctl pod-cidr"] {
            assert!(unknown.contains(word), "{unknown}");
        }
        known(&["10.244.3.0/24"]).write(&paths).unwrap();
        let family = resolve(&paths, &mut conf).unwrap_err().to_string();
        assert!(family.contains("n1") && family.contains("10.244.3.0/24"), "{family}");
        std::fs::write(paths.pod_cidrs(), "{").unwrap();
        let damaged = resolve(&paths, &mut conf).unwrap_err().to_string();
        assert!(damaged.contains("pod-cidrs.json") && damaged.contains("wharfctl pod-cidr"), "{damaged}");
    }
}

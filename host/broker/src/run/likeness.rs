//! Whether a journal under another name of the network is of the attachment that a DEL is about.
//!
//! A network may get another name while its containers run. It may as well be another network that has the same container
//! and interface by now, and a DEL that comes late must not take that away. What tells is the result of the ADD, which a
//! runtime keeps by the network's name and so may not have any more; whether the runtime still has a list of the recorded
//! network; and where no lists are known, the configuration, which is the same but for the name.

use std::fmt::Write as _;

use serde_json::{Map, Value};
use wharf_cni::NetworkResult;
use wharf_ops::{Mac, call};

use crate::journal::Record;
use crate::{Paths, convert, folder};

/// What a runtime adds for each call, or what the name is.
const NOT_OF_THE_NETWORK: [&str; 5] = ["name", "cniVersion", "prevResult", "runtimeConfig", "args"];

/// Equal for configurations that differ in the network's name, or in what a runtime adds.
pub(super) fn config_digest(raw: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (key, value) in raw {
        if !NOT_OF_THE_NETWORK.contains(&key.as_str()) && !key.starts_with("cni.dev/") {
            // Writing to a String does not fail.
            let _ = write!(text, "{key:?}:{value},");
        }
    }
    blake3::hash(text.as_bytes()).to_hex().chars().take(32).collect()
}

/// Whether the record is of the attachment that this configuration and this result are of.
pub(super) fn is_of(paths: &Paths, record: &Record, config: &str, previous: Option<&NetworkResult>) -> bool {
    let Some(last) = record.transactions.last() else { return false };
    let recorded = last.commit.as_ref().map(|commit| &commit.result);
    if let Some(known) = recorded.zip(previous).and_then(|(recorded, result)| same_macs(recorded, result)) {
        return known;
    }
    match is_listed(paths, &last.begin.attachment.network) {
        Some(listed) => !listed,
        None => last.begin.config == config,
    }
}

/// Whether a hardware address inside the container is in both; none if one of them has none.
fn same_macs(recorded: &call::NetworkResult, previous: &NetworkResult) -> Option<bool> {
    fn macs(result: &call::NetworkResult) -> Vec<Mac> {
        let inside = result.interfaces.iter().filter(|interface| interface.sandbox.is_some());
        inside.filter_map(|interface| interface.mac).collect()
    }
    let (recorded, previous) = (macs(recorded), macs(&convert::to_guest(previous)));
    let both = !recorded.is_empty() && !previous.is_empty();
    both.then(|| recorded.iter().any(|mac| previous.contains(mac)))
}

/// Whether a list of the runtime's has the network: then it did not get another name. None where no list can be read.
fn is_listed(paths: &Paths, network: &str) -> Option<bool> {
    let lists = folder::files(&paths.inside(folder::CONF_DIR), &folder::LISTS).ok()?;
    let names = lists.into_iter().filter_map(|path| {
        let list: Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        Some(list.get("name")?.as_str()? == network)
    });
    names.reduce(|one, other| one || other)
}

#[cfg(test)]
mod tests {
    use wharf_cni::NetConf;

    use super::*;

    fn digest(text: &str) -> String {
        config_digest(&NetConf::parse(text.as_bytes()).unwrap().raw)
    }

    #[test]
    fn a_name_and_what_a_runtime_adds_make_no_other_configuration() {
        let one = digest(r#"{"cniVersion":"1.0.0","name":"a","type":"t","bridge":"br0"}"#);
        let same = r#"{"cniVersion":"1.1.0","name":"b","type":"t","bridge":"br0","runtimeConfig":{"mac":"x"},
            "prevResult":{"cniVersion":"1.1.0"},"cni.dev/attachments":[],"args":{"cni":{}}}"#;
        assert_eq!(digest(same), one);
        assert_ne!(digest(r#"{"cniVersion":"1.0.0","name":"a","type":"t","bridge":"br1"}"#), one);
        assert_eq!(one.len(), 32);
    }
}

//! Whether a journal under another name of the network is of the attachment that a DEL is about.
//!
//! A network may get another name while its containers run. It may as well be another network that has the same container
//! and interface by now, and a DEL that comes late must not take that away. What tells is the configuration, which is the
//! same but for the name, or the result of the ADD, which the runtime kept.

use serde_json::{Map, Value};
use wharf_cni::NetworkResult;

use crate::convert;
use crate::journal::Record;

/// What a runtime adds for each call, or what the name is.
const NOT_OF_THE_NETWORK: [&str; 5] = ["name", "cniVersion", "prevResult", "runtimeConfig", "args"];

/// Equal for configurations that differ in the network's name, or in what a runtime adds.
pub(super) fn config_digest(raw: &Map<String, Value>) -> String {
    let mut hasher = blake3::Hasher::new();
    for (key, value) in raw {
        if !NOT_OF_THE_NETWORK.contains(&key.as_str()) && !key.starts_with("cni.dev/") {
            hasher.update(format!("{key:?}:{value},").as_bytes());
        }
    }
    hasher.finalize().to_hex().chars().take(32).collect()
}

/// Whether the record is of an attachment with this configuration, or with this result.
pub(super) fn is_of(record: &Record, config: &str, previous: Option<&NetworkResult>) -> bool {
    let last = record.transactions.last();
    if last.is_some_and(|last| last.begin.config == config) {
        return true;
    }
    let (Some(commit), Some(previous)) = (last.and_then(|last| last.commit.as_ref()), previous) else {
        return false;
    };
    let previous = convert::to_guest(previous);
    let mut addresses = previous.ips.iter().map(|ip| ip.address);
    let mut macs = previous.interfaces.iter().filter(|one| one.sandbox.is_some()).map(|one| one.mac);
    // Addresses are given again; a hardware address that nobody chose is not.
    addresses.any(|address| commit.result.ips.iter().any(|ip| ip.address == address))
        && macs.any(|mac| {
            mac.is_some()
                && commit.result.interfaces.iter().any(|one| one.sandbox.is_some() && one.mac == mac)
        })
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

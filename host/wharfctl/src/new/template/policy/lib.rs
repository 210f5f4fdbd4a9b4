//! {{name}}: no pod gets an address outside of the operator's networks.

use serde::Deserialize;
use wharf_sdk::policy::{Call, Change, Verdict};
use wharf_sdk::{IpNetwork, deny};

/// What the operator says, under `[policy.{{name}}]` in /etc/cni/wharf.toml.
#[derive(Deserialize)]
struct Settings {
    networks: Vec<IpNetwork>,
}

/// The policy.
#[derive(Debug, Default)]
pub struct {{type}};

#[wharf_sdk::policy]
impl {{type}} {
    fn review(&mut self, call: &Call, _guest: &str, change: &Change) -> Verdict {
        let Settings { networks } = call.settings()?;
        match change.pod_addresses().into_iter().find(|pod| !networks.iter().any(|network| network.contains(*pod))) {
            Some(outside) => deny!("{outside} is in none of the pods' networks"),
            None => Ok(()),
        }
    }
}

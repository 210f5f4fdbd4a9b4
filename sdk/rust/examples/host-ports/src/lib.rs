//! A policy: a namespace opens the ports of the host that the operator has given to it, and no others.
//!
//! ```toml
//! policies = ["host-ports"]            # in /etc/cni/wharf.toml
//! [policy.host-ports.namespaces]
//! ingress = [[80, 80], [443, 443]]     # from, to
//! games = [[30000, 30999]]
//! ```

use std::collections::BTreeMap;

use wharf_sdk::policy::{Call, Change, Policy, Verdict};

#[derive(serde::Deserialize)]
struct Settings {
    namespaces: BTreeMap<String, Vec<(u16, u16)>>,
}

/// The policy.
#[derive(Default)]
pub struct HostPorts;

impl Policy for HostPorts {
    fn review(&mut self, call: &Call, _guest: &str, change: &Change) -> Verdict {
        let settings: Settings = call.settings()?;
        let namespace = call.namespace().unwrap_or_default();
        let own = settings.namespaces.get(namespace).map_or(&[][..], Vec::as_slice);
        match change.host_ports().find(|port| !own.iter().any(|(a, b)| (*a..=*b).contains(&port.host_port))) {
            Some(port) => {
                wharf_sdk::deny!("port {} of the host is not the namespace {namespace:?}'s", port.host_port)
            }
            None => Ok(()),
        }
    }
}

wharf_sdk::export_policy!(HostPorts);

//! A policy: a namespace opens the ports of the host that the operator has given to it, and no others.
//!
//! ```toml
//! policies = ["host-ports"]            # in /etc/cni/wharf.toml
//!
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
#[derive(Debug, Default)]
pub struct HostPorts;

impl Policy for HostPorts {
    fn review(&mut self, call: &Call, _guest: &str, change: &Change) -> Verdict {
        for port in change.host_ports().map(|port| port.host_port) {
            let namespace = call.namespace().unwrap_or_default();
            let ranges = call.settings::<Settings>()?.namespaces.remove(namespace).unwrap_or_default();
            if !ranges.iter().any(|(first, last)| (*first..=*last).contains(&port)) {
                return wharf_sdk::deny!("port {port} of the host is not the namespace {namespace:?}'s");
            }
        }
        Ok(())
    }
}

wharf_sdk::export_policy!(HostPorts);

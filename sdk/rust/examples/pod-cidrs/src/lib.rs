//! A policy: no pod has an address outside of these networks, whoever manages the addresses.
//!
//! ```toml
//! policies = ["pod-cidrs"]             # in /etc/cni/wharf.toml
//!
//! [policy.pod-cidrs]
//! cidrs = ["10.22.0.0/16", "fd00:22::/48"]
//! ```

use std::net::IpAddr;

use wharf_sdk::policy::{Call, Change, Policy, Verdict};
use wharf_sdk::{IpNetwork, NetworkResult, deny};

#[derive(serde::Deserialize)]
struct Settings {
    cidrs: Vec<IpNetwork>,
}

/// The policy.
#[derive(Debug, Default)]
pub struct PodCidrs;

fn inside(call: &Call, addresses: impl IntoIterator<Item = IpAddr>) -> Verdict {
    let Settings { cidrs } = call.settings()?;
    match addresses.into_iter().find(|address| !cidrs.iter().any(|cidr| cidr.contains(*address))) {
        Some(address) => deny!("{address} is in none of the pods' networks"),
        None => Ok(()),
    }
}

impl Policy for PodCidrs {
    fn review(&mut self, call: &Call, _guest: &str, change: &Change) -> Verdict {
        inside(call, change.pod_addresses())
    }

    fn review_result(&mut self, call: &Call, result: &NetworkResult) -> Verdict {
        inside(call, result.ips.iter().map(|ip| ip.address.ip()))
    }
}

wharf_sdk::export_policy!(PodCidrs);

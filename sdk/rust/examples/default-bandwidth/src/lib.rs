//! A mutating policy: a pod without a limit on its bandwidth gets that of its label `tier`, in both directions.
//!
//! ```toml
//! policies = ["default-bandwidth"]     # in /etc/cni/wharf.toml
//!
//! [policy.default-bandwidth.tiers]     # bits per second
//! free = 10_000_000
//! paid = 1_000_000_000
//! ```

use std::collections::BTreeMap;

use serde_json::{Value, json};
use wharf_sdk::policy::{Admission, Call, Denial};
use wharf_sdk::{Config, deny};

#[derive(serde::Deserialize)]
struct Settings {
    tiers: BTreeMap<String, u64>,
}

/// The policy.
#[derive(Debug)]
pub struct DefaultBandwidth;

impl Admission for DefaultBandwidth {
    fn admit(call: &Call, plugin: &str, config: &Config) -> Result<Option<Value>, Denial> {
        let (Some(tier), "bandwidth") = (call.label("tier"), plugin) else { return Ok(None) };
        if config.parse::<Value>()?.pointer("/runtimeConfig/bandwidth").is_some() {
            return Ok(None);
        }
        let Some(rate) = call.settings::<Settings>()?.tiers.remove(tier) else {
            return deny!("no bandwidth is set for the tier {tier:?}");
        };
        Ok(Some(json!({"ingressRate": rate, "ingressBurst": rate, "egressRate": rate, "egressBurst": rate})))
    }
}

wharf_sdk::export_admission!(DefaultBandwidth);

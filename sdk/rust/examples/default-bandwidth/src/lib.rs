//! A mutating policy: a pod without a limit on its bandwidth gets that of its label `tier`, in both directions. A limit that
//! is there stays, whether the list sets it or the runtime tells it, and even if it is of one direction.
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

/// Whether a rate is set. Plugins read keys in any case, and not every runtime writes `ingressRate`.
fn is_limited(config: &Value) -> bool {
    config.as_object().into_iter().flatten().any(|(key, value)| match key.to_lowercase().as_str() {
        "ingressrate" | "egressrate" => !value.is_null() && *value != 0,
        "runtimeconfig" | "bandwidth" => is_limited(value),
        _ => false,
    })
}

/// The policy.
#[derive(Debug)]
pub struct DefaultBandwidth;

impl Admission for DefaultBandwidth {
    fn admit(call: &Call, plugin: &str, config: &Config) -> Result<Option<Value>, Denial> {
        let limited = is_limited(&config.parse()?);
        let (Some(tier), "bandwidth", false) = (call.label("tier"), plugin, limited) else { return Ok(None) };
        let Some(rate) = call.settings::<Settings>()?.tiers.remove(tier) else {
            return deny!("no bandwidth is set for the tier {tier:?}");
        };
        Ok(Some(json!({"ingressRate": rate, "ingressBurst": rate, "egressRate": rate, "egressBurst": rate})))
    }
}

wharf_sdk::export_admission!(DefaultBandwidth);

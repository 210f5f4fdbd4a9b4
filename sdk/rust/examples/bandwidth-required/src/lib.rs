//! A policy: a pod has a limit on its bandwidth, or no network.
//!
//! In a chain (`"type": "wharf"`) the limit must be there at its end. Where the runtime runs each plugin by itself, it must
//! be there when `bandwidth` is done: that the list has `bandwidth` at all is then for whoever writes it.

use wharf_sdk::policy::{Call, Change, Policy, Verdict};
use wharf_sdk::{NetworkResult, deny};

/// The policy, and whether it has seen a limit.
#[derive(Debug, Default)]
pub struct BandwidthRequired(bool);

impl Policy for BandwidthRequired {
    fn review(&mut self, _call: &Call, _guest: &str, change: &Change) -> Verdict {
        match change {
            Change::ShapingSetEgress { .. } => self.0 = true,
            Change::ShapingClear { .. } => self.0 = false,
            _ => {}
        }
        Ok(())
    }

    fn review_result(&mut self, call: &Call, _result: &NetworkResult) -> Verdict {
        let last = call.chain || call.plugins.iter().any(|plugin| plugin == "bandwidth");
        if last && !self.0 { deny!("the pod has no limit on its bandwidth") } else { Ok(()) }
    }
}

wharf_sdk::export_policy!(BandwidthRequired);

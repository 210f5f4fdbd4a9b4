//! What a policy adds to an ADD.

use std::path::Path;
use std::process::Command;

use anyhow::Result;
use serde_json::Value;

use super::turns::Turns;
use crate::{say, sh};

/// At least so many reviews are what the target is about.
pub(crate) const REVIEWS: f64 = 40.0;
/// One that looks at every change, and reads its settings each time it sees an address.
const POLICY: &str = "pod-cidrs";
const SETTINGS: &str = "policies = [\"pod-cidrs\"]\n[policy.pod-cidrs]\ncidrs = [\"10.77.0.0/16\"]\n";

/// What one policy costs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cost {
    /// Milliseconds, its start included.
    pub(crate) added: f64,
    /// How often it was asked in one ADD.
    pub(crate) reviews: f64,
}

/// Runs the list with the policy and without.
pub(crate) fn measure(
    turns: &Turns,
    rounds: usize,
    [wharfctl, policies]: [&Path; 2],
    timings: &Path,
) -> Result<Option<Cost>> {
    say::line(format_args!("an ADD with the policy {POLICY} and without, {rounds} rounds"));
    let component = policies.join(format!("{POLICY}.wasm"));
    sh::run(Command::new(wharfctl).arg("add").arg(component).env("WHARF_ROOT", &turns.root))?;
    let added = turns.added(SETTINGS, rounds)?;
    let reviews = reviews(&turns.traced(SETTINGS, timings)?);
    Ok(added.zip(reviews).map(|(added, reviews)| Cost { added, reviews }))
}

/// How often the policy was asked, by the last line about it.
fn reviews(text: &str) -> Option<f64> {
    let lines = text.lines().rev().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line.get("guest").and_then(Value::as_str) == Some(POLICY))
        .find_map(|line| line.get("ops").and_then(Value::as_f64).filter(|reviews| *reviews > 0.0))
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "whole numbers, exactly represented")]
mod tests {
    use super::*;

    #[test]
    fn reviews_are_read_from_the_last_line_about_the_policy() {
        let text = "{\"guest\":\"pod-cidrs\",\"ops\":20}\ncut\n{\"guest\":\"bridge\",\"ops\":3}\n";
        assert_eq!(reviews(text), Some(20.0));
        assert_eq!(reviews("{\"guest\":\"bridge\",\"ops\":3}"), None);
    }
}

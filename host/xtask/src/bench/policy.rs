//! What a policy adds to an ADD: the same list with one and without, taking turns.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::Value;

use super::contender::{Contender, Side};
use super::field::Field;
use super::scenario::{Backend, full};
use super::stats::median;
use crate::{say, sh};

/// At least so many reviews are what the target is about.
pub(crate) const REVIEWS: f64 = 40.0;
/// So many routes the container gets, so that there is enough to review.
const ROUTES: u8 = 13;
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

/// Runs the chain of the targets with the policy and without.
pub(crate) fn measure(
    contenders: &[Contender],
    field: &Field,
    rounds: usize,
    [wharfctl, policies]: [&Path; 2],
    timings: &Path,
) -> Result<Option<Cost>> {
    let Some(contender) = contenders.iter().find(|contender| contender.side == Side::OneProcess) else {
        return Ok(None);
    };
    let Some(root) = root(contender) else { return Ok(None) };
    say::line(format_args!("an ADD with the policy {POLICY} and without, {rounds} rounds"));
    let component = policies.join(format!("{POLICY}.wasm"));
    sh::run(Command::new(wharfctl).arg("add").arg(component).env("WHARF_ROOT", &root))?;
    let settings = root.join("etc/cni/wharf.toml");
    let scenario = full(Backend::Nftables, 5).with_routes(ROUTES);
    field.namespace()?.enter()?;
    let container = field.namespace()?;
    let mut added = Vec::new();
    for round in 0..=rounds {
        let one = |text: &str| -> Result<f64> {
            fs::write(&settings, text).with_context(|| format!("cannot write {}", settings.display()))?;
            let (attached, sample) = contender.add(&scenario, &container, 0)?;
            contender.delete(&scenario, &attached)?;
            Ok(sample.wall)
        };
        let (without, with) = (one("")?, one(SETTINGS)?);
        // The first round finds nothing in any cache.
        added.extend((round > 0).then_some(with - without));
    }
    let mut runtime = contender.runtime.clone();
    runtime.variables.push(("WHARF_TRACE_TIMINGS".to_owned(), timings.into()));
    let (bin, data_dir) = (contender.bin.clone(), contender.data_dir.clone());
    let traced =
        Contender { side: contender.side, bin, runtime, data_dir, knows_nftables: contender.knows_nftables };
    let (attached, _) = traced.add(&scenario, &container, 0)?;
    traced.delete(&scenario, &attached)?;
    fs::remove_file(&settings).with_context(|| format!("cannot remove {}", settings.display()))?;
    let text = fs::read_to_string(timings).with_context(|| format!("cannot read {}", timings.display()))?;
    Ok(median(&added).zip(reviews(&text)).map(|(added, reviews)| Cost { added, reviews }))
}

fn root(contender: &Contender) -> Option<PathBuf> {
    let variables: &[(String, OsString)] = &contender.runtime.variables;
    variables.iter().find(|(key, _)| key == "WHARF_ROOT").map(|(_, root)| root.into())
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

//! What running a guest costs besides its work, from the lines that wharf writes when `WHARF_TRACE_TIMINGS` names a file.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::contender::{Contender, Side};
use super::field::Field;
use super::scenario::Scenario;
use super::stats::{median, round};
use crate::say;

/// What each line tells, in microseconds but for `ops`.
const FIELDS: [&str; 8] =
    ["fork_us", "load_us", "confine_us", "instantiate_us", "run_us", "kernel_us", "ops", "total_us"];

/// The medians of one guest.
#[derive(Debug, PartialEq)]
pub(crate) struct Guest {
    pub(crate) name: String,
    calls: usize,
    fields: Vec<(&'static str, f64)>,
    /// What Wasm and the second process cost, in microseconds.
    pub(crate) overhead: Option<f64>,
}

impl Guest {
    /// A field's median, if the guest's lines have it.
    pub(crate) fn get(&self, field: &str) -> Option<f64> {
        self.fields.iter().find(|(name, _)| *name == field).map(|(_, median)| *median)
    }

    /// As it goes into the JSON file.
    pub(crate) fn json(&self) -> Value {
        let mut value =
            json!({"guest": self.name, "calls": self.calls, "overhead_us": self.overhead.map(round)});
        if let Some(object) = value.as_object_mut() {
            object
                .extend(self.fields.iter().map(|(name, median)| ((*name).to_owned(), round(*median).into())));
        }
        value
    }
}

/// What is measured apart from the rounds.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Share {
    pub(crate) guests: Vec<Guest>,
    /// Of an ADD's journal and grants, in microseconds.
    pub(crate) safeguards: Option<f64>,
}

/// Runs the list some more times with the timings on, apart from the measured runs.
pub(crate) fn measure(
    contenders: &[Contender],
    scenario: &Scenario,
    field: &Field,
    rounds: usize,
    file: &Path,
) -> Result<Share> {
    let Some(contender) = contenders.iter().find(|contender| contender.side == Side::OneProcess) else {
        return Ok(Share::default());
    };
    say::line(format_args!("the guests' own share, {rounds} rounds"));
    let traced = contender.with_timings(file);
    let (node, container) = (field.namespace()?, field.namespace()?);
    node.enter()?;
    for _ in 0..rounds {
        let (attached, _) = traced.add(scenario, &container, 0)?;
        traced.delete(scenario, &attached)?;
    }
    field.clear(&[container], &node)?;
    if !file.exists() {
        return Ok(Share::default());
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(Share { guests: guests(&text), safeguards: safeguards(&text) })
}

/// The medians per guest, in the order of their first lines; a line that is no JSON object is passed over.
fn guests(text: &str) -> Vec<Guest> {
    let mut lines: Vec<(String, Vec<Value>)> = Vec::new();
    for line in text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
        let Some(name) = line.get("guest").and_then(Value::as_str).map(str::to_owned) else { continue };
        match lines.iter_mut().find(|(known, _)| *known == name) {
            Some((_, lines)) => lines.push(line),
            None => lines.push((name, vec![line])),
        }
    }
    // The first call of an invocation waits for the process that all its sandboxes are forked from: each bears its share
    // of the waits. What is done while another guest is served costs no time, and stands in the columns only.
    let all: Vec<f64> = lines.iter().flat_map(|(_, lines)| lines.iter().map(wait)).collect();
    let share = if all.is_empty() { 0.0 } else { all.iter().sum::<f64>() / as_f64(all.len()) };
    let overheads = |lines: &[Value]| lines.iter().filter_map(overhead).collect::<Vec<_>>();
    let median_of = |lines: &[Value], field: &str| {
        median(&lines.iter().filter_map(|line| line.get(field)?.as_f64()).collect::<Vec<_>>())
    };
    lines
        .into_iter()
        .map(|(name, lines)| Guest {
            fields: FIELDS.into_iter().filter_map(|field| Some((field, median_of(&lines, field)?))).collect(),
            overhead: median(&overheads(&lines)).map(|own| own + share),
            calls: lines.len(),
            name,
        })
        .collect()
}

/// The median of what the lines say that an ADD spent on them.
fn safeguards(text: &str) -> Option<f64> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let adds = lines.filter(|line| line.get("command").and_then(Value::as_str) == Some("ADD"));
    let sum = |line: Value| {
        ["grants_us", "checks_us", "journal_us"]
            .iter()
            .map(|field| line.get(field)?.as_f64())
            .sum::<Option<f64>>()
    };
    median(&adds.filter_map(sum).collect::<Vec<_>>())
}

/// All but the kernel's work and the wait for a sandbox; a line that does not tell the kernel's work apart counts without the
/// guest's whole run, its calls included. The parts before the run are not added up, for the two processes do some of
/// it side by side.
fn overhead(line: &Value) -> Option<f64> {
    let field = |name: &str| line.get(name).and_then(Value::as_f64);
    Some(field("total_us")? - field("kernel_us").or_else(|| field("run_us"))? - wait(line))
}

fn wait(line: &Value) -> f64 {
    line.get("fork_us").and_then(Value::as_f64).unwrap_or_default()
}

#[allow(clippy::cast_precision_loss, reason = "a number of lines")]
fn as_f64(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
#[allow(clippy::float_cmp, reason = "whole numbers, exactly represented")]
mod tests {
    use super::*;

    #[test]
    fn lines_become_medians_per_guest() {
        let text = r#"
{"guest":"bridge","fork_us":100,"load_us":400,"instantiate_us":300,"run_us":900,"ops":20,"total_us":1700}
{"guest":"portmap","fork_us":90,"load_us":0,"instantiate_us":20,"run_us":1,"ops":1,"total_us":200,"kernel_us":50}
{"command":"ADD","grants_us":50,"checks_us":20,"journal_us":130}
{"command":"DEL","grants_us":1,"checks_us":1,"journal_us":1}
{"guest":"bridge","fork_us":200,"load_us":500,"instantiate_us":300,"run_us":1000,"ops":22,"total_us":2000}
cut sh"#;
        assert_eq!(safeguards(text), Some(200.0));
        let guests = guests(text);
        assert_eq!(guests.len(), 2);
        assert_eq!(
            (guests[0].name.as_str(), guests[0].calls, guests[0].get("ops")),
            ("bridge", 2, Some(21.0))
        );
        assert_eq!(guests[0].get("load_us"), Some(450.0));
        assert_eq!(
            guests[0].overhead,
            Some(880.0),
            "the median of 700 and 800, and a third of 100 + 90 + 200"
        );
        assert_eq!(guests[1].overhead, Some(190.0), "the kernel's work is no overhead");
        assert_eq!(guests[1].json()["overhead_us"], 190.0);
    }
}

//! One scenario, from an empty machine to its last step.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::Value;
use wharf_broker::Paths;
use wharf_cni::Command;

use super::calls::{self, Done, Lists, Results};
use super::format::Scenario;
use super::machine::{self, Spaces};
use super::picture::Picture;
use super::step::{Action, Step};
use super::{expect, grants, probe, sweep};
use crate::simulated::{Node, Story};
use crate::words;

/// What came of a scenario.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// What happened, as the golden has it.
    pub(super) transcript: String,
    /// What was not as expected, a paragraph each.
    pub(super) failures: Vec<String>,
    /// Calls of the plugins, all guests of one included.
    pub(super) calls: u32,
    /// What they took.
    pub(super) time: Duration,
    pub(super) sweep: sweep::Swept,
}

/// Where a scenario is, and what its runtime remembers.
pub(super) struct Stage<'a> {
    pub(super) node: Node,
    pub(super) spaces: &'a Spaces,
    pub(super) lists: &'a Lists<'a>,
    pub(super) results: Results,
}

impl Stage<'_> {
    /// Another one in the same state.
    pub(super) fn copy(&self) -> Result<Self> {
        let node = self.node.copy(&self.node.sim, &self.node.files()?)?;
        Ok(Self { node, results: self.results.clone(), ..*self })
    }

    pub(super) fn picture(&self) -> Result<Picture> {
        Ok(Picture::of(&self.node, self.spaces)?)
    }

    pub(super) fn call(&mut self, step: &Step<'_>) -> Result<Done> {
        calls::make(&self.node, self.lists, step, &mut self.results)
    }
}

/// Runs the scenario of a file with the guests below `guests`.
pub(super) fn run(scenario: &Scenario, file: &Path, guests: &Paths, with_sweep: bool) -> Result<Report> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let lists = Lists::of(&scenario.network, folder)?;
    let steps = scenario.actions()?;
    let (sim, spaces) = machine::build(scenario, lists.name())?;
    let own = grants::with(guests, &scenario.grants)?;
    let node = Node::new(own.as_ref().map_or(guests, |own| own.paths()), sim)?;
    machine::write_files(scenario, node.root())?;
    let mut stage = Stage { node, spaces: &spaces, lists: &lists, results: Results::new() };
    let start = stage.picture()?;
    let mut report = Report { transcript: format!("{}\n\n", scenario.about), ..Report::default() };
    for (number, step) in (1_u16..).zip(&steps) {
        let title = format!("{number}. {}", step.title());
        let before = if with_sweep && is_swept(step) { Some(stage.copy()?) } else { None };
        let outcome =
            perform(&mut stage, step, number, &start, &mut report).with_context(|| title.clone())?;
        let _ = writeln!(report.transcript, "{title}\n{}", indent(&outcome.lines));
        let succeeded = outcome.error.is_none();
        report.failures.extend(outcome.wrong.into_iter().map(|wrong| format!("{title}: {wrong}")));
        if let Some(before) = before.filter(|_| succeeded) {
            let swept = sweep::run(&before, step).with_context(|| format!("{title}: the fault sweep"))?;
            let failures = swept.failures.iter().map(|failure| format!("{title}, {failure}"));
            report.failures.extend(failures);
            report.sweep.add(swept);
        }
    }
    Ok(report)
}

/// Faults are put into what changes something and is meant to succeed.
fn is_swept(step: &Step<'_>) -> bool {
    matches!(step.action, Action::Attachment(Command::Add | Command::Del, _) | Action::Gc(_))
        && step.fault.is_none()
        && step.says.error.is_none()
}

/// What came of a step, in words.
#[derive(Default)]
struct Outcome {
    lines: Vec<String>,
    error: Option<(u64, String)>,
    wrong: Vec<String>,
}

fn perform(
    stage: &mut Stage<'_>,
    step: &Step<'_>,
    number: u16,
    start: &Picture,
    report: &mut Report,
) -> Result<Outcome> {
    match &step.action {
        Action::Probe(asked) => {
            let (lines, wrong) = probe::ask(&stage.node.sim, stage.spaces, asked, number)?;
            return Ok(Outcome { lines, wrong, error: None });
        }
        Action::Change => {
            let (host, containers) = (step.says.host.as_ref(), &step.says.containers);
            let before = stage.picture()?;
            machine::change(&stage.node.sim, stage.spaces, host, containers)?;
            return Ok(Outcome { lines: stage.picture()?.since(&before), ..Outcome::default() });
        }
        Action::Attachment(..) | Action::Gc(_) | Action::Status => {}
    }
    stage.node.story.plan(step.fault.clone());
    let started = Instant::now();
    let done = stage.call(step)?;
    report.time += started.elapsed();
    report.calls += done.calls;
    let mut wrong = Vec::new();
    if step.fault.is_some() && !stage.node.story.plan(None) {
        wrong.push("the operation that was to fail was never asked for".to_owned());
    }
    let changes = changes(&stage.node.story);
    wrong.extend(expect::compare(step.says, &done, &changes));
    let mut lines = Vec::new();
    if let Some((code, message)) = &done.error {
        lines.push(format!("error {code}: {message}"));
    }
    if let Some(result) = &done.result {
        lines.extend(of_result(result).into_iter().map(|line| format!("result: {line}")));
    }
    lines.extend(changes);
    lines.extend(done.went_on.iter().map(|words| format!("went on after: {words}")));
    let takes_away = matches!(step.action, Action::Attachment(Command::Del, _) | Action::Gc(_));
    // While others are there, most of what is left is theirs.
    if takes_away && stage.results.is_empty() {
        let left = stage.picture()?.since(start);
        lines.extend(left.into_iter().map(|line| format!("left: {line}")));
    }
    Ok(Outcome { lines, error: done.error, wrong })
}

/// The changes since the last time, a line each.
fn changes(story: &Story) -> Vec<String> {
    story.take().iter().map(ToString::to_string).collect()
}

/// A result, a line for each thing in it.
fn of_result(result: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for (key, value) in result.as_object().into_iter().flatten() {
        match value {
            Value::Array(items) => {
                lines.extend(items.iter().map(|item| format!("{key} {}", words::word(item))));
            }
            other => lines.push(format!("{key} {}", words::word(other))),
        }
    }
    lines
}

fn indent(lines: &[String]) -> String {
    lines.iter().fold(String::new(), |text, line| text + "   " + line + "\n")
}

/// Reads a scenario.
pub(super) fn read(file: &Path) -> Result<Scenario> {
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    Ok(toml::from_str(&text)?)
}

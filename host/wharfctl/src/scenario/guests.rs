//! Which guests scenarios need, and where they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::calls::Lists;
use super::format::Scenario;
use super::run::Report;
use crate::install;
use crate::simulated::{Cache, Guests};

/// Compiles the guests that these scenarios name, and all that are given by file. One that is nowhere is missing: a
/// scenario may be about that.
pub(super) fn collect<'a>(
    given: &[PathBuf],
    folder: Option<&Path>,
    scenarios: impl Iterator<Item = (&'a Path, &'a Scenario)>,
) -> Result<Guests> {
    let mut files: BTreeMap<String, PathBuf> = BTreeMap::new();
    let folder = folder.map_or_else(install::default_guests, |folder| Ok(folder.to_owned()))?;
    for name in scenarios.flat_map(|(file, scenario)| types(file, scenario)) {
        let file = folder.join(format!("{name}.wasm"));
        if file.is_file() {
            files.insert(name, file);
        }
    }
    for file in given {
        ensure!(file.is_file(), "{} is no file", file.display());
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        files.insert(name, file.clone());
    }
    Guests::of(&files.into_values().collect::<Vec<_>>(), &Cache::of_user())
}

/// Says which components a scenario that failed did without: the calls speak of a node, and here is none to install on.
pub(super) fn not_given(mut report: Report) -> Report {
    let texts = report.failures.iter();
    let missing: BTreeSet<String> =
        texts.flat_map(|text| text.split("the guest \"").skip(1)).filter_map(name).collect();
    report.failures.extend(missing.into_iter().map(|name| {
        format!("no component of {name} was given: say its file after the folder of scenarios, as in `wharfctl test scenarios {name}.wasm`")
    }));
    report
}

/// Of the guest that a text begins with, if it is one that is not installed.
fn name(text: &str) -> Option<String> {
    let (name, rest) = text.split_once('"')?;
    rest.starts_with(" is not installed").then(|| name.to_owned())
}

/// Whatever stands as a `type` in its plugins.
fn types(file: &Path, scenario: &Scenario) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    // What is wrong with a list is told when the scenario is run.
    if let Ok(lists) = Lists::of(&scenario.network, file.parent().unwrap_or(Path::new("."))) {
        lists.plugins().for_each(|plugin| of_value(&Value::Object(plugin.clone()), &mut found));
    }
    for plugin in scenario.steps.iter().flat_map(|step| &step.plugins).flatten() {
        of_value(&Value::Object(plugin.clone()), &mut found);
    }
    found
}

fn of_value(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("type").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| of_value(member, found));
        }
        Value::Array(items) => items.iter().for_each(|item| of_value(item, found)),
        _ => {}
    }
}

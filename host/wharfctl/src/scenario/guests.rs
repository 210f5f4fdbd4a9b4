//! Which guests scenarios need, and where they are.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::calls::Lists;
use super::format::Scenario;
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

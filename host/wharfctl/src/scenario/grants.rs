//! Grants of an author's own, instead of those that `wharfctl install` would write: of all scenarios of a folder, in its
//! folder `grants`, and of one, in itself.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result};
use tempfile::TempDir;
use wharf_broker::{Paths, guests};

/// The folder of grants for all scenarios of a folder.
pub(super) const FOLDER: &str = "grants";

/// Those of a folder of scenarios, by guest.
pub(super) fn shared(scenarios: &Path) -> Result<BTreeMap<String, String>> {
    let mut grants = BTreeMap::new();
    let folder = scenarios.join(FOLDER);
    if !folder.is_dir() {
        return Ok(grants);
    }
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let file = entry?.path();
        if file.extension().is_some_and(|extension| extension == "toml") {
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = fs::read_to_string(&file).with_context(|| file.display().to_string())?;
            grants.insert(name, text);
        }
    }
    Ok(grants)
}

/// A root with the guests of another one and grants of its own.
pub(crate) struct Own {
    paths: Paths,
    /// Goes with it.
    _folder: TempDir,
}

impl Own {
    pub(crate) fn paths(&self) -> &Paths {
        &self.paths
    }
}

/// The guests with these grants in the place of theirs; none if there are none.
pub(crate) fn with(from: &Paths, grants: &BTreeMap<String, String>) -> Result<Option<Own>> {
    if grants.is_empty() {
        return Ok(None);
    }
    let folder = tempfile::tempdir()?;
    let paths = Paths::below(folder.path());
    let store = paths.guests();
    fs::create_dir_all(store.parent().unwrap_or(&store))?;
    symlink(from.guests(), &store)?;
    symlink(from.artefacts(), paths.artefacts())?;
    fs::create_dir_all(paths.grants())?;
    for name in guests::names(from)? {
        let file = format!("{name}.toml");
        let text = match grants.get(&name) {
            // As it was written for a node: for exactly this guest.
            Some(text) if has_digest(text) => text.clone(),
            Some(text) => format!("digest = {:?}\n{text}", guests::read(from, &name)?.digest),
            None => fs::read_to_string(from.grants().join(&file))?,
        };
        fs::write(paths.grants().join(&file), text).with_context(|| format!("grants.{name}"))?;
    }
    Ok(Some(Own { paths, _folder: folder }))
}

fn has_digest(text: &str) -> bool {
    text.parse::<toml::Table>().is_ok_and(|table| table.contains_key("digest"))
}

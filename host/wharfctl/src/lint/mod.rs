//! `wharfctl lint`: what is wrong with a network configuration, before a runtime finds out.

mod keys;
mod schema;
mod spelling;
mod values;
mod versions;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wharf_broker::{Paths, guests};

use crate::doctor::{self, Finding, Findings, Node, Severity};
use crate::lists::{self, List, OWN};
use crate::simulated::{Cache, Guests};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Lists (*.conflist) and single configurations (*.conf, *.json). [default: those of --conf-dir]
    files: Vec<PathBuf>,
    /// The runtime's folder of network configuration lists; below WHARF_ROOT.
    #[arg(long, default_value = lists::CONF_DIR)]
    conf_dir: PathBuf,
    /// Where the runtime looks for CNI plugins; below WHARF_ROOT.
    #[arg(long, default_value = "/opt/cni/bin")]
    bin_dir: PathBuf,
    /// Let the guests (*.wasm) of this folder judge the values instead of those that are installed.
    #[arg(long, value_name = "FOLDER")]
    guests: Option<PathBuf>,
    /// Fail for warnings, too.
    #[arg(long)]
    strict: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let files = if options.files.is_empty() {
        let folder = paths.inside(&options.conf_dir.to_string_lossy());
        let found: Vec<PathBuf> = lists::read(&folder)?.into_iter().map(|file| file.path).collect();
        if found.is_empty() {
            bail!("there is no network configuration in {}; name a file", folder.display());
        }
        found
    } else {
        options.files.clone()
    };
    let node = Node::new(paths, &options.conf_dir, &options.bin_dir)?;
    let given = match &options.guests {
        Some(folder) => {
            let components = crate::install::components(folder)?;
            Some(Guests::of(&components, &Cache::of_user())?)
        }
        None => None,
    };
    let judges = given.as_ref().map_or(paths, Guests::paths);
    let mut all = Vec::new();
    for file in &files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        all.extend(doctor::findings("lint", |findings| one(&node, judges, file, &bytes, findings)));
    }
    let count = |severity| all.iter().filter(|finding: &&Finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let text = if options.json { doctor::as_json(&all)? } else { doctor::as_text(&all) };
    std::io::stdout().write_all(text.as_bytes())?;
    if errors > 0 || options.strict && warnings > 0 {
        bail!("{errors} errors and {warnings} warnings in {} files", files.len());
    }
    Ok(())
}

/// Everything about one file. Its values are judged by the guests of `judges`.
fn one(node: &Node<'_>, judges: &Paths, path: &Path, bytes: &[u8], findings: &mut Findings) {
    let file = path.display().to_string();
    let is_list = path.extension().is_some_and(|extension| extension == "conflist");
    // First what can be said of any JSON: it may be why the rest cannot be read.
    if let Ok(Value::Object(object)) = serde_json::from_slice(bytes) {
        keys::network(&file, &object, is_list, findings);
        versions::check(&file, &object, findings);
        if !is_list && object.contains_key("plugins") {
            let cure = "name the file *.conflist: runtimes load lists from those only";
            findings.error(&file, "it is a list of plugins", cure);
            return;
        }
    }
    let list = match lists::parse(bytes, is_list) {
        Ok(list) => list,
        Err(error) => {
            return findings.error(&file, format!("{error:#}"), "correct it: a runtime refuses the file");
        }
    };
    keys::plugins(&file, &list, is_list, findings);
    doctor::capabilities(&file, &list, findings);
    installed(node, &file, &list, findings);
    order(&file, &list, findings);
    if !findings.has_errors() {
        values::check(judges, &file, &list, is_list, findings);
    }
    if findings.is_empty() {
        findings.ok(&file, format!("network {}, {} plugins", list.network.name, list.plugins.len()));
    }
}

/// Every plugin is there. Where nothing is installed at all, this is not the node that it is for.
fn installed(node: &Node<'_>, file: &str, list: &List, findings: &mut Findings) {
    if guests::names(node.paths).is_ok_and(|names| names.is_empty()) {
        let store = node.paths.guests();
        let what =
            format!("whether its plugins are installed was not looked at: there is no {}", store.display());
        return findings.note(file, what, "say WHARF_ROOT, or run it on the node");
    }
    for plugin in &list.plugins {
        if let Err((what, cure)) = doctor::served(node, plugin) {
            findings.error(format!("{file}: {}", plugin.place), what, cure);
        }
        doctor::asked(node, file, plugin, findings);
    }
}

/// What one plugin needs of those before it.
fn order(file: &str, list: &List, findings: &mut Findings) {
    let plugins: Vec<_> = list.plugins.iter().filter(|plugin| plugin.kind != OWN).collect();
    if let Some(first) = plugins.first()
        && ["portmap", "bandwidth"].contains(&first.kind.as_str())
    {
        let what = format!("{} comes first, and it needs the result of a plugin before it", first.kind);
        findings.error(
            format!("{file}: {}", first.place),
            what,
            "put it behind bridge, or what makes the interface",
        );
    }
    for (index, plugin) in plugins.iter().enumerate() {
        let makes = plugin.kind == "bridge" && index > 0;
        if makes && plugins.iter().take(index).any(|before| before.kind == "bridge") {
            let what = "there is a bridge before it already: both make the interface of CNI_IFNAME";
            findings.error(format!("{file}: {}", plugin.place), what, "make it a network of its own");
        }
    }
}

#[cfg(test)]
mod tests;

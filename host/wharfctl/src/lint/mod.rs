//! `wharfctl lint`: what is wrong with a network configuration, before a runtime finds out.

mod duplicates;
mod keys;
mod schema;
mod types;
mod values;
mod versions;

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wharf_broker::{Paths, guests};

use crate::doctor::{self, Finding, Findings, Node, Severity};
use crate::lists::{self, List, OWN, Plugin};
use crate::say;
use crate::simulated::{Cache, Guests};
use crate::told::whole;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Lists (*.conflist) and single configurations (*.conf, *.json). [default: those of --conf-dir]
    files: Vec<PathBuf>,
    /// The runtime's folder of network configuration lists; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = lists::CONF_DIR, value_parser = whole::<PathBuf>)]
    conf_dir: PathBuf,
    /// Where the runtime looks for CNI plugins; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = "/opt/cni/bin", value_parser = whole::<PathBuf>)]
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
    let given = given.as_ref().map(Guests::paths);
    let mut all = Vec::new();
    if has_store(&node) {
        // Without them no ADD is served, whatever the list.
        let of_node = doctor::findings("lint", |findings| doctor::node_policies(&node, findings));
        all.extend(of_node.into_iter().filter(|finding| finding.severity != Severity::Ok));
    }
    for file in &files {
        let bytes = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        all.extend(doctor::findings("lint", |findings| one(&node, given, file, &bytes, findings)));
    }
    let count = |severity| all.iter().filter(|finding: &&Finding| finding.severity == severity).count();
    let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
    let text = if options.json { doctor::as_json(&all)? } else { doctor::as_text(&all) };
    say::text(&text)?;
    if errors > 0 || options.strict && warnings > 0 {
        bail!("{errors} errors and {warnings} warnings in {} files", files.len());
    }
    Ok(())
}

/// Everything about one file. Its values are judged by the guests of `given`, or else by those that are installed.
fn one(node: &Node<'_>, given: Option<&Paths>, path: &Path, bytes: &[u8], findings: &mut Findings) {
    let file = path.display().to_string();
    let is_list = lists::is_list(path);
    let list = lists::load(path, bytes);
    // First what can be said of any JSON: it may be why the rest cannot be read.
    if let Ok(Value::Object(object)) = serde_json::from_slice(bytes) {
        duplicates::check(&file, bytes, findings);
        let plugins = object.get("plugins").is_some_and(|plugins| !plugins.is_null());
        if is_list && !plugins && list.is_err() && object.contains_key("type") {
            let cure = "let the file's name end in .conf: runtimes take a single plugin from such";
            return findings.error(&file, "it is a single plugin, and no list: a runtime refuses it", cure);
        }
        keys::network(&file, &object, is_list, findings);
        versions::check(&file, &object, is_list, findings);
        if !is_list && object.contains_key("plugins") {
            let cure = "name the file *.conflist: runtimes load lists from those only";
            return findings.error(&file, "it is a list of plugins", cure);
        }
        if is_list && !plugins && list.is_ok() {
            let what = "its plugins are in the folder beside it only: a libcni before 1.3 does not look there, and refuses it";
            findings.warning(&file, what, "for those, write them into \"plugins\"");
        }
    }
    let list = match list {
        Ok(list) => list,
        Err(error) => {
            return findings.error(&file, format!("{error:#}"), "correct it: a runtime refuses the file");
        }
    };
    doctor::capabilities(&file, &list, findings);
    installed(node, given, &file, &list, findings);
    judge(given.unwrap_or(node.paths), &file, &list, is_list, findings);
    if findings.is_empty() {
        findings.ok(&file, format!("network {}, {} plugins", list.network.name, list.plugins.len()));
    }
}

/// What can be said of a list wherever it is: its keys, the order of its plugins, and its values, as far as these are any
/// that the guests of `judges` could read.
pub(crate) fn judge(judges: &Paths, file: &str, list: &List, is_list: bool, findings: &mut Findings) {
    let before = findings.errors();
    keys::plugins(file, list, is_list, findings);
    order(file, list, findings);
    twins(judges, file, list, findings);
    if findings.errors() == before {
        values::check(judges, file, list, is_list, findings);
    }
}

/// The guest or program of the node that is meant by a name that is none's, in words.
pub(crate) fn meant(node: &Node<'_>, name: &str) -> String {
    types::meant(node, name).map_or_else(String::new, |meant| format!("did you mean {meant:?}? Otherwise "))
}

/// Where nothing is installed at all, this is not the node that the lists are for.
fn has_store(node: &Node<'_>) -> bool {
    !guests::names(node.paths).is_ok_and(|names| names.is_empty())
}

/// Every plugin is there, as far as that can be told from here.
fn installed(node: &Node<'_>, given: Option<&Paths>, file: &str, list: &List, findings: &mut Findings) {
    if !has_store(node) {
        let values = if given.is_none() { ", and its values were not judged" } else { "" };
        let store = node.paths.guests();
        let what = format!(
            "whether its plugins are installed was not looked at{values}: there is no {}",
            store.display()
        );
        findings.note(file, what, "say WHARF_ROOT, or run it on the node");
        return types::check(node, given, file, list, findings);
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

/// Two entries of one guest in a list: the record of an attachment is kept by the type.
fn twins(judges: &Paths, file: &str, list: &List, findings: &mut Findings) {
    let installed = guests::names(judges).unwrap_or_default();
    let ours = |kind: &str| {
        kind == OWN || guests::SHIPPED.contains(&kind) || installed.iter().any(|name| name == kind)
    };
    for (index, plugin) in list.plugins.iter().enumerate() {
        let kind = plugin.kind.as_str();
        // Within one process only these have rules of which the second's replace the first's.
        let alone = |one: &Plugin| !one.chained || ["portmap", "bandwidth"].contains(&kind);
        let twin = list.plugins.iter().take(index).find(|one| one.kind == kind && alone(one));
        // Of two bridges more than that is wrong.
        if let Some(twin) = twin.filter(|_| kind != "bridge" && alone(plugin) && ours(kind)) {
            let what = format!(
                "{} is a {kind} too: the two share one record, of which this one takes over all",
                twin.place
            );
            findings.warning(format!("{file}: {}", plugin.place), what, "make it one entry, or one chain");
        }
    }
}

#[cfg(test)]
mod tests;

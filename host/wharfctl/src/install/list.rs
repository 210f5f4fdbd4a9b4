//! The network configuration list of a node, which comes last: from then on the runtime attaches pods by it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use wharf_broker::Paths;
use wharf_broker::guests::write_atomically;
use wharf_broker::pod_cidr::PodCidrs;

use crate::lists::parse;
use crate::pod_cidr::{Api, ask};
use crate::say::say;

/// What was put into the runtime's folders, and is to be taken out again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Installed {
    /// Lists, without the root.
    pub(crate) conflists: BTreeSet<PathBuf>,
    /// Folders of plugins, without the root.
    #[serde(default)]
    pub(crate) bin_dirs: BTreeSet<PathBuf>,
}

impl Installed {
    /// As it was written last; nothing if it never was.
    pub(crate) fn read(paths: &Paths) -> Result<Self> {
        let file = paths.installed();
        match fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
            Ok(text) => serde_json::from_str(&text).with_context(|| file.display().to_string()),
        }
    }

    /// Notes that something comes into a folder of plugins, before it does.
    pub(crate) fn note_bin_dir(paths: &Paths, bin_dir: &Path) -> Result<()> {
        let mut installed = Self::read(paths)?;
        if installed.bin_dirs.insert(rootless(paths, bin_dir)) {
            installed.write(paths)?;
        }
        Ok(())
    }

    fn write(&self, paths: &Paths) -> Result<()> {
        let file = paths.installed();
        let directory = file.parent().context("a file is in a folder")?;
        Ok(write_atomically(directory, "installed.json", serde_json::to_string_pretty(self)?.as_bytes())?)
    }
}

/// The same folder for every root.
fn rootless(paths: &Paths, folder: &Path) -> PathBuf {
    Path::new("/").join(folder.strip_prefix(paths.root()).unwrap_or(folder))
}

/// A list that is ready to be put in place.
pub(super) struct Ready {
    name: String,
    text: String,
}

/// Reads and checks a list, and puts the node's pod CIDRs into it where it asks for them.
pub(super) fn prepare(paths: &Paths, api: &Api, file: &Path, conf_dir: &Path) -> Result<Ready> {
    let shown = file.display();
    let name = file.file_name().and_then(|name| name.to_str()).filter(|name| name.ends_with(".conflist"));
    let Some(name) = name else {
        bail!("--conflist {shown}: a runtime loads it only if its name ends in .conflist")
    };
    let text = fs::read_to_string(file).with_context(|| format!("cannot read {shown}"))?;
    parse(text.as_bytes(), true).with_context(|| shown.to_string())?;
    let mut list: Value = serde_json::from_str(&text).with_context(|| shown.to_string())?;
    let mut known = None;
    for plugin in plugins(&mut list) {
        // Whether there is a word to replace is found out by replacing.
        if replace(plugin, None, &shown.to_string())? {
            continue;
        }
        let cidrs = match &known {
            Some(cidrs) => cidrs,
            None => known.insert(ask(paths, api, conf_dir)?),
        };
        replace(plugin, Some(cidrs), &shown.to_string())?;
    }
    let text = if known.is_some() { serde_json::to_string_pretty(&list)? + "\n" } else { text };
    Ok(Ready { name: name.to_owned(), text })
}

/// Whether nothing in the plugin's configuration is left to be replaced.
fn replace(plugin: &mut Map<String, Value>, with: Option<&PodCidrs>, file: &str) -> Result<bool> {
    match with {
        Some(cidrs) => cidrs.replace_in(plugin, file).map(|_| true).map_err(Into::into),
        None => Ok(wharf_broker::pod_cidr::words(plugin) == 0),
    }
}

/// Every plugin's object, those of chains too.
fn plugins(list: &mut Value) -> Vec<&mut Map<String, Value>> {
    let mut found = Vec::new();
    let all = list.get_mut("plugins").and_then(Value::as_array_mut).into_iter().flatten();
    for plugin in all.filter_map(Value::as_object_mut) {
        if plugin.get("type").and_then(Value::as_str) == Some(crate::lists::OWN) {
            let chain = plugin.get_mut("chain").and_then(Value::as_array_mut).into_iter().flatten();
            found.extend(chain.filter_map(Value::as_object_mut));
        } else {
            found.push(plugin);
        }
    }
    found
}

/// Puts the lists into the runtime's folder. What is there is noted first, so that it can be removed whatever happens.
pub(super) fn put(paths: &Paths, lists: Vec<Ready>, conf_dir: &Path) -> Result<()> {
    let mut installed = Installed::read(paths)?;
    let folder = rootless(paths, conf_dir);
    installed.conflists.extend(lists.iter().map(|list| folder.join(&list.name)));
    if !lists.is_empty() {
        installed.write(paths)?;
    }
    // Whoever installs wants pods to be attached again.
    match fs::remove_file(paths.retired()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", paths.retired().display()));
        }
        _ => {}
    }
    for Ready { name, text } in lists {
        write_atomically(conf_dir, &name, text.as_bytes())?;
        say!("{}", conf_dir.join(name).display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = r#"{"cniVersion": "1.0.0", "name": "pods", "plugins": [{"type": "wharf", "chain": [
        {"type": "bridge", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]]}}]}]}"#;

    fn prepared(name: &str, text: &str) -> Result<Ready> {
        let root = tempfile::tempdir().unwrap();
        let file = root.path().join(name);
        fs::write(&file, text).unwrap();
        let api = Api { kubeconfig: Some("/nonexistent/kubeconfig".into()), ..Api::default() };
        prepare(&Paths::below(root.path()), &api, &file, root.path())
    }

    #[test]
    fn a_list_that_needs_no_node_is_put_as_it_is() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let conf_dir = root.path().join("etc/cni/net.d");
        fs::create_dir_all(root.path().join("var/lib/wharf")).unwrap();
        fs::write(paths.retired(), "").unwrap();
        put(&paths, vec![prepared("10-wharf.conflist", LIST).unwrap()], &conf_dir).unwrap();
        assert_eq!(fs::read_to_string(conf_dir.join("10-wharf.conflist")).unwrap(), LIST);
        assert!(!paths.retired().exists());
        let installed = Installed::read(&paths).unwrap();
        assert_eq!(installed.conflists, ["/etc/cni/net.d/10-wharf.conflist".into()].into());
    }

    #[test]
    fn every_folder_of_plugins_is_noted_and_an_older_note_still_reads() {
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        fs::create_dir_all(root.path().join("var/lib/wharf")).unwrap();
        fs::write(paths.installed(), r#"{"conflists": ["/etc/cni/net.d/10-wharf.conflist"]}"#).unwrap();
        for folder in ["opt/cni/bin", "usr/lib/cni", "opt/cni/bin"] {
            Installed::note_bin_dir(&paths, &root.path().join(folder)).unwrap();
        }
        let installed = Installed::read(&paths).unwrap();
        assert_eq!(installed.bin_dirs, ["/opt/cni/bin".into(), "/usr/lib/cni".into()].into());
        assert_eq!(installed.conflists.len(), 1);
    }

    #[test]
    fn what_cannot_be_put_is_an_error_before_anything_is_done() {
        let asks = LIST.replace("10.1.0.0/24", "usePodCidr");
        for (name, text, words) in [
            ("10-wharf.conf", LIST, ".conflist"),
            ("10-wharf.conflist", "{", "10-wharf.conflist"),
            ("10-wharf.conflist", &asks, "/nonexistent/kubeconfig"),
        ] {
            let error = prepared(name, text).err().map(|error| format!("{error:#}"));
            assert!(error.as_deref().is_some_and(|error| error.contains(words)), "{name}: {error:?}");
        }
    }

    #[test]
    fn words_in_chains_are_found() {
        let mut list: Value = serde_json::from_str(&LIST.replace("10.1.0.0/24", "usePodCidr")).unwrap();
        let cidrs = PodCidrs { node: "n".into(), pod_cidrs: vec!["10.244.7.0/24".parse().unwrap()] };
        for plugin in plugins(&mut list) {
            assert!(!replace(plugin, None, "f").unwrap());
            replace(plugin, Some(&cidrs), "f").unwrap();
            assert!(replace(plugin, None, "f").unwrap());
        }
        assert!(list.to_string().contains("10.244.7.0/24"), "{list}");
    }
}

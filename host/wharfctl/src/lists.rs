//! The network configuration lists of the runtime's configuration folder, as it would load them.

mod pools;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};
use wharf_broker::folder;
use wharf_cni::NetConf;
use wharf_cni::conflist::NetworkList;
use wharf_cni::spelling::alike;

pub(crate) use folder::CONF_DIR;
pub(crate) use pools::{pools, resolv_confs};

/// The type whose `chain` is a list of plugins in one process.
pub(crate) const OWN: &str = "wharf";

/// One file of the folder.
#[derive(Debug)]
pub(crate) struct ListFile {
    /// Where it is.
    pub(crate) path: PathBuf,
    /// What it says, or what is wrong with it.
    pub(crate) list: Result<List, String>,
}

/// A list and its plugins.
#[derive(Debug)]
pub(crate) struct List {
    /// As runtimes read it.
    pub(crate) network: NetworkList,
    /// Every plugin, those of chains too.
    pub(crate) plugins: Vec<Plugin>,
}

/// A plugin of a list, or of a chain in it.
#[derive(Debug)]
pub(crate) struct Plugin {
    /// Where it stands: `plugins[0]`, `plugins[0].chain[2]`.
    pub(crate) place: String,
    /// `type`
    pub(crate) kind: String,
    /// Whether it runs inside Wharf's process.
    pub(crate) chained: bool,
    /// Its object, as a plugin reads it.
    pub(crate) raw: Map<String, Value>,
    /// Its object as it stands in the file.
    pub(crate) written: Map<String, Value>,
}

impl Plugin {
    /// The type of its IPAM plugin.
    pub(crate) fn ipam(&self) -> Option<&str> {
        self.delegate("ipam")
    }

    fn delegate(&self, member: &str) -> Option<&str> {
        self.raw.get(member)?.get("type")?.as_str().filter(|kind| !kind.is_empty())
    }

    /// The policies that it asks for besides the node's.
    pub(crate) fn policies(&self) -> impl Iterator<Item = &str> {
        self.raw.get("policies").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// Everything that it names: the member, and the name.
    pub(crate) fn names(&self) -> Vec<(&'static str, &str)> {
        let delegates = [("ipam.type", self.ipam()), ("delegate.type", self.delegate("delegate"))];
        let mut all = vec![("type", self.kind.as_str())];
        all.extend(delegates.into_iter().filter_map(|(member, name)| Some((member, name?))));
        all.extend(self.policies().map(|name| ("policies", name)));
        all
    }
}

/// The files that a runtime loads, in its order. A folder that is not there has none.
pub(crate) fn read(directory: &Path) -> Result<Vec<ListFile>> {
    let files = files(directory, &folder::LISTS)?;
    Ok(files.into_iter().map(|path| ListFile { list: parse_file(&path), path }).collect())
}

fn parse_file(path: &Path) -> Result<List, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    load(path, &bytes).map_err(|error| format!("{error:#}"))
}

/// What a runtime makes of this file.
pub(crate) fn open(path: &Path) -> Result<List> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    load(path, &bytes).with_context(|| path.display().to_string())
}

/// The list that this file is, whatever its name. What its plugins and chains say is not looked at.
pub(crate) fn network(path: &Path) -> Result<NetworkList> {
    let read = || as_network(&fs::read(path)?, true, path.parent());
    Ok(read().with_context(|| path.display().to_string())?.0)
}

/// Whether a runtime takes the file for a list: by its name.
pub(crate) fn is_list(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "conflist")
}

/// What a runtime makes of a file with this content: a list, with the plugins of the folder beside it, or a single plugin
/// as a list.
pub(crate) fn load(path: &Path, bytes: &[u8]) -> Result<List> {
    read_as(bytes, is_list(path), path.parent())
}

/// A list that needs nothing beside it, or a single plugin as a list.
pub(crate) fn parse(bytes: &[u8], is_list: bool) -> Result<List> {
    read_as(bytes, is_list, None)
}

/// The network and its plugins as they are written.
fn as_network(bytes: &[u8], is_list: bool, folder: Option<&Path>) -> Result<(NetworkList, Vec<Value>)> {
    let mut network = if is_list { NetworkList::parse(bytes)? } else { NetworkList::from_plugin(bytes)? };
    let document: Value = serde_json::from_slice(bytes)?;
    let mut all = match document.get("plugins").and_then(Value::as_array) {
        Some(plugins) if is_list => plugins.clone(),
        _ if is_list => Vec::new(),
        _ => vec![document.clone()],
    };
    if is_list {
        let folder = folder.map(|folder| folder.join(&network.name));
        // Where libcni looks from 1.3 on.
        let beside = folder.as_deref().map(|folder| files(folder, &folder::PLUGINS));
        for file in beside.transpose()?.unwrap_or_default() {
            let shown = file.display().to_string();
            let bytes = fs::read(&file).with_context(|| format!("cannot read {shown}"))?;
            if network.add_plugin(&bytes).with_context(|| shown.clone())? {
                all.push(serde_json::from_slice(&bytes).context(shown)?);
            }
        }
        if network.plugins.is_empty() {
            bail!(without_plugins(&document, folder.as_deref()));
        }
    }
    Ok((network, all))
}

fn read_as(bytes: &[u8], is_list: bool, folder: Option<&Path>) -> Result<List> {
    let (network, all) = as_network(bytes, is_list, folder)?;
    let mut plugins = Vec::new();
    for (index, plugin) in network.plugins.iter().enumerate() {
        let place = if is_list { format!("plugins[{index}]") } else { "it".to_owned() };
        let written = all.get(index).and_then(Value::as_object).cloned().unwrap_or_default();
        plugins.push(Plugin {
            place: place.clone(),
            kind: plugin.plugin_type.clone(),
            chained: false,
            raw: plugin.raw.clone(),
            written: written.clone(),
        });
        if plugin.plugin_type != OWN {
            continue;
        }
        // As the plugin itself reads it.
        let request =
            network.request(index, wharf_cni::conflist::RequestArgs::default())?.unwrap_or_default();
        let chain = NetConf::parse(&request)?.chain().with_context(|| place.clone())?;
        let chain = chain.with_context(|| format!("{place}: type \"wharf\" needs a `chain`"))?;
        plugins.extend(chain.into_iter().enumerate().map(|(inner, conf)| {
            Plugin {
                place: format!("{place}.chain[{inner}]"),
                kind: conf.plugin_type,
                chained: true,
                raw: conf.raw,
                written: member(&written, "chain")
                    .and_then(|chain| chain.get(inner)?.as_object().cloned())
                    .unwrap_or_default(),
            }
        }));
    }
    Ok(List { network, plugins })
}

/// What a folder has of such files. One that is not there has none.
fn files(folder: &Path, endings: &[&str]) -> Result<Vec<PathBuf>> {
    match folder::files(folder, endings) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.with_context(|| format!("cannot read {}", folder.display())),
    }
}

/// Why no runtime takes such a list.
fn without_plugins(document: &Value, folder: Option<&Path>) -> String {
    if document.get("type").is_some() {
        return "it is a single plugin, and no list: let the file's name end in .conf".to_owned();
    }
    match folder {
        Some(folder) => format!("plugins: there are none, nor is there a *.conf in {}", folder.display()),
        None => "plugins: there are none".to_owned(),
    }
}

/// A member in whatever spelling counts: the last.
pub(crate) fn member<'a>(written: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    written.iter().rfind(|(key, _)| alike(key, name)).map(|(_, value)| value)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) const CHAIN: &str = r#"{"cniVersion": "1.0.0", "name": "pods", "plugins": [
        {"type": "wharf", "capabilities": {"portMappings": true}, "chain": [
            {"type": "bridge", "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}]]}},
            {"type": "portmap"}]},
        {"type": "tuning"}]}"#;

    #[test]
    fn plugins_of_chains_are_plugins() {
        let list = parse(CHAIN.as_bytes(), true).unwrap();
        let found: Vec<_> =
            list.plugins.iter().map(|one| (one.place.as_str(), one.kind.as_str(), one.chained)).collect();
        assert_eq!(
            found,
            [
                ("plugins[0]", "wharf", false),
                ("plugins[0].chain[0]", "bridge", true),
                ("plugins[0].chain[1]", "portmap", true),
                ("plugins[1]", "tuning", false)
            ]
        );
        assert_eq!(list.plugins[1].ipam(), Some("host-local"));
        assert_eq!(list.plugins[2].ipam(), None);
    }

    #[test]
    fn files_come_as_runtimes_load_them() {
        let folder = tempfile::tempdir().unwrap();
        let single = r#"{"cniVersion": "1.0.0", "name": "one", "type": "bridge"}"#;
        for (name, text) in [
            ("20-b.conf", single),
            ("10-a.conflist", CHAIN),
            ("README", "x"),
            (".10-a.conflist.7", "x"),
            ("30-c.json", "{"),
        ] {
            fs::write(folder.path().join(name), text).unwrap();
        }
        let files = read(folder.path()).unwrap();
        let names: Vec<_> =
            files.iter().map(|file| file.path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["10-a.conflist", "20-b.conf", "30-c.json"]);
        assert_eq!(files[1].list.as_ref().unwrap().network.name, "one");
        assert!(files[2].list.as_ref().unwrap_err().contains("decode"));
        assert!(read(&folder.path().join("none")).unwrap().is_empty());
    }

    #[test]
    fn a_list_without_plugins_is_one_only_with_those_beside_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("10-pods.conflist");
        let bare = r#"{"cniVersion": "1.0.0", "name": "pods"}"#;
        let of = |text: &str| load(&file, text.as_bytes()).map_err(|error| format!("{error:#}"));
        let error = of(bare).unwrap_err();
        assert!(error.contains("plugins") && error.contains("/pods"), "{error}");
        assert!(parse(bare.as_bytes(), true).is_err());
        let single =
            r#"{"cniVersion": "1.0.0", "name": "pods", "type": "wharf", "chain": [{"type": "bridge"}]}"#;
        assert!(of(single).unwrap_err().contains(".conf"));
        assert_eq!(load(Path::new("pods.conf"), single.as_bytes()).unwrap().plugins.len(), 2);

        let beside = folder.path().join("pods");
        fs::create_dir_all(&beside).unwrap();
        fs::write(beside.join("README"), "{").unwrap();
        assert!(of(bare).is_err());
        fs::write(beside.join("20-b.conf"), r#"{"type": "portmap", "snat": false}"#).unwrap();
        fs::write(beside.join("10-a.conf"), r#"{"type": "bridge"}"#).unwrap();
        let list = of(bare).unwrap();
        let found: Vec<_> = list.plugins.iter().map(|one| (one.place.as_str(), one.kind.as_str())).collect();
        assert_eq!(found, [("plugins[0]", "bridge"), ("plugins[1]", "portmap")]);
        assert!(list.plugins[1].written.contains_key("snat"));
        // Also where it is the scenario that says that it is a list.
        let named = folder.path().join("pods.json");
        fs::write(&named, bare).unwrap();
        assert_eq!(network(&named).unwrap().plugins.len(), 2);
        // They come behind those of the list itself, unless it wants no others.
        let own = |flag: &str| {
            format!(r#"{{"cniVersion": "1.0.0", "name": "pods"{flag}, "plugins": [{{"type": "loopback"}}]}}"#)
        };
        assert_eq!(of(&own("")).unwrap().plugins.len(), 3);
        assert_eq!(of(&own(r#", "loadOnlyInlinedPlugins": true"#)).unwrap().plugins.len(), 1);
        fs::write(beside.join("30-c.conf"), "{").unwrap();
        assert!(of(bare).unwrap_err().contains("30-c.conf"));
    }

    #[test]
    fn a_chain_that_is_none_is_an_error_that_says_where() {
        for (chain, words) in [("", "needs a `chain`"), (r#", "chain": [{"type": "wharf"}]"#, "chain[0]")] {
            let text =
                format!(r#"{{"cniVersion": "1.0.0", "name": "n", "plugins": [{{"type": "wharf"{chain}}}]}}"#);
            let error = format!("{:#}", parse(text.as_bytes(), true).unwrap_err());
            assert!(error.contains("plugins[0]") && error.contains(words), "{error}");
        }
    }
}

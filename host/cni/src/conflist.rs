//! A network configuration list, and the request a runtime makes of it for each plugin.

use std::borrow::Cow;

use serde_json::{Value, json};

use crate::attachment::Attachment;
use crate::chain::enabled;
use crate::config::{Request, decode, network_name, plugin_type};
use crate::error::{Error, excerpt};
use crate::json::{self, Object, member, object};
use crate::result::NetworkResult;
use crate::spelling;
use crate::version::{Version, numbers};

const WHAT: &str = "network list";

/// A plugin of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct Plugin {
    /// The plugin's object, with the [usual spelling](crate::spelling).
    pub raw: Object,
    /// `type`
    pub plugin_type: String,
}

/// A network configuration list.
#[derive(Debug, Clone, PartialEq)]
pub struct NetworkList {
    /// The version selected: the highest of `cniVersions` and `cniVersion` that is not newer than ours.
    pub cni_version: Version,
    /// The network's name.
    pub name: String,
    /// CHECK is not to be sent.
    pub disable_check: bool,
    /// GC is not to be sent.
    pub disable_gc: bool,
    /// Plugins in the sibling directory are not to be loaded.
    pub load_only_inlined_plugins: bool,
    /// The plugins. Empty only until [`NetworkList::add_plugin`] was called for those beside the file.
    pub plugins: Vec<Plugin>,
}

/// What a runtime adds to a plugin's object.
#[derive(Debug, Clone, Copy, Default)]
pub struct RequestArgs<'a> {
    /// `prevResult`
    pub previous: Option<&'a NetworkResult>,
    /// What the runtime can tell about each capability; a plugin gets those it enables.
    pub capability_args: Option<&'a Object>,
    /// For GC: what is still in use.
    pub valid_attachments: Option<&'a [Attachment]>,
}

impl NetworkList {
    /// Reads a list. When `plugins` is absent and the list does not say `loadOnlyInlinedPlugins`, plugins must
    /// come from the directory beside it, by [`NetworkList::add_plugin`].
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let value = decode(bytes, WHAT)?;
        let list = object(&value, WHAT)?;
        let out = Self {
            name: name(list)?,
            cni_version: select_version(list)?,
            disable_check: flag(list, "disableCheck")?,
            disable_gc: flag(list, "disableGC")?,
            load_only_inlined_plugins: flag(list, "loadOnlyInlinedPlugins")?,
            plugins: json::array(list, "plugins", plugin)?,
        };
        match member(list, "plugins") {
            None if out.load_only_inlined_plugins => {
                Err(Error::invalid("plugins", "missing, and loadOnlyInlinedPlugins is true"))
            }
            Some(_) if out.plugins.is_empty() => Err(Error::invalid("plugins", "no plugins in list")),
            _ => Ok(out),
        }
    }

    /// Makes a list of the single plugin in a `.conf` or `.json` file.
    pub fn from_plugin(bytes: &[u8]) -> Result<Self, Error> {
        let value = spelling::decode(bytes, "network config")?;
        let conf = object(&value, "network config")?;
        if conf.contains_key("plugins") {
            return Err(Error::invalid("plugins", "this is a list; give it a name that ends in .conflist"));
        }
        Ok(Self {
            name: name(conf)?,
            cni_version: Version::of(conf)?.unwrap_or_default(),
            disable_check: false,
            disable_gc: false,
            load_only_inlined_plugins: false,
            plugins: vec![plugin(&value)?],
        })
    }

    /// Appends the plugin of a file in the sibling directory, unless the list wants only its own. Says whether
    /// it did.
    pub fn add_plugin(&mut self, bytes: &[u8]) -> Result<bool, Error> {
        if self.load_only_inlined_plugins {
            return Ok(false);
        }
        self.plugins.push(plugin(&decode(bytes, "plugin config")?)?);
        Ok(true)
    }

    /// Whether the list can be run at all, once every plugin has been added.
    pub fn complete(&self) -> Result<(), Error> {
        if self.plugins.is_empty() {
            return Err(Error::invalid("plugins", "no plugin configs found"));
        }
        Ok(())
    }

    /// The request for one plugin, or `None` when there is no such index. As libcni makes it: the plugin's own
    /// object, `capabilities` included, with `name` and `cniVersion` of the list and what `args` has.
    pub fn request(&self, index: usize, args: RequestArgs<'_>) -> Result<Option<Vec<u8>>, Error> {
        let Some(plugin) = self.plugins.get(index) else { return Ok(None) };
        let mut raw = plugin.raw.clone();
        raw.insert("name".to_owned(), Value::from(self.name.as_str()));
        raw.insert("cniVersion".to_owned(), Value::from(self.cni_version.as_str()));
        if let (Some(offered), Some(capabilities)) = (args.capability_args, member(&raw, "capabilities")) {
            let runtime = enabled(capabilities, offered).map_err(|e| e.at(index).under("plugins"))?;
            if !runtime.is_empty() {
                raw.insert("runtimeConfig".to_owned(), Value::Object(runtime));
            }
        }
        if let Some(valid) = args.valid_attachments {
            let list: Value =
                valid.iter().map(|a| json!({"containerID": a.container_id, "ifname": a.ifname})).collect();
            raw.insert("cni.dev/attachments".to_owned(), list.clone());
            raw.insert("cni.dev/valid-attachments".to_owned(), list);
        }
        let request = Request { raw: Cow::Owned(raw), previous: args.previous, version: self.cni_version };
        Ok(Some(request.to_vec()))
    }

    /// Whether a runtime sends CHECK: an error when the version has none, false when the list disables it.
    pub fn wants_check(&self) -> Result<bool, Error> {
        self.cni_version.allows(crate::Command::Check)?;
        Ok(!self.disable_check)
    }

    /// Whether a runtime sends STATUS; without, the network counts as ready.
    #[must_use]
    pub fn wants_status(&self) -> bool {
        self.cni_version.allows(crate::Command::Status).is_ok()
    }

    /// Whether a runtime sends GC to the plugins.
    #[must_use]
    pub fn wants_gc(&self) -> bool {
        !self.disable_gc && self.cni_version.allows(crate::Command::Gc).is_ok()
    }
}

fn name(list: &Object) -> Result<String, Error> {
    let name = json::string(list, "name")?.ok_or(Error::MissingName)?;
    network_name(name)?;
    Ok(name.to_owned())
}

fn plugin(value: &Value) -> Result<Plugin, Error> {
    object(value, "")?;
    let usual = spelling::usual(value);
    let raw = object(&usual, "")?;
    let Some(kind) = plugin_type(raw)? else { return Err(Error::invalid("type", "missing 'type'")) };
    if let Some(capabilities) = member(raw, "capabilities") {
        enabled(capabilities, &Object::new())?;
    }
    Ok(Plugin { plugin_type: kind.to_owned(), raw: raw.clone() })
}

/// A boolean, or the words true and false.
fn flag(list: &Object, key: &'static str) -> Result<bool, Error> {
    match member(list, key) {
        None => Ok(false),
        Some(Value::Bool(on)) => Ok(*on),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(false),
        Some(other) => Err(Error::invalid(key, format!("invalid value {} for {key}", json::found(other)))),
    }
}

/// The highest version on offer that is not newer than ours.
fn select_version(list: &Object) -> Result<Version, Error> {
    let offered = json::strings(list, "cniVersions")?;
    let single = json::string(list, "cniVersion")?;
    if offered.is_empty() {
        return single.map_or(Ok(Version::default()), Version::parse);
    }
    let current = numbers(Version::CURRENT.as_str());
    let mut best: Option<([u64; 3], &str)> = None;
    let entries = offered.iter().enumerate().map(|(i, text)| (text.as_str(), Some(i)));
    for (text, index) in entries.chain(single.map(|text| (text, None))) {
        let Some(parsed) = numbers(text) else {
            let error = Error::invalid("", format!("{} is no version", excerpt(text)));
            return Err(match index {
                Some(i) => error.at(i).under("cniVersions"),
                None => error.under("cniVersion"),
            });
        };
        if Some(parsed) <= current && best.is_none_or(|(highest, _)| parsed > highest) {
            best = Some((parsed, text));
        }
    }
    match best {
        Some((_, text)) => Version::parse(text),
        None => Version::parse(single.unwrap_or_else(|| offered.first().map_or("", String::as_str))),
    }
}

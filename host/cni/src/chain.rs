//! `{"type": "wharf", "chain": [...]}`: a whole list of plugins in the configuration of one.

use serde_json::Value;

use crate::config::{MAX_BYTES, NetConf, plugin_type};
use crate::error::Error;
use crate::json::{self, Object};

/// The `type` whose `chain` is one.
pub const CHAIN_TYPE: &str = "wharf";

/// The most plugins in a chain.
pub const MAX_CHAIN: usize = 64;

/// The most bytes of JSON that the plugins of a chain inherit, all together: each gets a copy.
pub const MAX_INHERITED: usize = MAX_BYTES;

const CHAIN: &str = "chain";
const RUNTIME: &str = "runtimeConfig";

/// Whether a plugin that lacks the member gets that of the outer object.
fn is_inherited(key: &str) -> bool {
    key == "args" || key.starts_with("cni.dev/")
}

impl NetConf {
    /// The configurations of a chain's plugins, or `None` when this is no chain.
    ///
    /// Each gets the outer `cniVersion` and `name`, the outer `runtimeConfig` (only what its `capabilities`
    /// enable, when it has that member; its own stays when nothing is left), and the outer `args` and
    /// `cni.dev/*` members that it lacks. Each gets the outer `prevResult` too, which suits CHECK, DEL and the
    /// first ADD; see [`NetConf::with_previous`].
    pub fn chain(&self) -> Result<Option<Vec<Self>>, Error> {
        if self.plugin_type != CHAIN_TYPE {
            return Ok(None);
        }
        let Some(value) = json::member(&self.raw, CHAIN) else { return Ok(None) };
        let items = value.as_array().ok_or_else(|| json::wrong(CHAIN, "an array", value))?;
        if items.is_empty() {
            return Err(Error::invalid(CHAIN, "no plugins in the chain"));
        }
        if items.len() > MAX_CHAIN {
            let reason = format!("{} plugins in the chain, at most {MAX_CHAIN} are allowed", items.len());
            return Err(Error::invalid(CHAIN, reason));
        }
        self.bounded_inheritance(items.len())?;
        let read = |(i, item)| self.inner(item).map_err(|e: Error| e.at(i).under(CHAIN));
        items.iter().enumerate().map(read).collect::<Result<_, _>>().map(Some)
    }

    /// Refuses what would multiply a large request by the number of plugins.
    fn bounded_inheritance(&self, plugins: usize) -> Result<(), Error> {
        let inherited = self.raw.iter().filter(|(key, _)| is_inherited(key) || *key == RUNTIME);
        let bytes: usize = inherited.map(|(_, value)| serde_json::to_vec(value).map_or(0, |v| v.len())).sum();
        if bytes.saturating_mul(plugins) <= MAX_INHERITED {
            return Ok(());
        }
        let reason = format!(
            "{plugins} plugins would inherit {bytes} bytes each, at most {MAX_INHERITED} are allowed together"
        );
        Err(Error::invalid(CHAIN, reason))
    }

    fn inner(&self, item: &Value) -> Result<Self, Error> {
        let inner = json::object(item, "")?;
        let Some(kind) = plugin_type(inner)? else { return Err(Error::invalid("type", "missing or empty")) };
        if inner.contains_key(CHAIN) || kind == CHAIN_TYPE {
            let member = if inner.contains_key(CHAIN) { CHAIN } else { "type" };
            return Err(Error::invalid(member, "a chain cannot be inside a chain"));
        }
        if inner.contains_key("prevResult") {
            return Err(Error::invalid("prevResult", "is for the runtime to set, on the outer object"));
        }
        let mut raw = inner.clone();
        for (key, value) in self.raw.iter().filter(|(key, _)| is_inherited(key)) {
            if json::member(&raw, key).is_none() {
                raw.insert(key.clone(), value.clone());
            }
        }
        match self.told(inner) {
            Ok(told) if told.is_empty() => {}
            Ok(told) => drop(raw.insert(RUNTIME.to_owned(), Value::Object(told))),
            Err(_) if self.lenient => {}
            Err(error) => return Err(error),
        }
        match self.raw.get("cniVersion") {
            Some(version) => raw.insert("cniVersion".to_owned(), version.clone()),
            None => raw.remove("cniVersion"),
        };
        raw.insert("name".to_owned(), Value::from(self.name.as_str()));
        let (conf, fault) = Self::read(raw)?;
        match fault.filter(|_| !self.lenient) {
            Some(fault) => Err(fault),
            None => Ok(Self { previous: self.previous.clone(), lenient: self.lenient, ..conf }),
        }
    }

    /// What the runtime tells a plugin of a chain: what its `capabilities` enable, when it has that member.
    fn told(&self, inner: &Object) -> Result<Object, Error> {
        let Some(outer) = json::member(&self.raw, RUNTIME) else { return Ok(Object::new()) };
        let outer = json::object(outer, RUNTIME)?;
        match json::member(inner, "capabilities") {
            Some(capabilities) => enabled(capabilities, outer),
            None => Ok(outer.clone()),
        }
    }
}

/// The members of `offered` that `capabilities` has as true.
pub(crate) fn enabled(capabilities: &Value, offered: &Object) -> Result<Object, Error> {
    const PATH: &str = "capabilities";
    let mut out = Object::new();
    for (key, on) in json::object(capabilities, PATH)? {
        let on = match on {
            Value::Null => false,
            _ => on
                .as_bool()
                .ok_or_else(|| json::wrong(&crate::env::bounded(key), "true or false", on).under(PATH))?,
        };
        if let Some(value) = offered.get(key).filter(|_| on) {
            out.insert(key.clone(), value.clone());
        }
    }
    Ok(out)
}

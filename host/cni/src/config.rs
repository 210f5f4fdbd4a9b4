//! The network configuration of one plugin, as a runtime sends it on standard input.

use std::borrow::Cow;

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::{Map, Value};

use crate::attachment::Attachment;
use crate::chain::enabled;
use crate::env::{bounded, is_identifier};
use crate::error::{Error, excerpt};
use crate::json::{self, Object};
use crate::result::NetworkResult;
use crate::spelling;
use crate::version::Version;

/// The largest input accepted, in bytes: twice that still passes between the two processes in one call.
pub const MAX_BYTES: usize = 4 << 20;

const PREVIOUS: &str = "prevResult";

/// A plugin's configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct NetConf {
    /// The object as it came, unknown members included, without `prevResult`. What the host reads is spelled as usual, see
    /// [`spelling`].
    pub raw: Map<String, Value>,
    /// `cniVersion`
    pub cni_version: Version,
    /// `name`, of the network.
    pub name: String,
    /// `type`; empty when there is none, for a plugin executed under its own name does not need it.
    pub plugin_type: String,
    /// `prevResult`, converted from whichever version it has.
    pub previous: Option<NetworkResult>,
    /// `cni.dev/valid-attachments` of a GC, or `cni.dev/attachments` when only that is there. `None` when the
    /// runtime sends neither; `null` is what libcni makes of an empty list.
    pub valid_attachments: Option<Vec<Attachment>>,
    /// Whether members of a wrong type are passed over, see [`NetConf::parse_for_del`]; those of a chain's plugins too.
    pub lenient: bool,
}

impl NetConf {
    /// Reads a configuration of at most [`MAX_BYTES`]. Of several members of one name the last counts, whatever its case.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (conf, fault) = Self::parse_for_del(bytes)?;
        fault.map_or(Ok(Self { lenient: false, ..conf }), Err)
    }

    /// As [`NetConf::parse`], but a `prevResult` that cannot be read is left out, members of a wrong type stay, and the error
    /// is handed back: a DEL has to go on.
    pub fn parse_for_del(bytes: &[u8]) -> Result<(Self, Option<Error>), Error> {
        const WHAT: &str = "network config";
        match spelling::decode(bytes, WHAT)? {
            Value::Object(raw) => Self::read(raw),
            other => Err(json::wrong(WHAT, "an object", &other)),
        }
    }

    /// Reads an object in the order of the reference's checks: name, then version, then the rest.
    pub(crate) fn read(mut raw: Object) -> Result<(Self, Option<Error>), Error> {
        let name = json::string(&raw, "name")?.ok_or(Error::MissingName)?;
        network_name(name)?;
        let name = name.to_owned();
        let cni_version = Version::of(&raw)?.unwrap_or_default();
        let plugin_type = plugin_type(&raw)?.unwrap_or_default().to_owned();
        let wrong = sections(&raw).err();
        let valid_attachments = attachments(&raw, &name)?;
        let (previous, fault) = match raw.remove(PREVIOUS) {
            None | Some(Value::Null) => (None, None),
            Some(value) => match NetworkResult::parse(&value, cni_version) {
                Ok(result) => (Some(result), None),
                Err(error) => (None, Some(error.under(PREVIOUS))),
            },
        };
        let conf = Self { raw, cni_version, name, plugin_type, previous, valid_attachments, lenient: true };
        Ok((conf, wrong.or(fault)))
    }

    /// The plugin object as a guest gets it: everything but `prevResult`.
    #[must_use]
    pub fn guest_config(&self) -> String {
        serde_json::to_string(&self.raw).unwrap_or_default()
    }

    /// The same configuration with another `prevResult`.
    #[must_use]
    pub fn with_previous(&self, previous: &NetworkResult) -> Self {
        Self { previous: Some(previous.clone()), ..self.clone() }
    }

    /// Standard input for a native plugin: the whole configuration, and `previous` in its version. For an IPAM
    /// delegate `previous` is this configuration's own.
    #[must_use]
    pub fn delegate_stdin(&self, previous: Option<&NetworkResult>) -> Vec<u8> {
        let request = Request { raw: Cow::Borrowed(&self.raw), previous, version: self.cni_version };
        request.to_vec()
    }
}

/// A configuration about to be sent.
pub(crate) struct Request<'a> {
    pub(crate) raw: Cow<'a, Object>,
    pub(crate) previous: Option<&'a NetworkResult>,
    pub(crate) version: Version,
}

impl Request<'_> {
    /// The bytes. Keys are strings and the writer is memory: this does not fail.
    pub(crate) fn to_vec(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Serialize for Request<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (key, value) in self.raw.iter().filter(|(key, _)| *key != PREVIOUS) {
            map.serialize_entry(key, value)?;
        }
        if let Some(previous) = self.previous {
            map.serialize_entry(PREVIOUS, &previous.wire(self.version))?;
        }
        map.end()
    }
}

/// Parses JSON within the size limit. The parser bounds the depth (128) by itself.
pub(crate) fn decode(bytes: &[u8], what: &'static str) -> Result<Value, Error> {
    if bytes.len() > MAX_BYTES {
        return Err(Error::TooLarge { what, size: bytes.len(), limit: MAX_BYTES });
    }
    serde_json::from_slice(bytes).map_err(|e| Error::Json { what, reason: e.to_string() })
}

/// Checks a network name: the same pattern as a container id.
pub fn network_name(name: &str) -> Result<(), Error> {
    if is_identifier(name) { Ok(()) } else { Err(Error::NetworkName(bounded(name))) }
}

/// The `type`, which becomes a file name and so must be one.
pub(crate) fn plugin_type(object: &Object) -> Result<Option<&str>, Error> {
    let Some(name) = json::string(object, "type")? else { return Ok(None) };
    if name.contains(['/', '\0']) || name == "." || name == ".." {
        return Err(Error::invalid("type", format!("invalid plugin name: {}", excerpt(name))));
    }
    Ok(Some(name))
}

/// Checks the members that the specification knows as objects: a plugin without use for one would pass over a wrong one in
/// silence. The delegates' types become file names, too.
fn sections(raw: &Object) -> Result<(), Error> {
    for key in ["args", "dns", "runtimeConfig"] {
        if let Some(value) = json::member(raw, key) {
            json::object(value, key)?;
        }
    }
    if let Some(capabilities) = json::member(raw, "capabilities") {
        enabled(capabilities, &Object::new())?;
    }
    if let Some(ipam) = json::member(raw, "ipam") {
        plugin_type(json::object(ipam, "ipam")?).map_err(|e| e.under("ipam"))?;
    }
    // The specification does not know this one: to some plugins it may be something else.
    if let Some(Value::Object(delegate)) = raw.get("delegate") {
        plugin_type(delegate).map_err(|e| e.under("delegate"))?;
    }
    Ok(())
}

fn attachments(raw: &Object, network: &str) -> Result<Option<Vec<Attachment>>, Error> {
    for key in ["cni.dev/valid-attachments", "cni.dev/attachments"] {
        if raw.contains_key(key) {
            return json::array(raw, key, |item| Attachment::parse(item, network)).map(Some);
        }
    }
    Ok(None)
}

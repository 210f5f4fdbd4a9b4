//! Versions of the CNI specification: parsing, what each allows, and the VERSION exchange.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::env::Command;
use crate::error::{Error, excerpt};
use crate::json::{self, Object};

/// A version of the specification; ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum Version {
    /// 0.1.0, and what a missing or empty `cniVersion` means.
    #[default]
    V0_1_0,
    /// 0.2.0: one address per family.
    V0_2_0,
    /// 0.3.0: interfaces and any number of addresses.
    V0_3_0,
    /// 0.3.1
    V0_3_1,
    /// 0.4.0: CHECK, and prevResult for DEL.
    V0_4_0,
    /// 1.0.0: addresses lose `version`.
    V1_0_0,
    /// 1.1.0: GC and STATUS.
    V1_1_0,
}

/// Every version, oldest first.
pub const SUPPORTED: [Version; 7] = [
    Version::V0_1_0,
    Version::V0_2_0,
    Version::V0_3_0,
    Version::V0_3_1,
    Version::V0_4_0,
    Version::V1_0_0,
    Version::V1_1_0,
];

impl Version {
    /// The newest version spoken here.
    pub const CURRENT: Self = Self::V1_1_0;

    /// The version as it stands in JSON.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V0_1_0 => "0.1.0",
            Self::V0_2_0 => "0.2.0",
            Self::V0_3_0 => "0.3.0",
            Self::V0_3_1 => "0.3.1",
            Self::V0_4_0 => "0.4.0",
            Self::V1_0_0 => "1.0.0",
            Self::V1_1_0 => "1.1.0",
        }
    }

    /// The exact text of a supported version; empty is 0.1.0.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Ok(Self::V0_1_0);
        }
        SUPPORTED
            .into_iter()
            .find(|v| v.as_str() == text)
            .ok_or_else(|| Error::IncompatibleVersion { path: "cniVersion".to_owned(), value: excerpt(text) })
    }

    /// The `cniVersion` of an object, if it has one that is not empty.
    pub(crate) fn of(object: &Object) -> Result<Option<Self>, Error> {
        json::string(object, "cniVersion")?.map(Self::parse).transpose()
    }

    /// Whether a configuration of this version allows the command.
    pub fn allows(self, command: Command) -> Result<(), Error> {
        let since = match command {
            Command::Add | Command::Del | Command::Version => return Ok(()),
            Command::Check => Self::V0_4_0,
            Command::Gc | Command::Status => Self::V1_1_0,
        };
        if self >= since {
            return Ok(());
        }
        Err(Error::CommandNotAllowed { command: command.as_str(), version: self, since })
    }

    /// Whether the runtime passes prevResult to a DEL.
    #[must_use]
    pub fn del_has_previous(self) -> bool {
        self >= Self::V0_4_0
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Version {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// The version that a request names on standard input, if it is one we support. A VERSION request may carry anything at
/// all, and any other may be wrong in everything else, so nothing here is an error.
#[must_use]
pub fn requested(stdin: &[u8]) -> Option<Version> {
    let value: Value = crate::spelling::decode(stdin, "request").ok()?;
    Version::of(value.as_object()?).ok().flatten()
}

/// The reply to VERSION, one compact line. It echoes the version asked with, as the specification wants, when
/// that is a supported one.
#[must_use]
pub fn reply(requested: Option<Version>) -> String {
    let list: Vec<String> = SUPPORTED.iter().map(|v| format!("\"{v}\"")).collect();
    let version = requested.unwrap_or(Version::CURRENT);
    format!("{{\"cniVersion\":\"{version}\",\"supportedVersions\":[{}]}}\n", list.join(","))
}

/// The versions another plugin's reply to VERSION lists. Plugins of 0.2.0 may leave the list out.
pub fn parse_reply(stdout: &[u8]) -> Result<Vec<String>, Error> {
    const WHAT: &str = "VERSION reply";
    let value: Value = crate::config::decode(stdout, WHAT)?;
    let object = json::object(&value, WHAT)?;
    let Some(version) = json::string(object, "cniVersion")? else {
        return Err(Error::invalid("cniVersion", "missing in the VERSION reply"));
    };
    let list = json::strings(object, "supportedVersions")?;
    match (list.is_empty(), version) {
        (false, _) => Ok(list),
        (true, "0.2.0") => Ok(vec!["0.1.0".to_owned(), "0.2.0".to_owned()]),
        (true, _) => Err(Error::invalid("supportedVersions", "missing in the VERSION reply")),
    }
}

/// Orders two versions that need not be supported ones; up to three numbers parted by dots.
pub(crate) fn numbers(text: &str) -> Option<[u64; 3]> {
    let mut out = [0; 3];
    let mut parts = text.split('.');
    for (slot, part) in out.iter_mut().zip(parts.by_ref()) {
        if part.is_empty() || !part.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        *slot = part.parse().ok()?;
    }
    parts.next().is_none().then_some(out)
}

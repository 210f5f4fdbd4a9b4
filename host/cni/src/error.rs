//! The error object of the protocol, the codes, and this crate's own errors with the code each of them gets.
//!
//! A message names the variable or JSON path and the offending value; values are cut by [`excerpt`].

use serde::{Deserialize, Serialize};

use crate::version::{SUPPORTED, Version};

/// Codes of the specification, and the host's own from 900 up. A guest's own are 100 to 899.
pub mod code {
    /// The configuration's `cniVersion` is not supported, or does not allow the command.
    pub const INCOMPATIBLE_VERSION: u32 = 1;
    /// A field of the configuration is not supported; the message has its key and value.
    pub const UNSUPPORTED_FIELD: u32 = 2;
    /// The container is unknown or gone: the runtime need not clean up.
    pub const UNKNOWN_CONTAINER: u32 = 3;
    /// A `CNI_*` variable is missing or malformed.
    pub const INVALID_ENVIRONMENT: u32 = 4;
    /// Reading standard input or writing standard output failed.
    pub const IO_FAILURE: u32 = 5;
    /// The input is not the JSON it ought to be.
    pub const DECODING_FAILURE: u32 = 6;
    /// The configuration is well-formed but makes no sense.
    pub const INVALID_CONFIG: u32 = 7;
    /// `CNI_NETNS` is not a network namespace to work in.
    pub const INVALID_NETNS: u32 = 8;
    /// A passing condition: the runtime should try again later.
    pub const TRY_AGAIN_LATER: u32 = 11;
    /// STATUS: the plugin cannot serve an ADD.
    pub const PLUGIN_NOT_AVAILABLE: u32 = 50;
    /// STATUS: as 50, and containers that exist may have limited connectivity.
    pub const LIMITED_CONNECTIVITY: u32 = 51;
    /// A guest's own, when it gave a code that is not for guests.
    pub const GUEST: u32 = 100;
    /// The guest's grant does not cover the operation.
    pub const DENIED: u32 = 900;
    /// A policy guest refused the operation.
    pub const POLICY: u32 = 901;
    /// The guest trapped.
    pub const TRAP: u32 = 902;
    /// The guest overran its deadline.
    pub const DEADLINE: u32 = 903;
    /// The guest hit a limit: memory, operations, log bytes.
    pub const LIMIT: u32 = 904;
    /// The guest imports what the host does not offer.
    pub const IMPORT_MISMATCH: u32 = 905;
    /// Undoing a failed ADD did not succeed in full.
    pub const ROLLBACK_INCOMPLETE: u32 = 906;
    /// Anything else; in the host itself, a bug.
    pub const INTERNAL: u32 = 999;
}

/// How many bytes of an offending value a message shows.
const EXCERPT_BYTES: usize = 96;

/// How many bytes of a delegate's output a message shows.
const OUTPUT_BYTES: usize = 1024;

/// The value quoted and escaped for a message, cut when it is long.
#[must_use]
pub fn excerpt(value: &str) -> String {
    cut(value, EXCERPT_BYTES)
}

fn cut(value: &str, most: usize) -> String {
    if value.len() <= most {
        return format!("{value:?}");
    }
    let head = value.get(..value.floor_char_boundary(most)).unwrap_or_default();
    format!("{head:?}... ({} bytes)", value.len())
}

/// What can be wrong with a request or a result.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `CNI_COMMAND` is unset or empty: somebody ran the plugin by hand.
    #[error("required env variables [CNI_COMMAND] missing")]
    NoCommand,
    /// `CNI_COMMAND` names no operation.
    #[error("unknown CNI_COMMAND: {0}")]
    UnknownCommand(String),
    /// Variables the command requires are unset or empty.
    #[error("required env variables [{}] missing", .0.join(","))]
    MissingEnv(Vec<&'static str>),
    /// `CNI_CONTAINERID` has characters outside the permitted set.
    #[error("invalid characters in containerID")]
    ContainerId(String),
    /// A variable has a malformed value.
    #[error("invalid {key}={value}: {reason}")]
    InvalidEnv {
        /// The variable.
        key: &'static str,
        /// Its value, as [`excerpt`] shows it.
        value: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// `CNI_ARGS` has a segment that is not `KEY=VALUE`.
    #[error("ARGS: invalid pair {0}")]
    ArgsPair(String),
    /// `CNI_ARGS` has keys that the plugin does not know, and no `IgnoreUnknown`.
    #[error("ARGS: unknown args [{0}]")]
    UnknownArgs(String),
    /// The input exceeds [`crate::config::MAX_BYTES`].
    #[error("{what} has {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Which input.
        what: &'static str,
        /// Its size.
        size: usize,
        /// The limit.
        limit: usize,
    },
    /// The input is not JSON.
    #[error("cannot decode {what}: {reason}")]
    Json {
        /// Which input.
        what: &'static str,
        /// The JSON parser's words, with line and column.
        reason: String,
    },
    /// A member has the wrong JSON type, or is no address, number or the like.
    #[error("{path}: expected {expected}, found {found}")]
    Type {
        /// JSON path of the member.
        path: String,
        /// What ought to be there.
        expected: &'static str,
        /// What is there, as [`excerpt`] shows it.
        found: String,
    },
    /// A member is well-formed but not acceptable.
    #[error("{path}: {reason}")]
    Invalid {
        /// JSON path of the member.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration has no network name.
    #[error("missing network name")]
    MissingName,
    /// The network name has characters outside the permitted set.
    #[error("invalid characters found in network name")]
    NetworkName(String),
    /// A `cniVersion` that is none of [`SUPPORTED`].
    #[error("incompatible CNI versions")]
    IncompatibleVersion {
        /// JSON path of the version.
        path: String,
        /// The version, as [`excerpt`] shows it.
        value: String,
    },
    /// The configuration's version came before the command.
    #[error("config version does not allow {command}")]
    CommandNotAllowed {
        /// The command.
        command: &'static str,
        /// The configuration's version.
        version: Version,
        /// The first version that has the command.
        since: Version,
    },
    /// The result has no address, and a version up to 0.2.0 cannot say that.
    #[error("cannot convert: no valid IP addresses")]
    NoAddresses(Version),
}

impl Error {
    /// The same error, found below `parent`: its path grows at the front, so success costs nothing.
    pub(crate) fn under(mut self, parent: &str) -> Self {
        if let Self::Type { path, .. } | Self::Invalid { path, .. } | Self::IncompatibleVersion { path, .. } =
            &mut self
        {
            let dot = if path.is_empty() || path.starts_with('[') { "" } else { "." };
            *path = format!("{parent}{dot}{path}");
        }
        self
    }

    /// As [`Error::under`], for an element of an array.
    pub(crate) fn at(self, index: usize) -> Self {
        self.under(&format!("[{index}]"))
    }

    pub(crate) fn invalid(path: &str, reason: impl Into<String>) -> Self {
        Self::Invalid { path: path.to_owned(), reason: reason.into() }
    }

    /// The protocol's code for this error.
    #[must_use]
    pub fn code(&self) -> u32 {
        match self {
            Self::NoCommand
            | Self::UnknownCommand(_)
            | Self::MissingEnv(_)
            | Self::ContainerId(_)
            | Self::InvalidEnv { .. }
            | Self::ArgsPair(_)
            | Self::UnknownArgs(_) => code::INVALID_ENVIRONMENT,
            Self::TooLarge { .. } | Self::Json { .. } | Self::Type { .. } => code::DECODING_FAILURE,
            Self::Invalid { .. } | Self::MissingName | Self::NetworkName(_) | Self::NoAddresses(_) => {
                code::INVALID_CONFIG
            }
            Self::IncompatibleVersion { .. } | Self::CommandNotAllowed { .. } => code::INCOMPATIBLE_VERSION,
        }
    }

    fn details(&self) -> Option<String> {
        match self {
            Self::ContainerId(value) | Self::NetworkName(value) => Some(value.clone()),
            Self::IncompatibleVersion { path, value } => {
                let list: Vec<String> = SUPPORTED.iter().map(|v| format!("\"{v}\"")).collect();
                let whose = if path == "cniVersion" { "config" } else { path.as_str() };
                Some(format!("{whose} is {value}, plugin supports [{}]", list.join(" ")))
            }
            Self::CommandNotAllowed { command, version, since } => {
                Some(format!("cniVersion is \"{version}\", {command} needs \"{since}\" or newer"))
            }
            Self::NoAddresses(version) => {
                Some(format!("a result of cniVersion \"{version}\" needs an address; use \"0.3.0\" or newer"))
            }
            _ => None,
        }
    }
}

/// The error object a plugin prints on standard output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CniError {
    /// One of [`code`], or a plugin's own.
    #[serde(default)]
    pub code: u32,
    /// One line for the operator.
    #[serde(default)]
    pub msg: String,
    /// The rest of the story.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub details: Option<String>,
}

impl CniError {
    /// An error without details.
    pub fn new(code: u32, msg: impl Into<String>) -> Self {
        Self { code, msg: msg.into(), details: None }
    }

    /// The same with details.
    #[must_use]
    pub fn with_details(mut self, details: impl Into<String>) -> Self {
        self.details = Some(details.into());
        self
    }

    /// The text a plugin prints: `cniVersion` (the reference leaves it out, the specification lists it),
    /// `code`, `msg` and `details`, indented by four spaces.
    #[must_use]
    pub fn render(&self, version: Version) -> String {
        #[derive(Serialize)]
        struct Wire<'a> {
            #[serde(rename = "cniVersion")]
            cni_version: Version,
            #[serde(flatten)]
            error: &'a CniError,
        }
        crate::json::pretty(&Wire { cni_version: version, error: self })
    }

    /// What a native delegate's failure means: the error object on its standard output passes through
    /// unchanged, anything else becomes a 999 that shows what there was.
    #[must_use]
    pub fn from_delegate(stdout: &[u8], stderr: &[u8], exit: &str) -> Self {
        let shown = |bytes: &[u8]| cut(String::from_utf8_lossy(bytes).trim(), OUTPUT_BYTES);
        if stdout.trim_ascii().is_empty() {
            let msg = if stderr.trim_ascii().is_empty() {
                format!("netplugin failed with no error message: {exit}")
            } else {
                format!("netplugin failed: {}: {exit}", shown(stderr))
            };
            return Self::new(code::INTERNAL, msg);
        }
        let problem = match serde_json::from_slice::<Self>(stdout) {
            Ok(error) if error.code != 0 || !error.msg.is_empty() => return error,
            Ok(_) => "neither code nor msg".to_owned(),
            Err(reason) => reason.to_string(),
        };
        let message = shown(stdout);
        let msg = format!("netplugin failed but error parsing its diagnostic message {message}: {problem}");
        Self::new(code::INTERNAL, msg)
    }
}

impl std::fmt::Display for CniError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.msg)?;
        match &self.details {
            Some(details) => write!(f, "; {details}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for CniError {}

impl From<Error> for CniError {
    fn from(error: Error) -> Self {
        Self { code: error.code(), msg: error.to_string(), details: error.details() }
    }
}

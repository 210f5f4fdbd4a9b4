//! The `CNI_*` variables: which command needs which, and what their values may be.

use crate::error::{Error, excerpt};

/// The operation a runtime asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Command {
    /// Attach a container to the network.
    Add,
    /// Detach it.
    Del,
    /// Verify the attachment.
    Check,
    /// Remove what no valid attachment owns.
    Gc,
    /// Say whether an ADD could be served.
    Status,
    /// List the supported versions.
    Version,
}

impl Command {
    /// The value of `CNI_COMMAND`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "ADD",
            Self::Del => "DEL",
            Self::Check => "CHECK",
            Self::Gc => "GC",
            Self::Status => "STATUS",
            Self::Version => "VERSION",
        }
    }

    /// The command of that exact name.
    pub fn parse(text: &str) -> Result<Self, Error> {
        Ok(match text {
            "" => return Err(Error::NoCommand),
            "ADD" => Self::Add,
            "DEL" => Self::Del,
            "CHECK" => Self::Check,
            "GC" => Self::Gc,
            "STATUS" => Self::Status,
            "VERSION" => Self::Version,
            _ => return Err(Error::UnknownCommand(bounded(text))),
        })
    }

    /// Whether the command is about one attachment: container, namespace and interface name.
    #[must_use]
    pub const fn is_attachment(self) -> bool {
        matches!(self, Self::Add | Self::Del | Self::Check)
    }
}

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request's environment, validated for its command. What the command has no use for stays empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Env {
    /// `CNI_COMMAND`
    pub command: Command,
    /// `CNI_CONTAINERID`; empty for GC, STATUS and VERSION.
    pub container_id: String,
    /// `CNI_NETNS`, a path; a DEL may come without.
    pub netns: Option<String>,
    /// `CNI_IFNAME`; empty for GC, STATUS and VERSION.
    pub ifname: String,
    /// `CNI_ARGS`, for [`crate::args::parse_args`].
    pub args: String,
    /// `CNI_PATH`, without empty segments (they would mean the working directory).
    pub path: Vec<String>,
    /// `CNI_NETNS_OVERRIDE`: the namespace may be the plugin's own.
    pub netns_override: bool,
}

impl Env {
    /// Reads the variables through `get`. An empty value counts as missing; all missing ones are reported at
    /// once; a malformed value is reported before that. `CNI_PATH` is never required, as the specification
    /// has it: only delegation needs it. VERSION validates nothing else.
    pub fn parse(get: impl Fn(&str) -> Option<String>) -> Result<Self, Error> {
        let get = |key: &str| get(key).filter(|value| !value.is_empty());
        let command = Command::parse(&get("CNI_COMMAND").unwrap_or_default())?;
        let mut env = Self {
            command,
            container_id: String::new(),
            netns: None,
            ifname: String::new(),
            args: String::new(),
            path: Vec::new(),
            netns_override: false,
        };
        if command == Command::Version {
            return Ok(env);
        }
        if command.is_attachment() {
            env.read_attachment(&get)?;
        }
        if let Some(path) = get("CNI_PATH") {
            env.path = path.split(':').filter(|dir| !dir.is_empty()).map(str::to_owned).collect();
        }
        Ok(env)
    }

    fn read_attachment(&mut self, get: &impl Fn(&str) -> Option<String>) -> Result<(), Error> {
        let mut missing = Vec::new();
        match get("CNI_CONTAINERID") {
            Some(id) => {
                container_id(&id)?;
                self.container_id = id;
            }
            None => missing.push("CNI_CONTAINERID"),
        }
        self.netns = get("CNI_NETNS");
        if self.netns.is_none() && self.command != Command::Del {
            missing.push("CNI_NETNS");
        }
        match get("CNI_IFNAME") {
            Some(name) => {
                ifname(&name)?;
                self.ifname = name;
            }
            None => missing.push("CNI_IFNAME"),
        }
        if !missing.is_empty() {
            return Err(Error::MissingEnv(missing));
        }
        self.args = get("CNI_ARGS").unwrap_or_default();
        self.netns_override =
            get("CNI_NETNS_OVERRIDE").is_some_and(|v| v == "1" || v.eq_ignore_ascii_case("true"));
        Ok(())
    }
}

/// A container id: a letter or digit, then letters, digits, `_`, `.` and `-`.
pub fn container_id(id: &str) -> Result<(), Error> {
    if is_identifier(id) { Ok(()) } else { Err(Error::ContainerId(bounded(id))) }
}

/// An interface name the kernel takes as it is. `%` is refused although the reference lets it pass: the kernel
/// reads it as a template (`eth%d`) and would make an interface of another name.
pub fn ifname(name: &str) -> Result<(), Error> {
    let reason = if name.is_empty() {
        "an interface name cannot be empty"
    } else if name.len() > 15 {
        "an interface name has at most 15 bytes"
    } else if name == "." || name == ".." {
        "not an interface name"
    } else if name.contains(|c: char| c == '/' || c == ':' || c == '%' || c.is_whitespace() || c == '\0') {
        "an interface name has no '/', ':', '%' or white space"
    } else {
        return Ok(());
    };
    Err(Error::InvalidEnv { key: "CNI_IFNAME", value: excerpt(name), reason })
}

/// The pattern that container ids and network names share.
pub(crate) fn is_identifier(text: &str) -> bool {
    let tail = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()) && text.bytes().all(tail)
}

/// Shown without quotes when it is short and printable, for texts that match the reference's.
pub(crate) fn bounded(text: &str) -> String {
    if text.len() <= 96 && !text.chars().any(char::is_control) { text.to_owned() } else { excerpt(text) }
}

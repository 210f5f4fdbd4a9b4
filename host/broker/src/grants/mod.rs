//! Grants: which guest may do what. One TOML file per guest, `/etc/cni/wharf.d/<guest>.toml`:
//!
//! ```toml
//! digest = "sha256:..."
//! operations = ["links/*", "routes/add", "nat/forward-ports"]
//!
//! [links]
//! names = ["cni0", "veth*"]                # of the host
//! container-names = ["{ifname}"]           # inside the container
//!
//! [routes]
//! container-cidrs = ["10.0.0.0/8", "default"]
//!
//! [nat]
//! host-ports = ["1024-65535"]
//! cidrs = ["10.0.0.0/8"]
//!
//! [limits]
//! deadline-ms = 20000
//! memory-mib = 64
//! operations = 4096
//! log-bytes = 65536
//! ```
//!
//! Nothing is allowed that no line names. An operation that a constraint bounds ([`Key`] says which do) is denied where the
//! file does not have that key: to grant `links/set-up` without `[links] names` lets no link of the host be raised. A key or an
//! operation that does not exist is an error that lists those that do.
//!
//! Globs: `*` is any text without a slash, `?` one character, `{ifname}` the interface that CNI_IFNAME names. A network in a
//! list allows all that is inside it; `default` allows default routes and nothing else. What is bounded is what changes
//! something, and sysctls also when they are read, for some are secret. A route's next hop and link are not bounded, nor is
//! the address of the host that a port is open on.

mod claim;
mod constraint;
mod file;
mod key;
mod pattern;
mod profile;
mod remembered;
mod suggest;
#[cfg(test)]
mod tests;
mod words;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use wharf_ops::{Attachment, OPERATIONS, Op};

use crate::Paths;
use crate::guests::{GIVE_TO_ROOT, Manifest, own};
use crate::spelling::nearest;
use constraint::{Constraints, Refusal};

pub use file::{is_untouched, with_digest, with_tables};
pub use key::Key;
pub use suggest::{fresh, suggest, tables};
pub use words::words;

/// What is wrong with a grant file.
#[derive(Debug, thiserror::Error)]
pub enum GrantError {
    /// There is none.
    #[error(
        "there is no grant for the guest {name:?}: {path} is missing; run `wharfctl install` or write it"
    )]
    Missing {
        /// The guest.
        name: String,
        /// Where it was looked for.
        path: String,
    },
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// Which file.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// It is no grant. The message of the TOML parser names line, key and the keys that exist.
    #[error("{path}: {reason}")]
    Malformed {
        /// Which file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// It is for another component than the one that is installed.
    #[error(
        "{path} is for the component {granted}, but {installed} is installed: run `wharfctl install`, or write digest = {installed:?}"
    )]
    Digest {
        /// Which file.
        path: String,
        /// Of the grant.
        granted: String,
        /// Of the guest.
        installed: String,
    },
    /// The guest can do more than it says.
    #[error("the guest {name:?} imports more than {path} grants; add to its operations: {}", lines(missing))]
    Imports {
        /// The guest.
        name: String,
        /// Which file.
        path: String,
        /// What it does not grant.
        missing: Vec<String>,
    },
}

/// Operations as they stand in the list of a grant file.
fn lines(operations: &[String]) -> String {
    operations.iter().map(|name| format!("{name:?},")).collect::<Vec<_>>().join(" ")
}

/// What a guest may use up in one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Milliseconds until the sandbox is killed.
    pub deadline_ms: u32,
    /// Linear memory, in MiB.
    pub memory_mib: u32,
    /// How many operations it may ask for.
    pub operations: u32,
    /// How many bytes of its log lines are kept, and how many of those that say what it was denied.
    pub log_bytes: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { deadline_ms: 20_000, memory_mib: 64, operations: 4096, log_bytes: 64 * 1024 }
    }
}

impl Limits {
    /// The deadline as a duration.
    pub fn deadline(&self) -> Duration {
        Duration::from_millis(self.deadline_ms.into())
    }

    /// What is wrong with them. A guest that may log nothing runs all the same.
    fn check(&self) -> Result<(), String> {
        let usual = Self::default();
        for (key, value, usual) in [
            ("deadline-ms", self.deadline_ms, usual.deadline_ms),
            ("memory-mib", self.memory_mib, usual.memory_mib),
            ("operations", self.operations, usual.operations),
        ] {
            if value == 0 {
                return Err(format!(
                    "limits.{key} = 0 would end every call: write 1 or more, or leave the line out, which means {usual}"
                ));
            }
        }
        Ok(())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    digest: String,
    operations: Vec<String>,
    #[serde(default)]
    limits: Limits,
    links: Option<constraint::Names>,
    bridge_ports: Option<constraint::BridgePorts>,
    addresses: Option<constraint::Cidrs>,
    routes: Option<constraint::Destinations>,
    neighbours: Option<constraint::Cidrs>,
    sysctl: Option<constraint::Sysctls>,
    nat: Option<constraint::Nat>,
    shaping: Option<constraint::Names>,
    leases: Option<constraint::Leases>,
    delegate: Option<constraint::Delegates>,
}

/// One guest's grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The component that it is for: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// What the call may use up.
    pub limits: Limits,
    allowed: Vec<&'static str>,
    constraints: Constraints,
    /// Whether the file has a table of constraints, if only an empty one.
    constrained: bool,
}

impl Grant {
    /// Reads the grant of `name`.
    pub fn read(directory: &Path, name: &str) -> Result<Self, GrantError> {
        let path = file(directory, name);
        let text = text(&path, name)?;
        Self::parse(&text).map_err(|reason| malformed(&path, reason))
    }

    /// Parses the text of a grant file.
    pub fn parse(text: &str) -> Result<Self, String> {
        Self::of(toml::from_str(text).map_err(|error| in_line(text, &error))?)
    }

    fn of(document: Document) -> Result<Self, String> {
        let hex = document.digest.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("digest: {:?} is not `sha256:` and 64 hexadecimal digits", document.digest));
        }
        document.limits.check()?;
        let mut allowed = Vec::with_capacity(OPERATIONS.len());
        for pattern in &document.operations {
            let before = allowed.len();
            let mut names = OPERATIONS.iter().map(|operation| operation.name);
            match pattern.strip_suffix("/*") {
                Some(room) => allowed
                    .extend(names.filter(|name| name.split_once('/').is_some_and(|(its, _)| its == room))),
                None => allowed.extend(names.find(|name| name == pattern)),
            }
            if allowed.len() == before {
                return Err(format!("operations: {pattern:?} names no operation; {}", meant(pattern)));
            }
        }
        let mut constrained = false;
        let constraints = Constraints {
            links: table(document.links, &mut constrained),
            bridge_ports: table(document.bridge_ports, &mut constrained),
            addresses: table(document.addresses, &mut constrained),
            routes: table(document.routes, &mut constrained),
            neighbours: table(document.neighbours, &mut constrained),
            sysctl: table(document.sysctl, &mut constrained),
            nat: table(document.nat, &mut constrained),
            shaping: table(document.shaping, &mut constrained),
            leases: table(document.leases, &mut constrained),
            delegate: table(document.delegate, &mut constrained),
        };
        Ok(Self { digest: document.digest, limits: document.limits, allowed, constraints, constrained })
    }

    /// Reads the grant of an installed guest, which must be for its component and cover all that it imports.
    pub fn read_for(paths: &Paths, manifest: &Manifest) -> Result<Self, GrantError> {
        let path = file(&paths.grants(), &manifest.name);
        let text = text(&path, &manifest.name)?;
        let (folder, name) = (paths.remembered_grants(), &manifest.name);
        let remembered =
            remembered::recall(&folder, name, &text).and_then(|document| Self::of(document).ok());
        let grant = if let Some(grant) = remembered {
            grant
        } else {
            let grant = Self::parse(&text).map_err(|reason| malformed(&path, reason))?;
            remembered::remember(&folder, name, &text);
            grant
        };
        let path = || path.display().to_string();
        if grant.digest != manifest.digest {
            let installed = manifest.digest.clone();
            return Err(GrantError::Digest { path: path(), granted: grant.digest, installed });
        }
        let missing: Vec<String> = grant.missing(&manifest.imports).into_iter().map(str::to_string).collect();
        if missing.is_empty() {
            return Ok(grant);
        }
        Err(GrantError::Imports { name: manifest.name.clone(), path: path(), missing })
    }

    /// Whether an operation that the grant covers stays inside its constraints.
    pub(crate) fn confine(&self, op: &Op, attachment: &Attachment) -> Result<(), Refusal> {
        self.constraints.confine(op, attachment)
    }

    /// What the file has at a key of constraints: none if it does not have the key.
    pub fn constraint(&self, key: Key) -> Option<Vec<String>> {
        self.constraints.get(key)
    }

    /// Whether the file has no table of constraints at all, as those of the first version.
    pub fn is_unconstrained(&self) -> bool {
        !self.constrained
    }

    /// Whether the grant covers an operation.
    pub fn allows(&self, operation: &str) -> bool {
        self.allowed.contains(&operation)
    }

    /// The line that would allow an operation, if guests can have it at all.
    pub fn line_for(operation: &str) -> Option<String> {
        let offered = OPERATIONS.iter().any(|known| known.name == operation);
        offered.then(|| format!("operations = [{operation:?}]"))
    }

    /// What `imports` asks for beyond the grant.
    pub fn missing<'a>(&self, imports: &'a [String]) -> Vec<&'a str> {
        imports.iter().map(String::as_str).filter(|name| !self.allows(name)).collect()
    }
}

fn file(directory: &Path, name: &str) -> PathBuf {
    directory.join(format!("{name}.toml"))
}

fn text(file: &Path, name: &str) -> Result<String, GrantError> {
    let path = || file.display().to_string();
    match std::fs::File::open(file) {
        Ok(handle) => {
            own(&handle).map_err(|reason| malformed(file, format!("{reason}, {GIVE_TO_ROOT}")))?;
            std::io::read_to_string(handle).map_err(|source| GrantError::Io { path: path(), source })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(GrantError::Missing { name: name.to_string(), path: path() })
        }
        Err(source) => Err(GrantError::Io { path: path(), source }),
    }
}

fn malformed(file: &Path, reason: String) -> GrantError {
    GrantError::Malformed { path: file.display().to_string(), reason }
}

/// A table of constraints; one that is not there has no keys.
fn table<T: Default>(found: Option<T>, any: &mut bool) -> T {
    *any |= found.is_some();
    found.unwrap_or_default()
}

/// What may have been meant, or else what there is, by interfaces.
fn meant(pattern: &str) -> String {
    let mut rooms: Vec<String> = OPERATIONS
        .iter()
        .filter_map(|operation| Some(format!("{}/*", operation.name.split_once('/')?.0)))
        .collect();
    rooms.dedup();
    let names = OPERATIONS.iter().map(|operation| operation.name);
    match nearest(pattern, names.chain(rooms.iter().map(String::as_str))) {
        Some(name) => format!("did you mean {name:?}?"),
        None => format!("there are {}", rooms.join(", ")),
    }
}

/// One sentence with the line. The parser's message names the keys that exist.
pub(crate) fn in_line(text: &str, error: &toml::de::Error) -> String {
    let message = error.message().trim_end().replace('\n', ", ");
    let before = error.span().and_then(|span| text.get(..span.start));
    match before {
        Some(before) => format!("line {}: {message}", before.matches('\n').count() + 1),
        None => message,
    }
}

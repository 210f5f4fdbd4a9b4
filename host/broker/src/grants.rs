//! Grants: which guest may do what. One TOML file per guest, `/etc/cni/wharf.d/<guest>.toml`:
//!
//! ```toml
//! digest = "sha256:..."
//! operations = ["links/*", "routes/add"]
//!
//! [limits]
//! deadline-ms = 20000
//! memory-mib = 64
//! operations = 4096
//! log-bytes = 65536
//! ```
//!
//! Nothing is allowed that no line names. A key or an operation that does not exist is an error that lists those that do.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use wharf_ops::OPERATIONS;

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
}

/// What a guest may use up in one call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Limits {
    /// Milliseconds until the sandbox is killed.
    pub deadline_ms: u32,
    /// Linear memory, in MiB.
    pub memory_mib: u32,
    /// How many operations it may ask for.
    pub operations: u32,
    /// How many bytes of log lines are kept.
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
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Document {
    digest: String,
    operations: Vec<String>,
    #[serde(default)]
    limits: Limits,
}

/// One guest's grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The component that it is for: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
    /// What the call may use up.
    pub limits: Limits,
    allowed: Vec<&'static str>,
}

impl Grant {
    /// Reads the grant of `name`.
    pub fn read(directory: &Path, name: &str) -> Result<Self, GrantError> {
        let file = directory.join(format!("{name}.toml"));
        let path = file.display().to_string();
        match std::fs::File::open(&file) {
            Ok(handle) => {
                let malformed = |reason| GrantError::Malformed { path: path.clone(), reason };
                crate::guests::check_owner(&handle, &path).map_err(|error| malformed(error.to_string()))?;
                let text = std::io::read_to_string(handle);
                let text = text.map_err(|source| GrantError::Io { path: path.clone(), source })?;
                Self::parse(&text).map_err(malformed)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Err(GrantError::Missing { name: name.to_string(), path })
            }
            Err(source) => Err(GrantError::Io { path, source }),
        }
    }

    /// Parses the text of a grant file.
    pub fn parse(text: &str) -> Result<Self, String> {
        let document: Document = toml::from_str(text).map_err(|error| error.to_string())?;
        let hex = document.digest.strip_prefix("sha256:").unwrap_or_default();
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(format!("digest: {:?} is not `sha256:` and 64 hexadecimal digits", document.digest));
        }
        let mut allowed = Vec::new();
        for pattern in &document.operations {
            let before = allowed.len();
            allowed.extend(
                OPERATIONS.iter().map(|operation| operation.name).filter(|name| covers(pattern, name)),
            );
            if allowed.len() == before {
                return Err(format!("operations: {pattern:?} names no operation; there are {}", known()));
            }
        }
        Ok(Self { digest: document.digest, limits: document.limits, allowed })
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

fn covers(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix("/*") {
        Some(room) => name.split_once('/').is_some_and(|(its, _)| its == room),
        None => pattern == name,
    }
}

fn known() -> String {
    let mut text = String::new();
    let mut last = "";
    for operation in OPERATIONS {
        let room = operation.name.split_once('/').map_or("", |(room, _)| room);
        if room != last {
            last = room;
            text.push_str(room);
            text.push_str("/*, ");
        }
    }
    for operation in OPERATIONS {
        text.push_str(operation.name);
        text.push_str(", ");
    }
    text.trim_end_matches(", ").to_string()
}

/// The grant file of a guest with just the operations that it imports.
pub fn least(digest: &str, imports: &[String]) -> String {
    let mut text = format!(
        "# What this guest may do. Nothing is allowed that no line names; `wharfctl guests` shows what it imports.\n\
         digest = \"{digest}\"\noperations = [\n"
    );
    for name in imports {
        text.extend(["    \"", name, "\",\n"]);
    }
    text.push_str("]\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:0000000000000000000000000000000000000000000000000000000000000000";

    fn grant(operations: &str) -> Result<Grant, String> {
        Grant::parse(&format!("digest = {DIGEST:?}\noperations = {operations}"))
    }

    #[test]
    fn what_no_line_names_is_denied() {
        let grant = grant(r#"["routes/*", "links/get"]"#).unwrap();
        assert!(grant.allows("routes/add") && grant.allows("links/get"));
        assert!(!grant.allows("links/delete") && !grant.allows("routes") && !grant.allows("leases/open"));
        assert_eq!(grant.missing(&["links/get".into(), "nat/detect".into()]), ["nat/detect"]);
    }

    #[test]
    fn host_only_operations_cannot_be_granted() {
        assert!(grant(r#"["links/*"]"#).unwrap().allows("links/delete"));
        assert!(!grant(r#"["links/*"]"#).unwrap().allows("links/delete-unused-bridge"));
        assert!(grant(r#"["links/delete-unused-bridge"]"#).is_err());
        assert_eq!(Grant::line_for("links/delete-unused-bridge"), None);
        assert_eq!(Grant::line_for("links/get").as_deref(), Some(r#"operations = ["links/get"]"#));
    }

    #[test]
    fn wrong_names_are_errors_that_list_the_right_ones() {
        assert!(grant(r#"["link/get"]"#).unwrap_err().contains("links/get"));
        assert!(grant(r#"["*"]"#).unwrap_err().contains("links/*"));
        let unknown = Grant::parse(&format!("digest = {DIGEST:?}\noperations = []\nlinks = 1")).unwrap_err();
        assert!(unknown.contains("`links`") && unknown.contains("`operations`"), "{unknown}");
        let limit =
            Grant::parse(&format!("digest = {DIGEST:?}\noperations = []\n[limits]\nmemory = 1")).unwrap_err();
        assert!(limit.contains("memory-mib"), "{limit}");
        assert!(Grant::parse("digest = \"sha256:12\"\noperations = []").unwrap_err().contains("64"));
    }

    #[test]
    fn the_least_grant_allows_the_imports_and_nothing_else() {
        let imports = vec!["links/get".to_string(), "routes/add".to_string()];
        let grant = Grant::parse(&least(DIGEST, &imports)).unwrap();
        assert!(grant.missing(&imports).is_empty());
        assert!(!grant.allows("links/get-all"));
        assert_eq!(grant.limits, Limits::default());
    }
}

//! Every path that Wharf owns, below the root that `WHARF_ROOT` names.

use std::io;
use std::path::{Path, PathBuf};

/// Where things are. The root is `/` but for tests and packaging.
#[derive(Clone, Debug)]
pub struct Paths {
    root: PathBuf,
}

impl Paths {
    /// Below `root`.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Below `WHARF_ROOT`, or below `/` if that is not set.
    pub fn from_env() -> Self {
        match std::env::var_os("WHARF_ROOT") {
            Some(root) if !root.is_empty() => Self::below(root),
            _ => Self::below("/"),
        }
    }

    /// One manifest per installed guest.
    pub fn guests(&self) -> PathBuf {
        self.root.join("var/lib/wharf/guests")
    }

    /// The compiled guests, named by their digest.
    pub fn artefacts(&self) -> PathBuf {
        self.root.join("var/lib/wharf/artefacts")
    }

    /// The node's pod CIDRs, as `wharfctl pod-cidr` found them.
    pub fn pod_cidrs(&self) -> PathBuf {
        self.root.join("var/lib/wharf/pod-cidrs.json")
    }

    /// Is there while Wharf is being removed from the node: no ADD is served then.
    pub fn retired(&self) -> PathBuf {
        self.root.join("var/lib/wharf/retired")
    }

    /// What `wharfctl install` put into the runtime's folders.
    pub fn installed(&self) -> PathBuf {
        self.root.join("var/lib/wharf/installed.json")
    }

    /// One grant per guest.
    pub fn grants(&self) -> PathBuf {
        self.root.join("etc/cni/wharf.d")
    }

    /// What the grants said when they were read last; may vanish at any time.
    pub fn remembered_grants(&self) -> PathBuf {
        self.root.join("run/wharf/grants")
    }

    /// The leases of one network: host-local's `dataDir`, `/var/lib/cni/networks` by default.
    pub fn leases(&self, directory: Option<&str>, network: &str) -> PathBuf {
        self.inside(directory.unwrap_or("/var/lib/cni/networks")).join(network)
    }

    /// What makes looking up leases fast; may vanish at any time.
    pub fn lease_index(&self, directory: Option<&str>, network: &str) -> PathBuf {
        let name = match directory {
            None => network.to_string(),
            // Two directories with a network of the same name must not share an index.
            Some(directory) => format!("{network}@{}", crate::guests::sha256_hex(directory.as_bytes())),
        };
        self.root.join("run/wharf/leases").join(name)
    }

    /// One journal per attachment and entry; goes with the boot.
    pub fn attachments(&self) -> PathBuf {
        self.root.join("run/wharf/attachments")
    }

    /// One lock per bridge of the host; may vanish when no call runs.
    pub fn bridges(&self) -> PathBuf {
        self.root.join("run/wharf/bridges")
    }

    /// What was counted and traced of calls, until somebody reads it; goes with the boot.
    pub fn spool(&self) -> PathBuf {
        self.root.join("run/wharf/telemetry")
    }

    /// What an operator wants to see of the calls.
    pub fn settings(&self) -> PathBuf {
        self.root.join("etc/cni/wharf.toml")
    }

    /// An absolute path of the configuration, below the root.
    pub fn inside(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// The root itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Whether opening `path` failed because there is nothing of that name. A symbolic link that leads nowhere is something:
/// whoever made it wanted a file there.
pub fn is_absent(path: &Path, error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound && path.symlink_metadata().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_that_leads_nowhere_is_not_absent() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("a");
        let error = std::fs::File::open(&path).unwrap_err();
        assert!(is_absent(&path, &error));
        std::os::unix::fs::symlink("nowhere", &path).unwrap();
        assert!(!is_absent(&path, &std::fs::File::open(&path).unwrap_err()));
    }

    #[test]
    fn everything_is_below_the_root() {
        let paths = Paths::below("/r");
        assert_eq!(paths.leases(None, "n"), Path::new("/r/var/lib/cni/networks/n"));
        assert_eq!(paths.leases(Some("/data"), "n"), Path::new("/r/data/n"));
        assert_eq!(paths.guests(), Path::new("/r/var/lib/wharf/guests"));
        assert_ne!(paths.lease_index(Some("/a"), "n"), paths.lease_index(Some("/b"), "n"));
    }
}

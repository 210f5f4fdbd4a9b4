//! The reference plugins to measure against: Debian sid's, fetched with a private apt, else this Debian's own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::say;
use crate::setup::apt::{self, PrivateApt};
use crate::workspace::{Workspace, create_dir, write_atomically};

const PACKAGE: &str = "containernetworking-plugins";
/// Debian sid first: it has the current release. bookworm's is older and knows no nftables backend.
const SUITES: [&str; 2] = ["sid", "bookworm"];

/// Unpacked reference plugins.
pub(crate) struct Reference {
    /// The folder with the binaries.
    pub(crate) plugins: PathBuf,
    /// Debian's version, such as `1.9.1+ds1-1`.
    pub(crate) version: String,
}

impl Reference {
    /// Whether this release masquerades and maps ports with nftables too.
    pub(crate) fn knows_nftables(&self) -> bool {
        let mut numbers =
            self.version.split(|c: char| !c.is_ascii_digit()).map_while(|part| part.parse::<u32>().ok());
        (numbers.next(), numbers.next()) >= (Some(1), Some(7))
    }
}

/// Where the plugins are unpacked.
pub(crate) fn folder(workspace: &Workspace) -> PathBuf {
    root(workspace).join("usr/lib/cni")
}

fn root(workspace: &Workspace) -> PathBuf {
    workspace.target().join("reference")
}

/// Returns the plugins of an earlier run or fetches them.
pub(crate) fn fetch(workspace: &Workspace) -> Result<Reference> {
    say::heading("The reference plugins");
    let root = root(workspace);
    let stamp = root.join("version");
    let plugins = folder(workspace);
    if let Ok(version) = fs::read_to_string(&stamp)
        && plugins.join("bridge").exists()
    {
        let version = version.trim().to_owned();
        say::good(format_args!("{PACKAGE} {version}, unpacked by an earlier run"));
        return Ok(Reference { plugins, version });
    }
    let mut failure = anyhow!("no suite was tried");
    for suite in SUITES {
        match unpack(workspace, suite, &root) {
            Ok(version) => {
                write_atomically(&stamp, version.as_bytes())?;
                say::good(format_args!("{PACKAGE} {version} from Debian {suite}"));
                return Ok(Reference { plugins, version });
            }
            Err(error) => {
                say::warn(format_args!("not from Debian {suite}: {error:#}"));
                failure = error;
            }
        }
    }
    Err(failure).with_context(|| format!("cannot get {PACKAGE}"))
}

fn unpack(workspace: &Workspace, suite: &str, root: &Path) -> Result<String> {
    let work = workspace.build_dir.join("setup");
    create_dir(&work)?;
    let apt = PrivateApt::new(&work, suite)?;
    let version = apt.newest(PACKAGE)?;
    let deb = apt.download(PACKAGE, &version, &work.join("debs"))?;
    apt::unpack_all(&[deb], root)?;
    Ok(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nftables_backend_came_with_1_7() {
        for (version, knows) in
            [("1.9.1+ds1-1", true), ("1.7.0-1", true), ("1.1.1+ds1-3+b3", false), ("2.0", true)]
        {
            let reference = Reference { plugins: PathBuf::new(), version: version.to_owned() };
            assert_eq!(reference.knows_nftables(), knows, "{version}");
        }
    }
}

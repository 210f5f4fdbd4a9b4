//! A kernel of Debian 12, and other packages with it, unpacked below a folder and not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::setup::apt::{self, PrivateApt};
use crate::sh;
use crate::workspace::write_atomically;

pub(in crate::test) const SUITE: &str = "bookworm";

/// What was unpacked.
#[derive(Debug)]
pub(in crate::test) struct Kernel {
    /// Where the packages are.
    pub(in crate::test) root: PathBuf,
    /// Such as `6.1.0-56-cloud-amd64`.
    pub(in crate::test) release: String,
}

impl Kernel {
    /// What is there, if [`unpack`] was done.
    pub(in crate::test) fn found(root: &Path) -> Result<Option<Self>> {
        let stamp = stamp(root);
        if !stamp.exists() {
            return Ok(None);
        }
        let release =
            fs::read_to_string(&stamp).with_context(|| format!("cannot read {}", stamp.display()))?;
        Ok(Some(Self { root: root.to_owned(), release: release.trim().to_owned() }))
    }

    /// Its file.
    pub(in crate::test) fn file(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// The folder of its modules.
    pub(in crate::test) fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.release)
    }
}

/// The package of the newest kernel of a kind: what the kind's own package depends on.
pub(in crate::test) fn newest(apt: &PrivateApt, kind: &str) -> Result<String> {
    let mut packages = apt.depends(kind)?.into_iter();
    packages
        .find(|package| package.starts_with("linux-image-"))
        .ok_or_else(|| anyhow!("{kind} of Debian {SUITE} depends on no kernel"))
}

/// Unpacks the kernel of a package and all others under `root`; `depmod` makes the index of modules, which the package
/// leaves to its script.
pub(in crate::test) fn unpack(
    package: &str,
    debs: &[PathBuf],
    root: &Path,
    mut depmod: Command,
) -> Result<Kernel> {
    apt::unpack_all(debs, root)?;
    let release = package.trim_start_matches("linux-image-");
    sh::output(depmod.arg("-b").arg(root).arg(release))?;
    write_atomically(&stamp(root), format!("{release}\n").as_bytes())?;
    Ok(Kernel { root: root.to_owned(), release: release.to_owned() })
}

fn stamp(root: &Path) -> PathBuf {
    root.join("kernel")
}

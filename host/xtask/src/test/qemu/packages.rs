//! The kernel and the emulator: packages of Debian 12, unpacked below `target/qemu` and not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use crate::setup::apt::{self, PrivateApt};
use crate::workspace::{Workspace, create_dir, write_atomically};
use crate::{say, sh};

const SUITE: &str = "bookworm";
/// Depends on the newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";
const EMULATOR: &str = "qemu-system-x86_64";
/// Packages of it whose files are looked for beside it: emulators of other processors bring some of them into this system.
const EMULATOR_PARTS: [&str; 3] = ["qemu-system-common", "qemu-system-data", "seabios"];

/// What a machine is made of.
#[derive(Debug)]
pub(super) struct Parts {
    /// Where the packages are unpacked.
    root: PathBuf,
    /// The emulator of this system, if it has one.
    own: Option<PathBuf>,
    /// Such as `6.1.0-56-cloud-amd64`.
    pub(super) release: String,
}

impl Parts {
    /// Takes what is there, fetches what is missing.
    pub(super) fn ensure(workspace: &Workspace) -> Result<Self> {
        let root = workspace.target().join("qemu/packages");
        let stamp = root.join("kernel");
        let own = sh::find(EMULATOR);
        if !stamp.exists() {
            Self::fetch(workspace, &root, own.is_none())?;
        }
        let release =
            fs::read_to_string(&stamp).with_context(|| format!("cannot read {}", stamp.display()))?;
        let parts = Self { root, own, release: release.trim().to_owned() };
        say::good(format_args!(
            "Linux {} in {}",
            parts.release,
            sh::output(parts.emulator().arg("--version"))?.lines().next().unwrap_or_default()
        ));
        Ok(parts)
    }

    fn fetch(workspace: &Workspace, root: &Path, with_emulator: bool) -> Result<()> {
        let work = workspace.build_dir.join("setup");
        create_dir(&work)?;
        let apt = PrivateApt::new(&work, SUITE)?;
        let image = apt
            .depends(KERNEL)?
            .into_iter()
            .find(|package| package.starts_with("linux-image-"))
            .ok_or_else(|| anyhow!("{KERNEL} of Debian {SUITE} depends on no kernel"))?;
        let mut debs = Vec::new();
        // By name and not as what is missing: this system may have the package, and its kernel elsewhere.
        let mut packages = vec![image.as_str(), "busybox-static"];
        if with_emulator {
            packages.extend(EMULATOR_PARTS);
        }
        for package in packages {
            let version = apt.versions(package)?.into_iter().next();
            let version = version.ok_or_else(|| anyhow!("Debian {SUITE} has no {package}"))?;
            debs.push(apt.download(package, &version, &work.join("debs"))?);
        }
        if with_emulator {
            debs.extend(apt.download_missing(&["qemu-system-x86"])?);
        }
        if root.exists() {
            fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))?;
        }
        for deb in &debs {
            apt::unpack(deb, root)?;
        }
        let release = image.trim_start_matches("linux-image-");
        // The package leaves this to its script. In the archive it is done once.
        sh::output(Command::new(root.join("bin/busybox")).args(["depmod", "-b"]).arg(root).arg(release))?;
        write_atomically(&root.join("kernel"), format!("{release}\n").as_bytes())
    }

    /// The static busybox.
    pub(super) fn busybox(&self) -> PathBuf {
        self.root.join("bin/busybox")
    }

    /// The kernel's file.
    pub(super) fn kernel(&self) -> PathBuf {
        self.root.join(format!("boot/vmlinuz-{}", self.release))
    }

    /// The folder of its modules.
    pub(super) fn modules(&self) -> PathBuf {
        self.root.join("lib/modules").join(&self.release)
    }

    /// The emulator, to be completed.
    pub(super) fn emulator(&self) -> Command {
        if let Some(own) = &self.own {
            return Command::new(own);
        }
        let mut command = Command::new(self.root.join("usr/bin").join(EMULATOR));
        let libraries =
            ["usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio", "lib/x86_64-linux-gnu"];
        let libraries = std::env::join_paths(libraries.map(|folder| self.root.join(folder)));
        command.env("LD_LIBRARY_PATH", libraries.unwrap_or_default());
        command.env("QEMU_MODULE_DIR", self.root.join("usr/lib/x86_64-linux-gnu/qemu"));
        for firmware in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(self.root.join(firmware));
        }
        command
    }
}

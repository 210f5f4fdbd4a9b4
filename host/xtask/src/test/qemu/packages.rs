//! The kernel and the emulator: packages of Debian 12, unpacked below `target/qemu` and not installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::setup::apt::PrivateApt;
use crate::test::machine::kernel::{self, Kernel, SUITE};
use crate::workspace::{Workspace, create_dir};
use crate::{say, sh};

/// Depends on the newest kernel for virtual machines.
const KERNEL: &str = "linux-image-cloud-amd64";
const EMULATOR: &str = "qemu-system-x86_64";
/// Packages of it whose files are looked for beside it: emulators of other processors bring some of them into this system.
const EMULATOR_PARTS: [&str; 3] = ["qemu-system-common", "qemu-system-data", "seabios"];

/// What a machine is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) kernel: Kernel,
    /// The emulator of this system, if it has one.
    own: Option<PathBuf>,
}

impl Parts {
    /// Takes what is there, fetches what is missing.
    pub(super) fn ensure(workspace: &Workspace) -> Result<Self> {
        let root = workspace.target().join("qemu/packages");
        let own = sh::find(EMULATOR);
        let kernel = match Kernel::found(&root)? {
            // It may have been there when they were fetched, and have gone since.
            Some(kernel) if own.is_some() || emulator(&root).exists() => kernel,
            _ => fetch(workspace, &root, own.is_none())?,
        };
        let parts = Self { kernel, own };
        say::good(format_args!(
            "Linux {} in {}",
            parts.kernel.release,
            sh::output(parts.emulator().arg("--version"))?.lines().next().unwrap_or_default()
        ));
        Ok(parts)
    }

    /// The static busybox.
    pub(super) fn busybox(&self) -> PathBuf {
        busybox(&self.kernel.root)
    }

    /// The emulator, to be completed.
    pub(super) fn emulator(&self) -> Command {
        if let Some(own) = &self.own {
            return Command::new(own);
        }
        let mut command = Command::new(emulator(&self.kernel.root));
        let libraries =
            ["usr/lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu/pulseaudio", "lib/x86_64-linux-gnu"];
        let libraries = std::env::join_paths(libraries.map(|folder| self.kernel.root.join(folder)));
        command.env("LD_LIBRARY_PATH", libraries.unwrap_or_default());
        command.env("QEMU_MODULE_DIR", self.kernel.root.join("usr/lib/x86_64-linux-gnu/qemu"));
        for firmware in ["usr/share/qemu", "usr/share/seabios"] {
            command.arg("-L").arg(self.kernel.root.join(firmware));
        }
        command
    }
}

fn fetch(workspace: &Workspace, root: &Path, with_emulator: bool) -> Result<Kernel> {
    let work = workspace.build_dir.join("setup");
    create_dir(&work)?;
    let apt = PrivateApt::new(&work, SUITE)?;
    let image = kernel::newest(&apt, KERNEL)?;
    // By name and not as what is missing: this system may have the package, and its kernel elsewhere.
    let mut packages = vec![image.as_str(), "busybox-static"];
    if with_emulator {
        packages.extend(EMULATOR_PARTS);
    }
    let mut debs = packages
        .into_iter()
        .map(|package| apt.download_newest(package, &work.join("debs")))
        .collect::<Result<Vec<_>>>()?;
    if with_emulator {
        debs.extend(apt.download_missing(&["qemu-system-x86"])?);
    }
    let mut depmod = Command::new(busybox(root));
    depmod.arg("depmod");
    kernel::unpack(&image, &debs, root, depmod)
}

/// The unpacked emulator.
fn emulator(root: &Path) -> PathBuf {
    root.join("usr/bin").join(EMULATOR)
}

fn busybox(root: &Path) -> PathBuf {
    root.join("bin/busybox")
}

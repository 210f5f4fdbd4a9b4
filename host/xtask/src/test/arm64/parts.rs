//! What it takes to build for arm64 and to emulate it: a target of Rust, a cross compiler and an emulator of this system, and
//! packages of Debian 12 for arm64, unpacked below `target/arm64` and not installed.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::setup::apt::PrivateApt;
use crate::setup::packages::install_missing;
use crate::test::machine::kernel::{self, Kernel, SUITE};
use crate::test::machine::{self, cpio::Tree};
use crate::workspace::{Workspace, create_dir, rustc};
use crate::{say, sh};

pub(super) const TARGET: &str = "aarch64-unknown-linux-musl";
pub(super) const COMPILER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-system-aarch64";
const KERNEL: &str = "linux-image-cloud-arm64";
/// What the tests look at the kernel with, and the shell that they do it in. The C library's own dependencies come with them.
const PACKAGES: [&str; 9] = [
    "busybox-static",
    "dash",
    "iproute2",
    "nftables",
    "iptables",
    "iputils-ping",
    "conntrack",
    "util-linux",
    "mount",
];
/// Of what is unpacked: neither manuals nor translations.
const FOLDERS: [&str; 8] =
    ["bin", "sbin", "lib", "usr/bin", "usr/sbin", "usr/lib", "etc", "usr/share/iproute2"];
/// Names that the packages leave to `update-alternatives`.
const NAMES: [&str; 8] = [
    "iptables",
    "iptables-save",
    "iptables-restore",
    "ip6tables",
    "ip6tables-save",
    "ip6tables-restore",
    "arptables",
    "ebtables",
];

/// What is there now.
#[derive(Debug)]
pub(super) struct Parts {
    kernel: Kernel,
}

impl Parts {
    /// Takes what is there, fetches what is missing.
    pub(super) fn ensure(workspace: &Workspace) -> Result<Self> {
        target()?;
        let mut missing: Vec<_> = [(COMPILER, "gcc-aarch64-linux-gnu"), (EMULATOR, "qemu-system-arm")]
            .into_iter()
            .filter(|(program, _)| sh::find(program).is_none())
            .map(|(_, name)| name)
            .collect();
        // What is compiled of C, in BLAKE3 and Wasmtime, wants headers.
        if !Path::new("/usr/aarch64-linux-gnu/include/assert.h").exists() {
            missing.push("libc6-dev-arm64-cross");
        }
        if !missing.is_empty() {
            install_missing(&missing)?;
        }
        let root = workspace.target().join("arm64/packages");
        let kernel = match Kernel::found(&root)? {
            Some(kernel) => kernel,
            None => fetch(workspace, &root)?,
        };
        say::good(format_args!("Linux {} in {EMULATOR}", kernel.release));
        Ok(Self { kernel })
    }

    /// The machine without the programs under test.
    pub(super) fn tree(&self) -> Result<Tree> {
        let root = &self.kernel.root;
        let mut tree = machine::base(&root.join("bin/busybox"));
        for folder in FOLDERS {
            if root.join(folder).is_dir() {
                tree.copy_all(&root.join(folder), &Path::new("/").join(folder))?;
            }
        }
        // Busybox as a shell would take its own ip instead of iproute2's.
        tree.link(Path::new("/bin/sh"), Path::new("dash"));
        for name in NAMES {
            tree.link(&Path::new("/usr/sbin").join(name), Path::new("xtables-nft-multi"));
        }
        Ok(tree)
    }

    /// The emulator with this initramfs. Kernel and tests share the one serial port that this kind of machine has.
    pub(super) fn emulator(&self, initramfs: &Path) -> Command {
        let mut command = Command::new(EMULATOR);
        // Signed pointers are not what is tested, and the real cipher takes most of the time.
        command.args(["-machine", "virt", "-cpu", "max,pauth-impdef=on", "-m", "4096", "-serial", "stdio"]);
        machine::complete(command, &self.kernel.file(), initramfs, "ttyAMA0", "console=ttyAMA0 loglevel=4")
    }
}

fn target() -> Result<()> {
    let libraries = || sh::output(rustc().args(["--print", "target-libdir", "--target", TARGET]));
    if Path::new(&libraries()?).is_dir() {
        return Ok(());
    }
    if sh::find("rustup").is_none() {
        bail!("there is no target {TARGET}, and no rustup that could install it");
    }
    say::line(format_args!("installing the {TARGET} target with rustup"));
    sh::run(Command::new("rustup").args(["target", "add", TARGET]))
}

fn fetch(workspace: &Workspace, root: &Path) -> Result<Kernel> {
    let work = workspace.target().join("arm64/setup");
    create_dir(&work)?;
    let apt = PrivateApt::foreign(&work, SUITE, "arm64")?;
    let image = kernel::newest(&apt, KERNEL)?;
    let mut debs = vec![apt.download_newest(&image, &work.join("debs"))?];
    debs.extend(apt.download_missing(&PACKAGES)?);
    // This system's own program: that of the packages is for another processor.
    if sh::find("depmod").is_none() {
        install_missing(&["kmod"])?;
    }
    kernel::unpack(&image, &debs, root, Command::new("depmod"))
}

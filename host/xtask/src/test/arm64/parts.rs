//! What it takes to build for arm64 and to emulate it: a target of Rust, a cross compiler and an emulator of this system, and
//! packages of Debian 12 for arm64, unpacked below `target/arm64` and not installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::setup::apt::{self, PrivateApt};
use crate::setup::packages::install_missing;
use crate::test::qemu::cpio::Tree;
use crate::workspace::{Workspace, create_dir, rustc, write_atomically};
use crate::{say, sh};

pub(super) const TARGET: &str = "aarch64-unknown-linux-musl";
pub(super) const COMPILER: &str = "aarch64-linux-gnu-gcc";
const EMULATOR: &str = "qemu-system-aarch64";
const SUITE: &str = "bookworm";
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
    root: PathBuf,
    release: String,
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
        let stamp = root.join("kernel");
        if !stamp.exists() {
            fetch(workspace, &root)?;
        }
        let release =
            fs::read_to_string(&stamp).with_context(|| format!("cannot read {}", stamp.display()))?;
        let parts = Self { root, release: release.trim().to_owned() };
        say::good(format_args!("Linux {} in {EMULATOR}", parts.release));
        Ok(parts)
    }

    /// The machine without the programs under test.
    pub(super) fn tree(&self) -> Result<Tree> {
        let mut tree = Tree::default();
        for folder in ["/proc", "/sys", "/dev", "/run", "/tmp", "/var/lib", "/var/run", "/root"] {
            tree.folder(Path::new(folder));
        }
        for folder in FOLDERS {
            if self.root.join(folder).is_dir() {
                tree.copy_all(&self.root.join(folder), &Path::new("/").join(folder))?;
            }
        }
        let busybox = Path::new("/bin/busybox");
        // The kernel loads modules by that name; busybox as a shell would take its own ip instead of iproute2's.
        tree.link(Path::new("/sbin/modprobe"), busybox);
        tree.link(Path::new("/bin/sh"), Path::new("dash"));
        for name in NAMES {
            tree.link(&Path::new("/usr/sbin").join(name), Path::new("xtables-nft-multi"));
        }
        tree.text(Path::new("/init"), 0o755, include_str!("init.sh"));
        Ok(tree)
    }

    /// The emulator with this initramfs. Kernel and tests share the one serial port that this kind of machine has.
    pub(super) fn emulator(&self, initramfs: &Path) -> Command {
        let mut command = Command::new(EMULATOR);
        // Signed pointers are not what is tested, and the real cipher takes most of the time.
        command.args(["-machine", "virt", "-accel", "tcg", "-cpu", "max,pauth-impdef=on", "-smp", "2"]);
        command.args(["-m", "4096", "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"]);
        command.arg("-kernel").arg(self.root.join(format!("boot/vmlinuz-{}", self.release)));
        command.arg("-initrd").arg(initramfs).args(["-serial", "stdio"]);
        command.args(["-append", "console=ttyAMA0 panic=-1 loglevel=4 mitigations=off"]);
        command
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

fn fetch(workspace: &Workspace, root: &Path) -> Result<()> {
    let work = workspace.target().join("arm64/setup");
    create_dir(&work)?;
    let apt = PrivateApt::foreign(&work, SUITE, "arm64")?;
    let image = apt
        .depends(KERNEL)?
        .into_iter()
        .find(|package| package.starts_with("linux-image-"))
        .ok_or_else(|| anyhow!("{KERNEL} of Debian {SUITE} depends on no kernel"))?;
    let version = apt.versions(&image)?.into_iter().next();
    let version = version.ok_or_else(|| anyhow!("Debian {SUITE} has no {image}"))?;
    let mut debs = vec![apt.download(&image, &version, &work.join("debs"))?];
    debs.extend(apt.download_missing(&PACKAGES)?);
    if root.exists() {
        fs::remove_dir_all(root).with_context(|| format!("cannot remove {}", root.display()))?;
    }
    for deb in &debs {
        apt::unpack(deb, root)?;
    }
    let release = image.trim_start_matches("linux-image-");
    modules(root, release)?;
    write_atomically(&root.join("kernel"), format!("{release}\n").as_bytes())
}

/// The index of modules, which the package leaves to its script. It is made here by this system's own program.
fn modules(root: &Path, release: &str) -> Result<()> {
    if sh::find("depmod").is_none() {
        install_missing(&["kmod"])?;
    }
    sh::output(Command::new("depmod").arg("-b").arg(root).arg(release)).map(drop)
}

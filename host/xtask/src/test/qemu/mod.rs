//! The tests that ask for more than this machine's kernel may have: bridges with VLANs, and the whole chain and the
//! drop-ins on the kernel of Debian 12 with nftables and both flavours of iptables, in an emulated machine.

mod image;
mod packages;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use super::machine::programs::{self, Program, Tools, stage};
use super::machine::{self, Limits};
use super::report::Report;
use crate::build::Built;
use crate::workspace::Workspace;
use crate::{bench, say, sh};
use packages::Parts;

/// How this part is called in the summary.
const NAME: &str = "Debian's kernel in qemu";
/// How long the tests may take that always run, the machine's start included: twice what they need where nobody else
/// wants the processors.
const USUAL: Limits = Limits { start: machine::START, whole: Duration::from_mins(2) };
/// How long others may take, which somebody asked for.
const LONG: Limits = Limits { start: machine::START, whole: Duration::from_mins(15) };

const PROGRAMS: [Program; 3] = [
    Program {
        name: "kernel",
        selection: &["--package", "wharf-kernel", "--lib"],
        arguments: "vlan links::wait:: flavour:: iptables::",
    },
    Program {
        name: "pipeline",
        selection: &["--package", "wharf-broker", "--test", "pipeline"],
        arguments: "vlan",
    },
    Program {
        name: "suite",
        selection: &["--package", "wharf-tests", "--test", "suite"],
        arguments: "vlan portmap_iptables::iptables_can portmap_iptables::legacy",
    },
];

/// The comparison with the reference plugins that needs this machine, too; only if it is asked for.
const COMPARED: &str = "8021q";

/// Runs them, or those that match. What cannot be had is skipped.
pub(super) fn run(workspace: &Workspace, filter: Option<&str>, built: &Built, report: &mut Report) {
    say::heading("The chain on Debian's kernel in qemu");
    if std::env::consts::ARCH != "x86_64" {
        report.skip(&format!("{NAME}: it is made for x86_64, not {}", std::env::consts::ARCH));
        return;
    }
    let parts = match Parts::ensure(workspace) {
        Ok(parts) => parts,
        Err(error) => {
            report.skip(&format!("{NAME}: {error:#}"));
            return;
        }
    };
    let Some(initramfs) = report.step(NAME, initramfs(workspace, filter, built, &parts)) else { return };
    let log = initramfs.with_file_name("console.log");
    let limits = if filter.is_some() { LONG } else { USUAL };
    if !machine::test(report, NAME, "in qemu", limits, &|| emulator(&parts, &initramfs, &log)) {
        say::line(format_args!("the last lines of {}:\n{}", log.display(), machine::tail(&log)));
    }
}

/// The first serial port is the kernel's and the second one the tests'.
fn emulator(parts: &Parts, initramfs: &Path, log: &Path) -> Command {
    let mut command = parts.emulator();
    command.args(["-machine", "q35", "-cpu", "max", "-m", "1024"]);
    let mut file = std::ffi::OsString::from("file:");
    file.push(log);
    command.arg("-serial").arg(file).args(["-serial", "stdio"]);
    // Whether a timer that is emulated ticks in time says nothing about it.
    let append = "console=ttyS0 reboot=t loglevel=6 no_timer_check";
    machine::complete(command, &parts.kernel.file(), initramfs, "ttyS1", append)
}

/// Builds the test programs and packs all that the machine needs.
fn initramfs(workspace: &Workspace, filter: Option<&str>, built: &Built, parts: &Parts) -> Result<PathBuf> {
    let work = workspace.target().join("qemu");
    let stage = stage(&work)?;
    let mut tree = image::base(parts)?;
    let test = || {
        let mut cargo = workspace.cargo();
        cargo.arg("test");
        cargo
    };
    let tools = Tools { test: &test, strip: "strip" };
    for program in programs::add(&mut tree, &stage, &PROGRAMS, filter, &tools)? {
        image::libraries(&mut tree, &program)?;
    }

    // Installed here, for an emulated processor compiles the guests in half a minute. The code is the same for all.
    let root = stage.join("root");
    let mut install = Command::new(&built.wharfctl);
    install.env("WHARF_ROOT", &root).args(["install", "--drop-in", "--guests"]).arg(&built.guests);
    sh::output(install.arg("--binary").arg(&built.wharf))?;
    tree.copy_all(&root, Path::new("/wharf/root"))?;
    programs::add_built(&mut tree, built)?;
    image::libraries(&mut tree, &built.wharfctl)?;

    tree.copy_all(&workspace.root.join("tests/parity"), Path::new("/wharf/parity"))?;
    if filter.is_some_and(|filter| filter.contains(COMPARED)) {
        // They have much to unpack, and take long on an emulated processor.
        let plugins = bench::reference(workspace)?;
        for name in ["bridge", "host-local"] {
            tree.copy(&plugins.join(name), &Path::new("/wharf/reference/usr/lib/cni").join(name));
        }
    }
    machine::pack(&tree, &work)
}

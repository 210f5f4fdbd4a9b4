//! What depends on the processor, on Debian's kernel for arm64 in an emulated machine: the sandbox with its system calls, the
//! code that is compiled from guests, netlink, and the plugins as they are installed.
//!
//! Not a part of `test`: it builds everything once more, and an emulated processor is slow.

mod parts;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::machine::cpio::Tree;
use super::machine::programs::{self, Program, Tools, stage};
use super::machine::{self, Limits};
use super::report::Report;
use crate::build::{self, Built};
use crate::workspace::Workspace;
use crate::{say, sh};
use parts::{COMPILER, Parts, TARGET};

/// How this is called in the summary.
const NAME: &str = "Debian's kernel for arm64 in qemu";
/// From the start to the first test, in which the guests are compiled; and to the end.
const LIMITS: Limits = Limits { start: Duration::from_mins(3), whole: Duration::from_mins(45) };

/// Of the suite, what needs neither the reference plugins nor more time than a call has on an emulated processor.
const SUITE: &str = "bridge portmap bandwidth host_local loopback earlier_boot cve sandbox --skip parity --skip takeover \
    --skip fault_sweep --skip host_local_scale";

const PROGRAMS: [Program; 5] = [
    Program { name: "sandbox-unit", selection: &["--package", "wharf-sandbox", "--lib"], arguments: "" },
    Program {
        name: "sandbox",
        selection: &["--package", "wharf-sandbox", "--test", "sandbox"],
        arguments: "",
    },
    Program { name: "kernel", selection: &["--package", "wharf-kernel", "--lib"], arguments: "" },
    Program {
        name: "pipeline",
        selection: &["--package", "wharf-broker", "--test", "pipeline"],
        arguments: "",
    },
    Program { name: "suite", selection: &["--package", "wharf-tests", "--test", "suite"], arguments: SUITE },
];

/// Builds them, and runs those that match.
pub(super) fn run(workspace: &Workspace, filter: Option<&str>, guests: &Path, report: &mut Report) {
    say::heading("Wharf on Debian's kernel for arm64 in qemu");
    let made = Parts::ensure(workspace).and_then(|parts| {
        let initramfs = initramfs(workspace, filter, guests, &parts)?;
        Ok((parts, initramfs))
    });
    let Some((parts, initramfs)) = report.step(NAME, made) else { return };
    machine::test(report, NAME, "on arm64", LIMITS, &|| parts.emulator(&initramfs));
}

/// Builds all that the machine needs, and packs it.
fn initramfs(workspace: &Workspace, filter: Option<&str>, guests: &Path, parts: &Parts) -> Result<PathBuf> {
    let work = workspace.target().join("arm64");
    let stage = stage(&work)?;
    let mut tree = parts.tree()?;
    say::heading("Build: wharf and wharfctl for arm64");
    let built =
        Built { wharf: stage.join("wharf"), wharfctl: stage.join("wharfctl"), guests: guests.to_owned() };
    build::foreign(workspace, TARGET, COMPILER, &built)?;
    programs::add_built(&mut tree, &built)?;
    fixtures(workspace, &work, &mut tree)?;
    let test = || {
        let mut cargo = workspace.cargo();
        // Optimised: an emulated processor is slow enough.
        cargo.args(["test", "--release", "--target", TARGET]);
        cargo.envs(build::foreign_compiler(TARGET, COMPILER));
        cargo
    };
    let tools = Tools { test: &test, strip: "aarch64-linux-gnu-strip" };
    programs::add(&mut tree, &stage, &PROGRAMS, filter, &tools)?;
    machine::pack(&tree, &work)
}

/// The guests that the sandbox's tests build by themselves where there is a compiler.
fn fixtures(workspace: &Workspace, work: &Path, tree: &mut Tree) -> Result<()> {
    let folder = workspace.root.join("host/sandbox/tests/fixtures");
    let target = work.join("fixtures");
    let entries = fs::read_dir(&folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for fixture in entries.flatten().filter(|entry| entry.path().join("Cargo.toml").is_file()) {
        let mut cargo = crate::workspace::cargo();
        cargo.args(["build", "--quiet", "--release", "--target", "wasm32-wasip2", "--target-dir"]);
        cargo.env_remove("RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
        sh::run(cargo.arg(&target).current_dir(fixture.path()))?;
        let file = Path::new(&fixture.file_name()).with_extension("wasm");
        let built = target.join("wasm32-wasip2/release").join(&file);
        tree.copy(&built, &Path::new("/wharf/fixtures").join(&file));
    }
    Ok(())
}

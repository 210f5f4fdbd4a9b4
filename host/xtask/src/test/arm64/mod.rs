//! What depends on the processor, on Debian's kernel for arm64 in an emulated machine: the sandbox with its system calls, the
//! code that is compiled from guests, netlink, and the plugins as they are installed.
//!
//! Not a part of `test`: it builds everything once more, and an emulated processor is slow.

mod parts;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::qemu::machine::{self, Event, Limits};
use super::qemu::{cpio::Tree, executable};
use super::report::Report;
use crate::build::{self, Built};
use crate::workspace::{Workspace, create_dir};
use crate::{say, sh};
use parts::{COMPILER, Parts, TARGET};

/// How this is called in the summary.
const NAME: &str = "Debian's kernel for arm64 in qemu";
/// From the start to the first test, in which the guests are compiled; and to the end.
const LIMITS: Limits = Limits { start: Duration::from_mins(3), whole: Duration::from_mins(45) };

/// Of the suite, what needs neither the reference plugins nor more time than a call has on an emulated processor.
const SUITE: &str = "bridge portmap bandwidth host_local loopback cve sandbox --skip parity --skip takeover --skip fault_sweep \
    --skip host_local_scale";

/// A test program: its name, how cargo builds it, and what of it runs when nothing else is asked for.
const PROGRAMS: [(&str, &[&str], &str); 5] = [
    ("sandbox-unit", &["--package", "wharf-sandbox", "--lib"], ""),
    ("sandbox", &["--package", "wharf-sandbox", "--test", "sandbox"], ""),
    ("kernel", &["--package", "wharf-kernel", "--lib"], ""),
    ("pipeline", &["--package", "wharf-broker", "--test", "pipeline"], ""),
    ("suite", &["--package", "wharf-tests", "--test", "suite"], SUITE),
];

/// Builds them, and runs those that match.
pub(super) fn run(workspace: &Workspace, filter: Option<&str>, guests: &Path, report: &mut Report) {
    say::heading("Wharf on Debian's kernel for arm64 in qemu");
    let made = Parts::ensure(workspace).and_then(|parts| {
        let initramfs = initramfs(workspace, filter, guests, &parts)?;
        Ok((parts, initramfs))
    });
    let Some((parts, initramfs)) = report.step(NAME, made) else { return };
    let tell = |event: Event| match event {
        Event::Line(line) => {
            if report.read(line) {
                println!("{line}");
            }
        }
        Event::Exit(program, status) => report.run_finished(&format!("{program} on arm64"), status == 0),
    };
    let outcome = machine::run(&|| parts.emulator(&initramfs), LIMITS, tell);
    report.step(NAME, outcome);
}

/// Builds all that the machine needs, and packs it.
fn initramfs(workspace: &Workspace, filter: Option<&str>, guests: &Path, parts: &Parts) -> Result<PathBuf> {
    let work = workspace.target().join("arm64");
    let stage = work.join("stage");
    if stage.exists() {
        fs::remove_dir_all(&stage).with_context(|| format!("cannot remove {}", stage.display()))?;
    }
    create_dir(&stage)?;
    let mut tree = parts.tree()?;
    say::heading("Build: wharf and wharfctl for arm64");
    let built =
        Built { wharf: stage.join("wharf"), wharfctl: stage.join("wharfctl"), guests: guests.to_owned() };
    build::foreign(workspace, TARGET, COMPILER, &built)?;
    tree.copy(&built.wharf, Path::new("/wharf/wharf"));
    tree.copy(&built.wharfctl, Path::new("/wharf/wharfctl"));
    tree.copy_all(&built.guests, Path::new("/wharf/guests"))?;
    fixtures(workspace, &work, &mut tree)?;
    let mut list = String::new();
    for (name, selection, filters) in PROGRAMS {
        let (small, at) = (stage.join(name), Path::new("/tests").join(name));
        let program = compile(workspace, selection)?;
        sh::run(Command::new("aarch64-linux-gnu-strip").arg("-o").arg(&small).arg(program))?;
        tree.copy(&small, &at);
        writeln!(list, "{} --show-output --test-threads=4 {}", at.display(), filter.unwrap_or(filters))?;
    }
    tree.text(Path::new("/tests/list"), 0o644, &list);
    let file = work.join("initramfs");
    let out = File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
    let mut out = BufWriter::new(out);
    tree.write(&mut out)?;
    out.flush().with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
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

/// The test program of a selection. Optimised: an emulated processor is slow enough.
fn compile(workspace: &Workspace, selection: &[&str]) -> Result<PathBuf> {
    let command = || {
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--no-run", "--release", "--target", TARGET]).args(selection);
        cargo.envs(build::foreign_compiler(TARGET, COMPILER));
        cargo
    };
    sh::run(&mut command())?;
    let messages = sh::output(command().args(["--quiet", "--message-format", "json"]))?;
    executable(&messages).with_context(|| format!("`{}` names no program", sh::display(&command())))
}

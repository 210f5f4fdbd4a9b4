//! The tests that ask for more than this machine's kernel may have: bridges with VLANs, and the whole chain and the
//! drop-ins on the kernel of Debian 12 with nftables and both flavours of iptables, in an emulated machine that has nothing
//! but an initramfs.

pub(super) mod cpio;
mod image;
pub(super) mod machine;
mod packages;

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use crate::build::Built;
use crate::test::report::Report;
use crate::workspace::{Workspace, create_dir};
use crate::{bench, say, sh};
use machine::Event;
use packages::Parts;

/// How this part is called in the summary.
const NAME: &str = "Debian's kernel in qemu";

/// One test program.
struct Program {
    /// What it is called in the machine.
    name: &'static str,
    /// How cargo builds it.
    selection: &'static [&'static str],
    /// What of it runs when nothing else is asked for.
    filters: &'static [&'static str],
}

const PROGRAMS: [Program; 3] = [
    Program {
        name: "kernel",
        selection: &["--package", "wharf-kernel", "--lib"],
        filters: &["vlan", "links::wait::", "flavour::", "iptables::"],
    },
    Program {
        name: "pipeline",
        selection: &["--package", "wharf-broker", "--test", "pipeline"],
        filters: &["vlan"],
    },
    Program {
        name: "suite",
        selection: &["--package", "wharf-tests", "--test", "suite"],
        filters: &["vlan", "portmap_iptables::iptables_can", "portmap_iptables::legacy"],
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
    let tell = |event: Event| match event {
        Event::Line(line) => {
            let line = labelled(line);
            if report.read(&line) {
                println!("{line}");
            }
        }
        Event::Exit(program, status) => report.run_finished(&format!("{program} in qemu"), status == 0),
    };
    let limits = if filter.is_some() { machine::LONG } else { machine::USUAL };
    let outcome = machine::run(&|| machine::command(&parts, &initramfs, &log), limits, tell);
    if report.step(NAME, outcome).is_none() {
        say::line(format_args!("the last lines of {}:\n{}", log.display(), machine::tail(&log)));
    }
}

/// A test's verdict says where it ran.
fn labelled(line: &str) -> String {
    match line.split_once("SKIPPED: ") {
        Some((before, what)) => format!("{before}SKIPPED: in qemu: {what}"),
        None if line.starts_with("test ") => line.replacen(" ... ", " (in qemu) ... ", 1),
        None => line.to_owned(),
    }
}

/// Builds the test programs and packs all that the machine needs.
fn initramfs(workspace: &Workspace, filter: Option<&str>, built: &Built, parts: &Parts) -> Result<PathBuf> {
    let work = workspace.target().join("qemu");
    let stage = work.join("stage");
    if stage.exists() {
        fs::remove_dir_all(&stage).with_context(|| format!("cannot remove {}", stage.display()))?;
    }
    create_dir(&stage)?;
    let mut tree = image::base(parts)?;
    let mut list = String::new();
    for program in &PROGRAMS {
        let (small, at) = (stage.join(program.name), Path::new("/tests").join(program.name));
        strip(&compile(workspace, program.selection)?, &small)?;
        image::libraries(&mut tree, &small)?;
        tree.copy(&small, &at);
        let filters = filter.map_or_else(|| program.filters.join(" "), str::to_owned);
        // Twice the processors: some wait for an answer that must not come.
        writeln!(list, "{} --show-output --test-threads=4 {filters}", at.display())?;
    }
    tree.text(Path::new("/tests/list"), 0o644, &list);

    // Installed here, for an emulated processor compiles the guests in half a minute. The code is the same for all.
    let root = stage.join("root");
    let mut install = Command::new(&built.wharfctl);
    install.env("WHARF_ROOT", &root).args(["install", "--drop-in", "--guests"]).arg(&built.guests);
    sh::output(install.arg("--binary").arg(&built.wharf))?;
    tree.copy_all(&root, Path::new("/wharf/root"))?;
    tree.copy_all(&built.guests, Path::new("/wharf/guests"))?;
    tree.copy(&built.wharf, Path::new("/wharf/wharf"));
    tree.copy(&built.wharfctl, Path::new("/wharf/wharfctl"));
    image::libraries(&mut tree, &built.wharfctl)?;

    tree.copy_all(&workspace.root.join("tests/parity"), Path::new("/wharf/parity"))?;
    if filter.is_some_and(|filter| filter.contains(COMPARED)) {
        // They have much to unpack, and take long on an emulated processor.
        let plugins = bench::reference(workspace)?;
        for name in ["bridge", "host-local"] {
            tree.copy(&plugins.join(name), &Path::new("/wharf/reference/usr/lib/cni").join(name));
        }
    }

    let file = work.join("initramfs");
    let out = File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
    let mut out = BufWriter::new(out);
    tree.write(&mut out)?;
    out.flush().with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// The test program of a selection.
fn compile(workspace: &Workspace, selection: &[&str]) -> Result<PathBuf> {
    let command = || {
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--no-run"]).args(selection);
        cargo
    };
    sh::run(&mut command())?;
    executable(&sh::output(command().args(["--quiet", "--message-format", "json"]))?)
        .ok_or_else(|| anyhow!("`{}` names no program", sh::display(&command())))
}

/// The test program that cargo's messages name; programs that it is to start are among them too.
pub(super) fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut tests = messages.filter(|message| message.pointer("/profile/test") == Some(&Value::Bool(true)));
    tests.find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
}

/// Debugging information is most of a test program, and the machine would have to unpack it.
fn strip(program: &Path, to: &Path) -> Result<()> {
    if sh::succeeds(Command::new("strip").arg("--strip-debug").arg("-o").arg(to).arg(program)) {
        return Ok(());
    }
    fs::copy(program, to).with_context(|| format!("cannot copy {}", program.display())).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_say_where_a_test_ran() {
        assert_eq!(labelled("test a::b ... FAILED"), "test a::b (in qemu) ... FAILED");
        assert_eq!(labelled("SKIPPED: b: no SCTP"), "SKIPPED: in qemu: b: no SCTP");
        assert_eq!(labelled("test result: ok. 1 passed"), "test result: ok. 1 passed");
    }

    #[test]
    fn the_program_is_read_from_cargos_messages() {
        let messages = r#"
            {"reason": "compiler-artifact", "profile": {"test": false}, "executable": null}
            {"reason": "compiler-artifact", "profile": {"test": true}, "executable": "/t/suite-1"}
            {"reason": "compiler-artifact", "profile": {"test": false}, "executable": "/t/crash"}
            {"reason": "build-finished"}
        "#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/suite-1")));
        assert_eq!(executable("{}"), None);
    }
}

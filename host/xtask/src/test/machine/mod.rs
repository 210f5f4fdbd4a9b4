//! An emulated machine with a kernel of Debian 12 and nothing but an initramfs: what it is made of, and what it says.

pub(super) mod cpio;
mod emulator;
pub(super) mod kernel;
pub(super) mod programs;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::report::Report;
use cpio::Tree;
use emulator::{Event, run};
pub(super) use emulator::{Limits, START, tail};

/// A tree with the folders that every machine has, the first process and its busybox.
pub(super) fn base(busybox: &Path) -> Tree {
    let mut tree = Tree::default();
    for folder in ["/proc", "/sys", "/dev", "/run", "/tmp", "/etc", "/var/lib", "/var/run", "/root"] {
        tree.folder(Path::new(folder));
    }
    tree.text(Path::new("/init"), 0o755, include_str!("init.sh"));
    let at = Path::new("/bin/busybox");
    tree.copy(busybox, at);
    // The kernel loads modules by that name.
    tree.link(Path::new("/sbin/modprobe"), at);
    tree
}

/// Writes the initramfs `DIR/initramfs`.
pub(super) fn pack(tree: &Tree, dir: &Path) -> Result<PathBuf> {
    let file = dir.join("initramfs");
    let out = File::create(&file).with_context(|| format!("cannot write {}", file.display()))?;
    let mut out = BufWriter::new(out);
    tree.write(&mut out)?;
    out.flush().with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file)
}

/// What the emulators of all processors are told. The first process writes to the terminal `lines`.
pub(super) fn complete(
    mut emulator: Command,
    kernel: &Path,
    initramfs: &Path,
    lines: &str,
    append: &str,
) -> Command {
    // Always emulated: a virtual processor is fast where it works, but hangs or aborts on some virtual machines.
    emulator.args(["-accel", "tcg", "-smp", "2", "-nodefaults", "-no-user-config", "-display", "none"]);
    // A panic ends the machine at once.
    emulator.arg("-no-reboot").arg("-kernel").arg(kernel).arg("-initrd").arg(initramfs);
    // The kernel gives its first process what it does not know itself. Slow memory accesses against other tenants' spying
    // are not what is tested.
    emulator.arg("-append").arg(format!("{append} panic=-1 mitigations=off WHARF_LINES=/dev/{lines}"));
    emulator
}

/// Runs a machine's tests; their verdicts say that they ran `place`, such as `in qemu`. Answers whether it got through them.
pub(super) fn test(
    report: &mut Report,
    name: &str,
    place: &str,
    limits: Limits,
    emulator: &dyn Fn() -> Command,
) -> bool {
    let tell = |event: Event| match event {
        Event::Line(line) => {
            let line = labelled(line, place);
            if report.read(&line) {
                println!("{line}");
            }
        }
        Event::Exit(program, status) => report.run_finished(&format!("{program} {place}"), status == 0),
    };
    let outcome = run(emulator, limits, tell);
    report.step(name, outcome).is_some()
}

/// A test's verdict says where it ran.
fn labelled(line: &str, place: &str) -> String {
    match line.split_once("SKIPPED: ") {
        Some((before, what)) => format!("{before}SKIPPED: {place}: {what}"),
        None if line.starts_with("test ") => line.replacen(" ... ", &format!(" ({place}) ... "), 1),
        None => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_say_where_a_test_ran() {
        let labelled = |line| labelled(line, "in qemu");
        assert_eq!(labelled("test a::b ... FAILED"), "test a::b (in qemu) ... FAILED");
        assert_eq!(labelled("SKIPPED: b: no SCTP"), "SKIPPED: in qemu: b: no SCTP");
        assert_eq!(labelled("test result: ok. 1 passed"), "test result: ok. 1 passed");
    }
}

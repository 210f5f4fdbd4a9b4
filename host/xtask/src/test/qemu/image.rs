//! What is in the machine: the programs under test, those that they call, what all of them load, kernel modules.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};

use super::packages::Parts;
use crate::sh;
use crate::test::machine::{self, cpio::Tree};

/// What the tests look at the kernel with, and set it up with.
const PROGRAMS: [&str; 24] = [
    // Not busybox: as a shell it takes its own ip instead of iproute2's.
    "sh",
    "ip",
    "tc",
    "bridge",
    "nft",
    "ping",
    "conntrack",
    "iptables",
    "iptables-save",
    "ip6tables",
    "ip6tables-save",
    "iptables-nft",
    "iptables-nft-save",
    "iptables-nft-restore",
    "ip6tables-nft",
    "ip6tables-nft-save",
    "ip6tables-nft-restore",
    "iptables-legacy",
    "iptables-legacy-save",
    "iptables-legacy-restore",
    "ip6tables-legacy",
    "ip6tables-legacy-save",
    "ip6tables-legacy-restore",
    "nsenter",
];
/// Which of the kernel's modules: those of networks, and the checksums that they ask for.
const MODULES: [&str; 5] = ["net", "lib", "crypto", "arch/x86/crypto", "drivers/net"];
/// Names of tables and protocols, where this system has them.
const NAMES: [&str; 3] = ["/etc/iproute2", "/usr/share/iproute2", "/etc/protocols"];

/// The tree without the programs under test.
pub(super) fn base(parts: &Parts) -> Result<Tree> {
    let mut tree = machine::base(&parts.busybox());
    for name in PROGRAMS {
        let file =
            sh::find(name).ok_or_else(|| anyhow!("{name} is missing: `cargo xtask setup` installs it"))?;
        program(&mut tree, &file)?;
        // iptables loads what it knows of each match and target.
        if name == "iptables" {
            let folder = sh::output(Command::new("sh").args(["-c", "ls -d /usr/lib/*/xtables"]))?;
            tree.copy_all(Path::new(&folder), Path::new(&folder))?;
        }
    }
    for path in NAMES.map(Path::new) {
        if path.is_dir() {
            tree.copy_all(path, path)?;
        } else if path.exists() {
            tree.copy(path, path);
        }
    }
    let modules = parts.kernel.modules();
    let at = Path::new("/lib/modules").join(&parts.kernel.release);
    for folder in MODULES.map(|folder| Path::new("kernel").join(folder)) {
        if modules.join(&folder).is_dir() {
            tree.copy_all(&modules.join(&folder), &at.join(&folder))?;
        }
    }
    for index in ["modules.dep", "modules.alias", "modules.symbols", "modules.builtin", "modules.order"] {
        if modules.join(index).exists() {
            tree.copy(&modules.join(index), &at.join(index));
        }
    }
    Ok(tree)
}

/// A program of this system under its own path. Where that is a link, the name stays: iptables goes by it.
pub(super) fn program(tree: &mut Tree, path: &Path) -> Result<()> {
    let file = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
    if file != path {
        tree.link(path, &file);
    }
    if !tree.has(&file) {
        libraries(tree, &file)?;
        tree.copy(&file, &file);
    }
    Ok(())
}

/// What a program loads, by `ldd`; nothing if it is static.
pub(super) fn libraries(tree: &mut Tree, program: &Path) -> Result<()> {
    let output = sh::capture(Command::new("ldd").arg(program))?;
    for path in loaded(&String::from_utf8_lossy(&output.stdout)) {
        if !tree.has(&path) {
            tree.copy(&path, &path);
        }
    }
    Ok(())
}

/// `name => /path (address)`, or for the loader `/path (address)`.
fn loaded(ldd: &str) -> Vec<PathBuf> {
    let path = |line: &str| {
        let (before, _) = line.trim().split_once(" (")?;
        let path = before.split_once(" => ").map_or(before, |(_, path)| path);
        path.starts_with('/').then(|| PathBuf::from(path))
    };
    ldd.lines().filter_map(path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_read_from_what_ldd_prints() {
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let wanted = ["/lib/x86_64-linux-gnu/libc.so.6", "/lib64/ld-linux-x86-64.so.2"].map(PathBuf::from);
        assert_eq!(loaded(text), wanted);
        assert!(loaded("\tnot a dynamic executable\n").is_empty());
    }

    #[test]
    fn a_linked_program_keeps_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path().canonicalize().unwrap();
        let (file, name) = (dir.join("multi"), dir.join("one"));
        std::fs::copy("/bin/sh", &file).unwrap();
        std::os::unix::fs::symlink("multi", &name).unwrap();
        let mut tree = Tree::default();
        program(&mut tree, &name).unwrap();
        assert!(tree.has(&name) && tree.has(&file));
    }
}

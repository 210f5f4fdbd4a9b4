//! The target that the CNI binary is built for: static with musl. glibc asks the processor for its caches at each start, some
//! eighty CPUID instructions, and each of them leaves a virtual machine: half a millisecond of every call.
//!
//! Where rustup cannot be had, glibc it is, as static and as good but for that.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Result;

use super::toolchain::host_triple;
use crate::workspace::{rustc, write_atomically};
use crate::{say, sh};

/// Seconds: rustup tries again for a while when its server cannot be reached.
const PATIENCE: &str = "120";

/// Installs the target if rustup can; `work` is for work files. What it could not do once is not waited for again.
pub(crate) fn ensure(work: &Path, version: &str) -> Result<()> {
    let Some(musl) = with_musl(&host_triple()?) else { return Ok(()) };
    let tried = work.join("tried-musl");
    let was_tried = fs::read_to_string(&tried).is_ok_and(|before| before == version);
    if !was_tried && probe(work, &musl).is_err() && sh::find("rustup").is_some() {
        say::line(format_args!("installing the {musl} target with rustup"));
        // What came of it is looked at, not believed.
        let _ = sh::run(Command::new("timeout").args([PATIENCE, "rustup", "target", "add", &musl]));
        write_atomically(&tried, version.as_bytes())?;
    }
    if probe(work, &musl).is_ok() {
        say::good(format_args!("the {musl} target works"));
        return Ok(());
    }
    say::warn(format_args!(
        "there is no {musl} target: wharf is built with glibc and starts later, by half a millisecond in a virtual \
         machine. `rustup target add {musl}` changes that"
    ));
    Ok(())
}

/// The triple that wharf is built for here.
pub(crate) fn triple(work: &Path) -> Result<String> {
    let host = host_triple()?;
    Ok(with_musl(&host).filter(|musl| probe(work, musl).is_ok()).unwrap_or(host))
}

/// The variable that names the C compiler for a target, and its value; none where the usual one is found by itself, or
/// another one was named. Wasmtime and BLAKE3 bring a little C and assembly that needs no library.
pub(crate) fn compiler(target: &str) -> Option<(String, &'static str)> {
    let variable = format!("CC_{}", target.replace('-', "_"));
    let named = [variable.as_str(), "TARGET_CC", "CC"].iter().any(|name| std::env::var_os(name).is_some());
    (target.ends_with("-musl") && !named).then_some((variable, "cc"))
}

/// The same machine with musl; none if that is what it has, or if it is no Linux with glibc.
fn with_musl(host: &str) -> Option<String> {
    host.strip_suffix("-gnu").map(|machine| format!("{machine}-musl"))
}

/// Links a program that uses the standard library: only this proves that std, libc and the linker are all there.
fn probe(work: &Path, target: &str) -> Result<()> {
    let source = work.join("static.rs");
    write_atomically(&source, b"fn main() { println!(\"{}\", std::env::args().count()) }\n")?;
    let mut rustc = rustc();
    rustc.args(["--edition", "2024", "--target", target, "-C", "target-feature=+crt-static", "-o"]);
    sh::output(rustc.arg(work.join("static")).arg(&source)).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_linux_with_glibc_has_a_sister_with_musl() {
        assert_eq!(with_musl("aarch64-unknown-linux-gnu").as_deref(), Some("aarch64-unknown-linux-musl"));
        for other in ["x86_64-unknown-linux-musl", "aarch64-apple-darwin", "x86_64-unknown-linux-gnux32"] {
            assert_eq!(with_musl(other), None);
        }
    }

    #[test]
    fn a_target_is_there_if_a_program_can_be_linked_for_it() {
        let work = tempfile::tempdir().unwrap();
        let host = host_triple().unwrap();
        probe(work.path(), &host).unwrap();
        probe(work.path(), "s390x-unknown-linux-musl").unwrap_err();
        let chosen = triple(work.path()).unwrap();
        assert!(chosen == host || Some(chosen) == with_musl(&host));
    }
}

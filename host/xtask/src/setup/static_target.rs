//! The target that the CNI binary is built for: static with musl. glibc asks the processor for its caches at each start, some
//! eighty CPUID instructions, and each of them leaves a virtual machine: half a millisecond of every call.
//!
//! Where rustup cannot be had, glibc it is, as static and as good but for that.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::toolchain::host_triple;
use crate::workspace::rustc;
use crate::{say, sh};

/// Seconds: rustup tries again for a while when its server cannot be reached.
const PATIENCE: &str = "60";

/// Installs the target if rustup can.
pub(crate) fn ensure() -> Result<()> {
    let Some(musl) = with_musl(&host_triple()?) else { return Ok(()) };
    if !is_installed(&musl)? && sh::find("rustup").is_some() {
        say::line(format_args!("installing the {musl} target with rustup"));
        // What came of it is looked at, not believed.
        let _ = sh::run(Command::new("timeout").args([PATIENCE, "rustup", "target", "add", &musl]));
    }
    if is_installed(&musl)? {
        say::good(format_args!("the {musl} target"));
    } else {
        say::warn(format_args!(
            "there is no {musl} target: wharf is built with glibc and starts half a millisecond later"
        ));
    }
    Ok(())
}

/// The triple that wharf is built for here.
pub(crate) fn triple() -> Result<String> {
    let host = host_triple()?;
    match with_musl(&host) {
        Some(musl) if is_installed(&musl)? => Ok(musl),
        _ => Ok(host),
    }
}

/// The variable that names the C compiler for a target, and its value; none where the usual one is found by itself, or
/// another one was named. Wasmtime and BLAKE3 bring a little C and assembly that needs no library.
pub(crate) fn compiler(target: &str) -> Option<(String, &'static str)> {
    let variable = format!("CC_{}", target.replace('-', "_"));
    (target.ends_with("-musl") && std::env::var_os(&variable).is_none()).then_some((variable, "cc"))
}

/// The same machine with musl; none if that is what it has, or if it is no Linux with glibc.
fn with_musl(host: &str) -> Option<String> {
    host.strip_suffix("-gnu").map(|machine| format!("{machine}-musl"))
}

fn is_installed(target: &str) -> Result<bool> {
    let library = PathBuf::from(sh::output(rustc().args(["--print", "target-libdir", "--target", target]))?);
    let Ok(files) = library.read_dir() else { return Ok(false) };
    let mut names = files.flatten().map(|file| file.file_name());
    Ok(names.any(|name| name.to_string_lossy().starts_with("libstd-")))
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
    fn what_is_not_there_is_not_installed() {
        assert!(is_installed(&host_triple().unwrap()).unwrap());
        assert!(!is_installed("s390x-unknown-linux-musl").unwrap());
        assert!(
            [host_triple().unwrap(), with_musl(&host_triple().unwrap()).unwrap()]
                .contains(&triple().unwrap())
        );
    }
}

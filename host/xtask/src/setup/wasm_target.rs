//! The wasm32-wasip2 target of the installed compiler: used if it works, else by rustup, else built here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::std_build;
use crate::workspace::rustc;
use crate::{say, sh};

/// The target's name.
pub(crate) const TARGET: &str = "wasm32-wasip2";

/// Makes sure that guests can be compiled; `work` is for work files.
pub(crate) fn ensure(work: &Path, version: &str) -> Result<()> {
    let sysroot = PathBuf::from(sh::output(rustc().args(["--print", "sysroot"]))?);
    if std_build::is_unfinished(&sysroot) {
        say::line(format_args!(
            "the {TARGET} target was left half installed by an interrupted set-up: once more"
        ));
        return std_build::install(work, &sysroot, version).and_then(|()| verify(work));
    }
    if probe(work).is_ok() {
        say::good(format_args!("the {TARGET} target works"));
        return Ok(());
    }
    // rustup tries again for a while when its server cannot be reached: a limit keeps the set-up going.
    if sh::find("rustup").is_some() {
        say::line(format_args!("installing the {TARGET} target with rustup"));
        let added = sh::run(Command::new("timeout").args(["300", "rustup", "target", "add", TARGET]));
        if added.is_ok() && probe(work).is_ok() {
            say::good(format_args!("the {TARGET} target works"));
            return Ok(());
        }
        say::warn("rustup could not do it");
    }
    say::line("building the target's standard library from Debian's rust-src and wasi-libc instead");
    std_build::install(work, &sysroot, version)?;
    verify(work)
}

fn verify(work: &Path) -> Result<()> {
    probe(work).with_context(|| format!("the {TARGET} target was installed but does not compile"))?;
    say::good(format_args!("the {TARGET} target works"));
    Ok(())
}

/// Compiles a component that uses the standard library: only this proves that std, libc and the linker are all there.
fn probe(work: &Path) -> Result<()> {
    let source = work.join("probe.rs");
    let text = "#[unsafe(no_mangle)]\npub extern \"C\" fn probe() -> usize { std::env::args().count() }\n";
    fs::write(&source, text).with_context(|| format!("cannot write {}", source.display()))?;
    let built = work.join("probe.wasm");
    sh::output(
        rustc()
            .args([
                "--edition",
                "2024",
                "--crate-type",
                "cdylib",
                "--target",
                TARGET,
                "-C",
                "panic=abort",
                "-o",
            ])
            .arg(&built)
            .arg(&source),
    )?;
    let bytes = fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    if !bytes.starts_with(b"\0asm") {
        bail!("{} is no WebAssembly file", built.display());
    }
    Ok(())
}

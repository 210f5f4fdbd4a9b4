//! Builds the guests, the static CNI binary and the tool, and leaves them in the checkout's `target` folder.

mod check;

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::setup::static_target;
use crate::workspace::{Guest, Workspace, copy_atomically, create_dir};
use crate::{say, sh};

/// The files that a build leaves.
pub(crate) struct Built {
    /// The CNI binary.
    pub(crate) wharf: PathBuf,
    /// The operator's tool.
    pub(crate) wharfctl: PathBuf,
    /// The folder of the guests' components.
    pub(crate) guests: PathBuf,
}

impl Built {
    /// What `WHARF_BIN`, `WHARFCTL_BIN` and `WHARF_GUESTS` name, if all of them are set.
    pub(crate) fn given() -> Option<Self> {
        let path = |variable| std::env::var_os(variable).map(PathBuf::from);
        Some(Self {
            wharf: path("WHARF_BIN")?,
            wharfctl: path("WHARFCTL_BIN")?,
            guests: path("WHARF_GUESTS")?,
        })
    }
}

/// Builds everything; with `debug` the two binaries unoptimised.
pub(crate) fn run(workspace: &Workspace, debug: bool) -> Result<Built> {
    let out = workspace.target().join(if debug { "debug" } else { "release" });
    create_dir(&out)?;
    let built = Built {
        wharf: out.join("wharf"),
        wharfctl: out.join("wharfctl"),
        guests: workspace.target().join("guests"),
    };

    say::heading("Build: the guests and the policies of the SDK's examples, for wasm32-wasip2");
    let policies = workspace.target().join("policies");
    components(workspace, &[(&workspace.guests, &built.guests), (&workspace.policies, &policies)])?;
    say::heading("Build: wharf, static and without a compiler");
    wharf(workspace, debug, &built.wharf)?;
    say::heading("Build: wharfctl");
    wharfctl(workspace, debug, &built.wharfctl)?;

    say::heading("What was built");
    check::wharf(&built.wharf, debug)?;
    say::line(sized(&built.wharfctl)?);
    for guest in &workspace.guests {
        say::line(sized(&component(&built.guests, &guest.name))?);
    }
    for policy in &workspace.policies {
        say::line(sized(&component(&policies, &policy.name))?);
    }
    Ok(built)
}

/// Builds the CNI binary that fails on purpose, for the tests that want each step to fail once: `target/faults/wharf`.
pub(crate) fn faults(workspace: &Workspace) -> Result<PathBuf> {
    say::heading("Build: wharf with faults on purpose, for tests");
    let out = workspace.target().join("faults");
    create_dir(&out)?;
    let file = out.join("wharf");
    static_wharf(workspace, false, &["--features", "faults"], &file)?;
    check::faults(&file)?;
    Ok(file)
}

/// Builds all of them at once, and leaves each group in its folder.
fn components(workspace: &Workspace, groups: &[(&Vec<Guest>, &Path)]) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--profile", "guest", "--target", "wasm32-wasip2"]);
    for guest in groups.iter().flat_map(|(guests, _)| *guests) {
        cargo.args(["--package", &guest.package]);
    }
    sh::run(&mut cargo)?;
    let cargo_out = workspace.build_dir.join("wasm32-wasip2/guest");
    for (guests, out) in groups {
        create_dir(out)?;
        for guest in *guests {
            let built = cargo_out.join(format!("{}.wasm", guest.library));
            copy_atomically(&built, &component(out, &guest.name))?;
        }
        remove_strangers(guests, out)?;
    }
    Ok(())
}

/// A guest that was renamed or removed must not be installed from an older build.
fn remove_strangers(guests: &[Guest], out: &Path) -> Result<()> {
    let entries = fs::read_dir(out).with_context(|| format!("cannot list {}", out.display()))?;
    for file in entries.flatten().map(|entry| entry.path()) {
        let is_ours = guests.iter().any(|guest| component(out, &guest.name) == file);
        if file.extension().is_some_and(|extension| extension == "wasm") && !is_ours {
            fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        }
    }
    Ok(())
}

fn wharf(workspace: &Workspace, debug: bool, out: &Path) -> Result<()> {
    static_wharf(workspace, debug, &[], out)
}

/// An invocation and a build folder of its own: together with wharfctl, cargo would unify the features of wasmtime
/// and put the compiler into the CNI binary too.
fn static_wharf(workspace: &Workspace, debug: bool, features: &[&str], out: &Path) -> Result<()> {
    let target = static_target::triple(&workspace.build_dir.join("setup"))?;
    let compiler: Vec<_> =
        static_target::compiler(&target).map(|(name, value)| (name, value.to_owned())).into_iter().collect();
    static_for(workspace, &target, &compiler, debug, features, out)
}

/// What cargo is told of a compiler for another processor.
pub(crate) fn foreign_compiler(target: &str, compiler: &str) -> [(String, String); 2] {
    let name = target.replace('-', "_");
    let linker = format!("CARGO_TARGET_{}_LINKER", name.to_uppercase());
    [(format!("CC_{name}"), compiler.to_owned()), (linker, compiler.to_owned())]
}

/// Builds the two binaries for another processor.
pub(crate) fn foreign(workspace: &Workspace, target: &str, compiler: &str, built: &Built) -> Result<()> {
    let variables = foreign_compiler(target, compiler);
    static_for(workspace, target, &variables, false, &[], &built.wharf)?;
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--release", "--package", "wharfctl", "--target", target]).envs(variables);
    sh::run(&mut cargo)?;
    copy_atomically(&workspace.build_dir.join(target).join("release/wharfctl"), &built.wharfctl)?;
    say::line(sized(&built.wharf)?);
    Ok(())
}

fn static_for(
    workspace: &Workspace,
    target: &str,
    compiler: &[(String, String)],
    debug: bool,
    features: &[&str],
    out: &Path,
) -> Result<()> {
    let folder = workspace.build_dir.join("static");
    let mut cargo = workspace.cargo();
    cargo
        .args(["rustc", "--package", "wharf", "--bin", "wharf", "--target", target, "--target-dir"])
        .arg(&folder)
        .args(features);
    // With --target the flags reach neither build scripts nor procedural macros, which cannot be static.
    let mut flags = std::env::var_os("RUSTFLAGS").unwrap_or_default();
    flags.push(" -C target-feature=+crt-static");
    // With SHA-2 it hashes names of a hundred bytes. Asking the processor which code is fastest takes longer than that: each
    // CPUID leaves a virtual machine. BLAKE3's features keep it from asking.
    flags.push(" --cfg sha2_backend=\"soft\"");
    cargo.env("RUSTFLAGS", flags).env_remove("CARGO_ENCODED_RUSTFLAGS");
    cargo.env("CARGO_PROFILE_RELEASE_LTO", "thin").envs(compiler.iter().cloned());
    release(&mut cargo, debug);
    if !debug {
        // There panics abort.
        let script = workspace.root.join("host/wharf/no-unwinding.ld");
        cargo.args(["--", "-C"]).arg(format!("link-arg=-Wl,--no-eh-frame-hdr,-T,{}", script.display()));
    }
    sh::run(&mut cargo)?;
    copy_atomically(&folder.join(target).join(profile(debug)).join("wharf"), out)
}

fn wharfctl(workspace: &Workspace, debug: bool, out: &Path) -> Result<()> {
    let mut cargo = workspace.cargo();
    cargo.args(["build", "--package", "wharfctl"]);
    sh::run(release(&mut cargo, debug))?;
    copy_atomically(&workspace.build_dir.join(profile(debug)).join("wharfctl"), out)
}

fn release(cargo: &mut std::process::Command, debug: bool) -> &mut std::process::Command {
    cargo.args((!debug).then_some("--release"))
}

fn profile(debug: bool) -> &'static str {
    if debug { "debug" } else { "release" }
}

fn component(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.wasm"))
}

fn sized(file: &Path) -> Result<String> {
    let size = fs::metadata(file).with_context(|| format!("{} was not built", file.display()))?.len();
    let name = file.file_name().map(OsString::from).unwrap_or_default();
    Ok(format!("{:<18} {}", name.display(), check::megabytes(size)))
}

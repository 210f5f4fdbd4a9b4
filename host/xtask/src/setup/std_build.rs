//! The fallback for machines that reach a Debian mirror but not rustup's server: builds the standard library for
//! wasm32-wasip2 from the packages rust-src and wasi-libc, and puts it into the compiler's own folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};

use super::apt::{self, PrivateApt};
use super::wasm_target::TARGET;
use crate::workspace::{copy_atomically, create_dir, write_atomically};
use crate::{say, sh};

const SUITE: &str = "trixie-backports";
const EMPTY: &str = "wharf-std-probe";

/// Whether an earlier run was interrupted between the first change to the sysroot and the last.
pub(crate) fn is_unfinished(sysroot: &Path) -> bool {
    stamp(sysroot).exists()
}

/// Builds and installs the target's standard library for exactly this version of the compiler.
pub(crate) fn install(work: &Path, sysroot: &Path, version: &str) -> Result<()> {
    let unpacked = unpack(work, version)?;
    let library = sysroot.join("lib/rustlib").join(TARGET).join("lib");
    create_dir(&library.join("self-contained"))
        .context("the target goes into the compiler's folder, which this user may not write")?;
    write_atomically(&stamp(sysroot), b"An interrupted set-up; `cargo xtask setup` mends it.\n")?;
    remove_libraries(&library)?;

    for name in ["crt1-command.o", "crt1-reactor.o", "libc.a"] {
        let from = unpacked.join("usr/lib").join(TARGET).join(name);
        copy_atomically(&from, &library.join("self-contained").join(name))?;
    }
    let link = link_sources(sysroot, &unpacked.join(format!("usr/src/rustc-{version}")))?;
    let built = build_std(work);
    if let Some(link) = link {
        fs::remove_file(&link).with_context(|| format!("cannot remove {}", link.display()))?;
    }
    for file in install_order(built?) {
        let name = file.file_name().ok_or_else(|| anyhow!("{} has no file name", file.display()))?;
        copy_atomically(&file, &library.join(name))?;
    }
    fs::remove_file(stamp(sysroot)).context("cannot remove the set-up's stamp")
}

/// Present from the first change to the sysroot until the last one is done.
fn stamp(sysroot: &Path) -> PathBuf {
    sysroot.join("lib/rustlib").join(TARGET).join("wharf-setup-unfinished")
}

/// Unpacks both packages under `work` and returns the root of what they hold.
fn unpack(work: &Path, version: &str) -> Result<PathBuf> {
    let (source, libc) = packages(work, version)?;
    let root = work.join("root");
    let done = root.join("unpacked");
    let wanted = format!("{}\n{}\n", source.display(), libc.display());
    if fs::read_to_string(&done).is_ok_and(|text| text == wanted) {
        return Ok(root);
    }
    say::line("unpacking rust-src and wasi-libc");
    apt::unpack_all(&[source, libc], &root)?;
    write_atomically(&done, wanted.as_bytes())?;
    Ok(root)
}

/// The files of rust-src and wasi-libc: from the folder that `WHARF_DEBS` names, from an earlier run, or downloaded.
fn packages(work: &Path, version: &str) -> Result<(PathBuf, PathBuf)> {
    let rust = format!("{version}+");
    if let Some(dir) = std::env::var_os("WHARF_DEBS").map(PathBuf::from) {
        say::line(format_args!("taking the packages from {}", dir.display()));
        let find = |package: &str, version: &str| {
            apt::find_deb(&dir, package, version)?
                .ok_or_else(|| anyhow!("WHARF_DEBS: no {package}_{version}*.deb in {}", dir.display()))
        };
        return Ok((find("rust-src", &rust)?, find("wasi-libc", "")?));
    }
    let debs = work.join("debs");
    create_dir(&debs)?;
    let had = (apt::find_deb(&debs, "rust-src", &rust)?, apt::find_deb(&debs, "wasi-libc", "")?);
    if let (Some(source), Some(libc)) = had {
        return Ok((source, libc));
    }
    let apt = PrivateApt::new(work, SUITE)?;
    let source = apt.versions("rust-src")?.into_iter().find(|candidate| candidate.starts_with(&rust));
    let source = source.ok_or_else(|| {
        anyhow!("Debian {SUITE} has no rust-src {version}; install the {TARGET} target by hand")
    })?;
    let libc = apt.newest("wasi-libc")?;
    Ok((apt.download("rust-src", &source, &debs)?, apt.download("wasi-libc", &libc, &debs)?))
}

/// Shows the compiler the sources of its standard library; returns the link if this call made it.
fn link_sources(sysroot: &Path, sources: &Path) -> Result<Option<PathBuf>> {
    let link = sysroot.join("lib/rustlib/src/rust");
    if !link.is_symlink() && link.join("library/std/Cargo.toml").exists() {
        return Ok(None);
    }
    if !sources.join("library/std/Cargo.toml").exists() {
        bail!("{} holds no standard library", sources.display());
    }
    create_dir(&sysroot.join("lib/rustlib/src"))?;
    if link.is_symlink() {
        fs::remove_file(&link).with_context(|| format!("cannot replace {}", link.display()))?;
    }
    symlink(sources, &link).with_context(|| format!("cannot link {}", link.display()))?;
    Ok(Some(link))
}

/// Compiles an empty crate together with the standard library and returns the library's files.
fn build_std(work: &Path) -> Result<Vec<PathBuf>> {
    let dir = work.join(EMPTY);
    create_dir(&dir.join("src"))?;
    // The empty `[workspace]` keeps cargo from looking for the crate in the workspace around the build folder.
    let manifest =
        format!("[package]\nname = \"{EMPTY}\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[workspace]\n");
    write_atomically(&dir.join("Cargo.toml"), manifest.as_bytes())?;
    write_atomically(&dir.join("src/lib.rs"), b"")?;
    let target = work.join("std");
    let deps = target.join(TARGET).join("release/deps");
    if deps.exists() {
        // Files of an earlier compiler would be taken for this one's.
        fs::remove_dir_all(&target).with_context(|| format!("cannot remove {}", target.display()))?;
    }
    let mut cargo = crate::workspace::cargo();
    cargo.current_dir(&dir).args([
        "build",
        "-Zbuild-std=std,panic_abort,panic_unwind",
        "--release",
        "--target",
        TARGET,
    ]);
    cargo.arg("--target-dir").arg(&target).env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTFLAGS");
    sh::run(cargo.env_remove("CARGO_ENCODED_RUSTFLAGS"))?;
    libraries(&deps)
}

/// The standard library comes last: without it nothing compiles, so a part of the set is never taken for the whole.
fn install_order(mut files: Vec<PathBuf>) -> Vec<PathBuf> {
    let own = format!("lib{}-", EMPTY.replace('-', "_"));
    let starts = |path: &Path, prefix: &str| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix))
    };
    files.retain(|path| !starts(path, &own));
    files.sort_by_key(|path| (starts(path, "libstd-"), path.clone()));
    files
}

fn libraries(dir: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let is_library = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "rlib");
    Ok(entries.flatten().map(|entry| entry.path()).filter(is_library).collect())
}

/// Two versions of one library side by side would be an ambiguity that the compiler refuses.
fn remove_libraries(dir: &Path) -> Result<()> {
    for file in libraries(dir)? {
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn std_is_installed_last_and_the_empty_crate_not_at_all() {
        let files = ["libstd-1.rlib", "libwharf_std_probe-2.rlib", "libcore-3.rlib", "libstd_detect-4.rlib"];
        let order = install_order(files.map(PathBuf::from).into());
        assert_eq!(order, ["libcore-3.rlib", "libstd_detect-4.rlib", "libstd-1.rlib"].map(PathBuf::from));
    }

    #[test]
    fn a_link_of_ours_is_replaced_and_real_sources_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (sysroot, sources) = (dir.path().join("sysroot"), dir.path().join("sources"));
        fs::create_dir_all(sources.join("library/std")).unwrap();
        fs::write(sources.join("library/std/Cargo.toml"), "").unwrap();
        fs::create_dir_all(sysroot.join("lib/rustlib/src")).unwrap();
        let link = sysroot.join("lib/rustlib/src/rust");
        symlink(dir.path().join("gone"), &link).unwrap();
        assert_eq!(link_sources(&sysroot, &sources).unwrap(), Some(link.clone()));
        assert_eq!(fs::read_link(&link).unwrap(), sources);

        fs::remove_file(&link).unwrap();
        fs::create_dir_all(link.join("library/std")).unwrap();
        fs::write(link.join("library/std/Cargo.toml"), "").unwrap();
        assert_eq!(link_sources(&sysroot, &sources).unwrap(), None);
    }

    #[test]
    fn an_interrupted_installation_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_unfinished(dir.path()));
        fs::create_dir_all(dir.path().join("lib/rustlib").join(TARGET)).unwrap();
        fs::write(stamp(dir.path()), "").unwrap();
        assert!(is_unfinished(dir.path()));
    }
}

//! What a fresh Debian 12 with Rust lacks: a few packages, the wasm32-wasip2 target, and one with musl.

pub(crate) mod apt;
pub(crate) mod packages;
mod sources;
pub(crate) mod static_target;
mod std_build;
mod toolchain;
mod wasm_target;

use std::fs::File;

use anyhow::{Context, Result};

use crate::say;
use crate::workspace::{Workspace, create_dir};

pub(crate) use toolchain::{ensure_component, host_triple};
pub(crate) use wasm_target::TARGET;

/// Checks the toolchain and installs what is missing; running it again changes nothing.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    say::heading("Set-up");
    let version = toolchain::check()?;
    say::good(format_args!("rustc {version}"));
    let work = workspace.build_dir.join("setup");
    create_dir(&work)?;
    // Two set-ups at once would build the same standard library in the same folder.
    let lock = File::create(work.join("lock")).context("cannot create the set-up's lock file")?;
    lock.lock().context("cannot take the set-up's lock")?;
    packages::ensure()?;
    wasm_target::ensure(&work, &version)?;
    static_target::ensure(&work, &version)
}

//! The fuzz targets: a workspace of its own, which no other step compiles.

use anyhow::{Result, bail};

use crate::test::report::Report;
use crate::workspace::Workspace;
use crate::{say, sh};

const MANIFEST: &str = "fuzz/Cargo.toml";

/// Format, compilation and lints, as far as they take no nightly toolchain. Without crates that only they need, and that
/// no registry gives, they are left out.
pub(crate) fn check(workspace: &Workspace, report: &mut Report) {
    say::heading("The fuzz targets");
    let format = sh::run(workspace.cargo().args(["fmt", "--manifest-path", MANIFEST, "--check"]));
    report.step("format of the fuzz targets", format);
    match missing(workspace) {
        Ok(None) => {
            // Without libFuzzer itself, which is C++.
            let mut clippy = workspace.cargo();
            clippy.args(["clippy", "--locked", "--offline", "--no-default-features"]);
            clippy.args(["--manifest-path", MANIFEST, "--target-dir"]).arg(workspace.build_dir.join("fuzz"));
            report.step("fuzz targets", sh::run(clippy.args(["--", "-D", "warnings"])));
        }
        Ok(Some(reason)) => report.skip(&format!("fuzz targets: {reason}")),
        Err(error) => {
            report.step::<()>("fuzz targets", Err(error));
        }
    }
}

/// Why not all of their crates can be had; an error if the lock file does not say which ones.
fn missing(workspace: &Workspace) -> Result<Option<String>> {
    // What a tree shows it downloads, and nothing for other platforms.
    let tree = |more: &[&str]| {
        let mut tree = workspace.cargo();
        sh::capture(tree.args(["tree", "--quiet", "--locked", "--manifest-path", MANIFEST]).args(more))
    };
    if tree(&["--offline"])?.status.success() {
        return Ok(None);
    }
    let output = tree(&[])?;
    if output.status.success() {
        return Ok(None);
    }
    let reason = String::from_utf8_lossy(&output.stderr);
    if reason.contains("--locked") {
        bail!(
            "fuzz/Cargo.lock is older than what it locks: `cargo update --workspace --manifest-path {MANIFEST}`"
        );
    }
    Ok(Some(reason.split_whitespace().collect::<Vec<_>>().join(" ")))
}

//! Pods through containerd, with the reference plugins and with Wharf: builds and fetches what that needs and starts the
//! program `pod-bench` of the tests in namespaces of its own.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::workspace::{Workspace, create_dir};
use crate::{build, private, runtimes, say, setup, sh};

/// Measures, prints the table and writes `containerd.json` into `out`.
pub(crate) fn run(workspace: &Workspace, quick: bool, out: Option<PathBuf>) -> Result<()> {
    private::require_root("the bench")?;
    setup::run(workspace)?;
    let built = build::run(workspace, false)?;
    let reference = super::reference(workspace)?;
    let (runtimes, missing) = runtimes::fetch(workspace)?;
    if let Some(why) = missing.iter().find(|what| what.starts_with("debian:")) {
        bail!("there is no containerd here: {why}");
    }
    let out = out.unwrap_or_else(|| workspace.target().join("bench"));
    create_dir(&out)?;
    let out = out.canonicalize().with_context(|| format!("cannot find {}", out.display()))?;
    say::heading("Pods through containerd 1.6");
    let package = ["--package", "wharf-tests", "--bin", "pod-bench"];
    sh::run(workspace.cargo().arg("build").args(package))?;
    let file = out.join("containerd.json");
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--quiet", "--offline"]).args(package).arg("--");
    cargo.arg(if quick { "8" } else { "40" }).arg(&file);
    cargo.env("WHARF_BIN", built.wharf).env("WHARFCTL_BIN", built.wharfctl).env("WHARF_GUESTS", built.guests);
    cargo.env("WHARF_REFERENCE", reference).env("WHARF_RUNTIMES", runtimes);
    let _mount_points = private::MountPoints::create()?;
    sh::run(&mut private::wrap(&cargo)?)?;
    say::line(format_args!("written: {}", file.display()));
    Ok(())
}

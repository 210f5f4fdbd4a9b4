//! The compiler's version and its optional components.

use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::workspace::{Workspace, rustc};
use crate::{say, sh};

/// The minor version that the workspace is written for and tested with.
const WANTED: &str = "1.95.";

/// Returns rustc's version, such as `1.95.0`, and refuses another minor one.
pub(crate) fn check() -> Result<String> {
    let text = sh::output(rustc().arg("--version")).context("rustc is needed")?;
    let version = parse(&text).ok_or_else(|| anyhow!("cannot read rustc's version in `{text}`"))?;
    if !version.starts_with(WANTED) {
        bail!(
            "rustc {version} found, but Wharf is built with {WANTED}x: `rustup toolchain install 1.95.0 && rustup override set 1.95.0`"
        );
    }
    Ok(version)
}

/// The triple of this machine, such as `x86_64-unknown-linux-gnu`.
pub(crate) fn host_triple() -> Result<String> {
    let text = sh::output(rustc().arg("-vV"))?;
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .ok_or_else(|| anyhow!("`rustc -vV` names no host"))
}

/// Makes sure that `cargo NAME` works, by rustup if need be; `component` is rustup's name for it.
pub(crate) fn ensure_component(workspace: &Workspace, name: &str, component: &str) -> Result<()> {
    if sh::succeeds(workspace.cargo().args([name, "--version"])) {
        return Ok(());
    }
    say::line(format_args!("`cargo {name}` is missing: asking rustup for it"));
    sh::run(Command::new("rustup").args(["component", "add", component])).with_context(|| {
        format!("`cargo {name}` is needed: install the component {component} of your Rust toolchain")
    })
}

fn parse(text: &str) -> Option<String> {
    let version = text.strip_prefix("rustc ")?.split([' ', '-']).next()?;
    (version.split('.').count() == 3).then(|| version.to_owned())
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn versions_are_read_from_what_rustc_prints() {
        for (text, version) in [
            ("rustc 1.95.0 (59807616e 2026-04-14)", Some("1.95.0")),
            ("rustc 1.96.0-nightly (abc 2026-04-14)", Some("1.96.0")),
            ("rustc 1.95.0 (59807616e 2026-04-14) (built from a source tarball)", Some("1.95.0")),
            ("cargo 1.95.0", None),
            ("rustc next", None),
        ] {
            assert_eq!(parse(text).as_deref(), version, "{text}");
        }
    }
}

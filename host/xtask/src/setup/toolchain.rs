//! The compiler's version and its optional components.

use std::convert::Infallible;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use crate::workspace::{Workspace, rustc};
use crate::{say, sh};

/// The minor version that the workspace is written for and tested with.
const WANTED: &str = "1.95";
/// What rustup is asked for where it has none of those.
const RELEASE: &str = "1.95.0";
/// Is set where this program was started again by another toolchain: that happens once.
const AGAIN: &str = "WHARF_XTASK_AGAIN";

/// What is to be done about a compiler.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    /// It is the right one.
    Good,
    /// This toolchain of rustup's is, and runs the same once more.
    Again(String),
    /// Rustup is to install one that is.
    Install,
    /// Somebody else is.
    Refuse,
}

/// Returns rustc's version, such as `1.95.0`. Where it is of another minor one, rustup runs this command again with the
/// right toolchain, which it installs if need be, and this does not return; without rustup it is refused.
pub(crate) fn check() -> Result<String> {
    let text = sh::output(rustc().arg("--version")).context("rustc is needed")?;
    let version = parse(&text).ok_or_else(|| anyhow!("cannot read rustc's version in `{text}`"))?;
    let toolchains = sh::output(Command::new("rustup").args(["toolchain", "list"])).ok();
    let refusal = || {
        format!(
            "rustc {version} found, but Wharf is built with {WANTED}.x: `rustup toolchain install {RELEASE} && rustup override \
             set {RELEASE}`"
        )
    };
    let toolchain = match choose(&version, toolchains.as_deref(), std::env::var_os(AGAIN).is_some()) {
        Choice::Good => return Ok(version),
        Choice::Refuse => bail!(refusal()),
        Choice::Again(toolchain) => toolchain,
        Choice::Install => {
            say::line(format_args!(
                "rustc {version} found, and Wharf is built with {WANTED}.x: asking rustup for it"
            ));
            let mut install = Command::new("rustup");
            install.args(["toolchain", "install", RELEASE, "--profile", "minimal", "--no-self-update"]);
            sh::run(&mut install).with_context(refusal)?;
            RELEASE.to_owned()
        }
    };
    say::line(format_args!(
        "rustc {version} found, and Wharf is built with {WANTED}.x: once more, by {toolchain}"
    ));
    match again(&toolchain)? {}
}

/// `toolchains` is what `rustup toolchain list` prints, if there is a rustup; `again` whether it was asked before.
fn choose(version: &str, toolchains: Option<&str>, again: bool) -> Choice {
    // `1.95.0` and `1.95-x86_64-unknown-linux-gnu`, but not `1.950`.
    let wanted = |name: &str| {
        name.strip_prefix(WANTED).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '-']))
    };
    if wanted(version) {
        return Choice::Good;
    }
    let Some(toolchains) = toolchains.filter(|_| !again) else { return Choice::Refuse };
    let mut names = toolchains.lines().filter_map(|line| line.split_whitespace().next());
    names.find(|name| wanted(name)).map_or(Choice::Install, |name| Choice::Again(name.to_owned()))
}

/// Replaces this process by the same command in another toolchain. Returns only if that fails.
fn again(toolchain: &str) -> Result<Infallible> {
    let mut command = Command::new("rustup");
    command
        .args(["run", toolchain, "cargo", "xtask"])
        .args(std::env::args_os().skip(1))
        .env(AGAIN, toolchain);
    let error = command.exec();
    Err(error).with_context(|| format!("cannot start `{}`", sh::display(&command)))
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
    use super::*;

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
    #[test]
    fn another_compiler_is_used_if_rustup_has_it_or_can() {
        const TRIPLE: &str = "x86_64-unknown-linux-gnu";
        let list = |names: &[&str]| {
            names.iter().map(|name| format!("{name}-{TRIPLE} (active)\n")).collect::<Vec<_>>().concat()
        };
        let (without, with) = (list(&["stable", "1.9", "1.950.0"]), list(&["stable", "1.95.1", "nightly"]));
        let again = || Choice::Again(format!("1.95.1-{TRIPLE}"));
        for (version, toolchains, once_more, choice) in [
            ("1.95.0", None, false, Choice::Good),
            ("1.95.3", Some(&without), true, Choice::Good),
            ("1.97.0", Some(&with), false, again()),
            ("1.94.1", Some(&with), false, again()),
            ("1.97.0", Some(&without), false, Choice::Install),
            ("1.97.0", None, false, Choice::Refuse),
            // Another one was started, and is not what it is called: not for ever.
            ("1.97.0", Some(&with), true, Choice::Refuse),
            ("1.97.0", Some(&without), true, Choice::Refuse),
            ("1.950.0", None, false, Choice::Refuse),
        ] {
            let chosen = choose(version, toolchains.map(String::as_str), once_more);
            assert_eq!(chosen, choice, "{version}, {toolchains:?}, {once_more}");
        }
    }
}

//! The test programs of a machine, and the list by which its first process runs them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow};
use serde_json::Value;

use super::cpio::Tree;
use crate::build::Built;
use crate::workspace::create_dir;
use crate::{say, sh};

/// One test program.
pub(in crate::test) struct Program {
    /// What it is called in the machine.
    pub(in crate::test) name: &'static str,
    /// How cargo builds it.
    pub(in crate::test) selection: &'static [&'static str],
    /// What of it runs when nothing else is asked for.
    pub(in crate::test) arguments: &'static str,
}

/// What builds and strips them.
pub(in crate::test) struct Tools<'a> {
    /// Cargo, for the machine's processor.
    pub(in crate::test) test: &'a dyn Fn() -> Command,
    /// Binutils' program for it.
    pub(in crate::test) strip: &'static str,
}

/// Builds the programs in `stage`, and puts them and their list into the tree. Answers their files.
pub(in crate::test) fn add(
    tree: &mut Tree,
    stage: &Path,
    programs: &[Program],
    filter: Option<&str>,
    tools: &Tools<'_>,
) -> Result<Vec<PathBuf>> {
    let (mut list, mut files) = (String::new(), Vec::new());
    for program in programs {
        let (small, at) = (stage.join(program.name), Path::new("/tests").join(program.name));
        strip(tools.strip, &compile(tools.test, program.selection)?, &small)?;
        tree.copy(&small, &at);
        // Twice the processors: some wait for an answer that must not come.
        let arguments = filter.unwrap_or(program.arguments);
        writeln!(list, "{} --show-output --test-threads=4 {arguments}", at.display())?;
        files.push(small);
    }
    tree.text(Path::new("/tests/list"), 0o644, &list);
    Ok(files)
}

/// The binaries and the guests, where the first process looks for them.
pub(in crate::test) fn add_built(tree: &mut Tree, built: &Built) -> Result<()> {
    tree.copy(&built.wharf, Path::new("/wharf/wharf"));
    tree.copy(&built.wharfctl, Path::new("/wharf/wharfctl"));
    tree.copy_all(&built.guests, Path::new("/wharf/guests"))
}

/// The folder `stage` of another, emptied.
pub(in crate::test) fn stage(work: &Path) -> Result<PathBuf> {
    let stage = work.join("stage");
    if stage.exists() {
        fs::remove_dir_all(&stage).with_context(|| format!("cannot remove {}", stage.display()))?;
    }
    create_dir(&stage)?;
    Ok(stage)
}

/// The test program of a selection.
fn compile(test: &dyn Fn() -> Command, selection: &[&str]) -> Result<PathBuf> {
    let command = || {
        let mut cargo = test();
        cargo.arg("--no-run").args(selection);
        cargo
    };
    sh::run(&mut command())?;
    executable(&sh::output(command().args(["--quiet", "--message-format", "json"]))?)
        .ok_or_else(|| anyhow!("`{}` names no program", sh::display(&command())))
}

/// The test program that cargo's messages name; programs that it is to start are among them too.
fn executable(messages: &str) -> Option<PathBuf> {
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut tests = messages.filter(|message| message.pointer("/profile/test") == Some(&Value::Bool(true)));
    tests.find_map(|message| message.get("executable")?.as_str().map(PathBuf::from))
}

/// Debugging information is most of a test program, and the machine would have to unpack it.
fn strip(strip: &str, program: &Path, to: &Path) -> Result<()> {
    if sh::succeeds(Command::new(strip).arg("--strip-debug").arg("-o").arg(to).arg(program)) {
        return Ok(());
    }
    say::warn(format_args!("{strip} fails: {} goes in as it is", program.display()));
    fs::copy(program, to).with_context(|| format!("cannot copy {}", program.display())).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_is_read_from_cargos_messages() {
        let messages = r#"
            {"reason": "compiler-artifact", "profile": {"test": false}, "executable": null}
            {"reason": "compiler-artifact", "profile": {"test": true}, "executable": "/t/suite-1"}
            {"reason": "compiler-artifact", "profile": {"test": false}, "executable": "/t/crash"}
            {"reason": "build-finished"}
        "#;
        assert_eq!(executable(messages), Some(PathBuf::from("/t/suite-1")));
        assert_eq!(executable("{}"), None);
    }
}

//! JavaScript: componentize-qjs from npm, which puts the module and the interpreter QuickJS into one component.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Job, Stamp, WORLD, clear, need, read};
use crate::workspace::copy_atomically;
use crate::{say, sh};

/// `--sync`: a component of WASI 0.2 and not of the asynchronous component model.
pub(super) fn build(job: &Job) -> Result<()> {
    sh::run(&mut componentize(job, tools(job)?))
}

/// The component, with what npm put into `tools`.
pub(super) fn componentize(job: &Job, tools: &Path) -> Command {
    let mut build = Command::new(tools.join("node_modules/.bin/componentize-qjs"));
    build.args(["--sync", "--wit"]).arg(&job.wit).args(["--world", WORLD, "--js"]);
    build.arg(job.sources.join(&job.name).with_extension("js")).arg("--output").arg(&job.out);
    build
}

/// The tools, in the folder in which it runs.
pub(super) fn install() -> Command {
    let mut npm = Command::new("npm");
    npm.args(["install", "--ignore-scripts", "--no-audit", "--no-fund"]);
    npm
}

fn tools<'a>(job: &'a Job<'_>) -> Result<&'a PathBuf> {
    let text = read(&job.sdk.join("package-lock.json"))?;
    let stamp = Stamp::new(&job.tools, &text);
    if stamp.holds() {
        return Ok(&job.tools);
    }
    need(&[("node", "nodejs"), ("npm", "npm")])?;
    say::line("installing componentize-qjs from npm");
    clear(&job.tools.join("node_modules"))?;
    for file in ["package.json", "package-lock.json"] {
        copy_atomically(&job.sdk.join(file), &job.tools.join(file))?;
    }
    // The versions and digests of the lock hold for `install`, too. `ci` refuses it: of the packages for other systems that
    // componentize-qjs names, some do not exist.
    sh::output(install().current_dir(&job.tools))?;
    stamp.done()?;
    Ok(&job.tools)
}

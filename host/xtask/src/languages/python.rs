//! Python: componentize-py from PyPI, in a virtual environment.

use std::path::PathBuf;
use std::process::Command;

use anyhow::Result;

use super::{Job, Stamp, WORLD, clear, read};
use crate::setup::packages;
use crate::{say, sh};

/// Also initialises the interpreter and the guest's module, and keeps its memory in the component.
pub(super) fn build(job: &Job) -> Result<()> {
    let venv = tools(job)?;
    let mut build = Command::new(venv.join("bin/componentize-py"));
    build.arg("-d").arg(&job.wit).args(["-w", WORLD, "componentize", "-p"]).arg(&job.sources);
    build.arg(job.name.replace('-', "_")).arg("-o").arg(&job.out);
    sh::run(&mut build)
}

fn tools(job: &Job) -> Result<PathBuf> {
    let (venv, lock) = (job.tools.join("venv"), job.sdk.join("requirements.txt"));
    let text = read(&lock)?;
    let stamp = Stamp::new(&job.tools, &text);
    if stamp.holds() {
        return Ok(venv);
    }
    // Debian's python3 comes without what makes environments.
    if !sh::succeeds(Command::new("python3").args(["-c", "import ensurepip, venv"])) {
        packages::install_missing(&["python3-venv"])?;
    }
    say::line("installing componentize-py from PyPI");
    clear(&venv)?;
    sh::output(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-deps", "--require-hashes"]);
    sh::output(pip.arg("--requirement").arg(&lock))?;
    stamp.done()?;
    Ok(venv)
}

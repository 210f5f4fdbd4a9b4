//! Python: componentize-py from PyPI, in a virtual environment.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::{Job, Stamp, WORLD, clear, read};
use crate::setup::packages;
use crate::{say, sh};

/// Also initialises the interpreter and the guest's module, and keeps its memory in the component.
pub(super) fn build(job: &Job) -> Result<()> {
    sh::run(&mut componentize(job, &tools(job)?))
}

/// The component, with the programs of an environment.
pub(super) fn componentize(job: &Job, venv: &Path) -> Command {
    let mut build = Command::new(venv.join("bin/componentize-py"));
    build.arg("-d").arg(&job.wit).args(["-w", WORLD, "componentize", "-p"]).arg(&job.sources);
    build.arg(job.name.replace('-', "_")).arg("-o").arg(&job.out);
    build
}

/// The environment itself.
pub(super) fn environment(venv: &Path) -> Command {
    let mut python = Command::new("python3");
    python.args(["-m", "venv"]).arg(venv);
    python
}

/// What is put into it.
pub(super) fn install(venv: &Path, lock: &Path) -> Command {
    let mut pip = Command::new(venv.join("bin/pip"));
    pip.args(["install", "--no-deps", "--require-hashes", "--requirement"]).arg(lock);
    pip.env("PIP_DISABLE_PIP_VERSION_CHECK", "1");
    pip
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
    sh::output(&mut environment(&venv))?;
    sh::output(&mut install(&venv, &lock))?;
    stamp.done()?;
    Ok(venv)
}

//! Two containers on one bridge through the installed binary, each step shown and each claim checked on the kernel.

mod leftover;
mod stage;
mod steps;
mod traffic;

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{build, private, say, setup};
use stage::Stage;

/// Builds, installs into a throw-away root and plays the scenario; fails at the first step that does not hold.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    setup::run(workspace)?;
    let built = build::run(workspace, false)?;

    say::heading("The demo's node: network and mount namespaces of its own");
    private::require_root("the demo")?;
    private::enter()?;
    let stage = Stage::set(workspace, &built)?;
    steps::play(&stage)?;
    say::heading("Every step held, and nothing of it is left on this machine");
    Ok(())
}

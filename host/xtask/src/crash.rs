//! Calls that are killed at random instants, or at each of their changes: builds what that needs and starts the program
//! `crash` of the tests in namespaces of its own.

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{bench, build, private, say, setup, sh};

/// What the command line says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Crash {
    /// How many calls are killed.
    pub(crate) runs: Option<u64>,
    /// Which instants.
    pub(crate) seed: Option<u64>,
    /// One of the two, else both.
    pub(crate) backend: Option<String>,
    /// The reference plugins too.
    pub(crate) reference: bool,
    /// Instead of random kills: each change fails with each errno, or is the last one.
    pub(crate) sweep: bool,
}

impl Crash {
    /// For the program.
    fn arguments(&self) -> Vec<String> {
        let numbers = [("--runs", self.runs), ("--seed", self.seed)];
        let numbers = numbers.into_iter().filter_map(|(name, number)| Some((name, number?.to_string())));
        let backend = self.backend.iter().map(|backend| ("--backend", backend.clone()));
        let mut all: Vec<String> =
            numbers.chain(backend).flat_map(|(name, value)| [name.to_owned(), value]).collect();
        all.extend(self.reference.then(|| "--reference".to_owned()));
        all.extend(self.sweep.then(|| "--sweep".to_owned()));
        all
    }
}

/// Builds and runs it. An error if Wharf left anything or failed.
pub(crate) fn run(workspace: &Workspace, crash: &Crash) -> Result<()> {
    private::require_root("the crash test")?;
    setup::run(workspace)?;
    let built = build::run(workspace, false)?;
    let faults = if crash.sweep { Some(build::faults(workspace)?) } else { None };
    let reference = if crash.reference { Some(bench::reference(workspace)?) } else { None };
    say::heading("Crash: calls that end in their middle, on the real kernel");
    let package = ["--package", "wharf-tests", "--bin", "crash"];
    sh::run(workspace.cargo().arg("build").args(package))?;
    let mut cargo = workspace.cargo();
    cargo.args(["run", "--quiet", "--offline"]).args(package).arg("--").args(crash.arguments());
    cargo.env("WHARF_BIN", built.wharf).env("WHARFCTL_BIN", built.wharfctl).env("WHARF_GUESTS", built.guests);
    if let Some(faults) = faults {
        cargo.env("WHARF_FAULTS_BIN", faults);
    }
    if let Some(reference) = reference {
        cargo.env("WHARF_REFERENCE", reference);
    }
    let _mount_points = private::MountPoints::create()?;
    sh::run(&mut private::wrap(&cargo)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_gets_what_was_said_and_no_more() {
        assert!(Crash::default().arguments().is_empty());
        let crash =
            Crash { runs: Some(9), backend: Some("iptables".into()), reference: true, ..Crash::default() };
        assert_eq!(crash.arguments(), ["--runs", "9", "--backend", "iptables", "--reference"]);
    }
}

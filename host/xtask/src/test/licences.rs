//! Licences, sources and bans of the dependencies, by cargo-deny and `deny.toml`.

use crate::sh;
use crate::test::report::Report;
use crate::workspace::Workspace;

/// Runs cargo-deny. Where it is missing it is installed on a CI machine (`CI` is set) and left out elsewhere: building
/// it takes minutes.
pub(crate) fn check(workspace: &Workspace, report: &mut Report) {
    crate::say::heading("Licences and sources of the dependencies");
    if !sh::succeeds(workspace.cargo().args(["deny", "--version"])) {
        if std::env::var_os("CI").is_none() {
            report.skip("cargo-deny: it is not installed (`cargo install --locked cargo-deny`)");
            return;
        }
        let install = sh::run(workspace.cargo().args(["install", "--locked", "cargo-deny"]));
        if report.step("installing cargo-deny", install).is_none() {
            return;
        }
    }
    let deny = sh::run(workspace.cargo().args(["deny", "check", "bans", "licenses", "sources"]));
    report.step("cargo-deny", deny);
}

//! Everything that must hold before a change is merged, in one command with one summary.

mod apart;
mod arm64;
mod fuzz;
mod licences;
mod machine;
pub(crate) mod parity;
mod qemu;
mod report;

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::build::{self, Built};
use crate::setup::{self, ensure_component};
use crate::workspace::Workspace;
use crate::{bench, languages, private, runtimes, say, sh};
use report::Report;

/// The crate whose tests run the built binaries on the real kernel.
const INTEGRATION: &str = "wharf-tests";

/// Set-up, format, lints, the fuzz targets, build, all tests, licences; with a filter only set-up, build and the matching
/// tests.
pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    setup::run(workspace)?;
    let mut report = Report::default();
    if filter.is_none() {
        style(workspace, &mut report)?;
        fuzz::check(workspace, &mut report);
    }
    let built = report.step("build", build::run(workspace, false));
    apart::fetch(workspace, filter, &mut report);
    unit_tests(workspace, filter, &mut report)?;
    match built {
        Some(built) => {
            integration_tests(workspace, filter, &built, &mut report)?;
            // For one test of another subject nobody wants to wait for a machine.
            if filter.is_none() {
                qemu::run(workspace, None, &built, &mut report);
            }
        }
        None => report.skip(&format!("{INTEGRATION}: nothing was built")),
    }
    if filter.is_none() {
        licences::check(workspace, &mut report);
    }
    report.finish()
}

/// Only the tests on Debian's kernel, all that are meant for it or those that match.
pub(crate) fn in_qemu(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    let built = if let Some(built) = Built::given() {
        built
    } else {
        setup::run(workspace)?;
        build::run(workspace, false)?
    };
    let mut report = Report::default();
    qemu::run(workspace, filter, &built, &mut report);
    report.finish()
}

/// Only the tests on Debian's kernel for arm64, all that are meant for it or those that match.
pub(crate) fn on_arm64(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    if std::env::consts::ARCH == "aarch64" {
        bail!("this is an arm64 machine already: `cargo xtask test` runs these tests and all others on it");
    }
    let guests = if let Some(built) = Built::given() {
        built.guests
    } else {
        setup::run(workspace)?;
        build::run(workspace, false)?.guests
    };
    let mut report = Report::default();
    arm64::run(workspace, filter, &guests, &mut report);
    report.finish()
}

/// Writes the pages of docs/reference: the tests that compare them with the sources write them if they are told to.
pub(crate) fn write_reference(workspace: &Workspace) -> Result<()> {
    let built = if let Some(built) = Built::given() {
        built
    } else {
        setup::run(workspace)?;
        build::run(workspace, false)?
    };
    say::heading("The generated pages of the documentation");
    let mut cargo = workspace.cargo();
    cargo.args([
        "test",
        "--quiet",
        "--package",
        INTEGRATION,
        "--test",
        "suite",
        "--",
        "reference::the_page_of",
    ]);
    cargo.env("WHARF_BLESS", "1").env("WHARFCTL_BIN", &built.wharfctl);
    cargo.env("WHARF_BIN", &built.wharf).env("WHARF_GUESTS", &built.guests);
    sh::run(&mut cargo)
}

fn style(workspace: &Workspace, report: &mut Report) -> Result<()> {
    ensure_component(workspace, "fmt", "rustfmt")?;
    ensure_component(workspace, "clippy", "clippy")?;
    say::heading("Format and lints");
    report.step("format", sh::run(workspace.cargo().args(["fmt", "--all", "--check"])));
    let mut native = workspace.cargo();
    native.args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]);
    report.step("lints", sh::run(&mut native));
    // What the guests compile only for their real target is not seen above.
    let mut guests = workspace.cargo();
    guests.args(["clippy", "--profile", "guest", "--target", "wasm32-wasip2"]);
    for guest in &workspace.guests {
        guests.args(["--package", &guest.package]);
    }
    report.step("lints of the guests", sh::run(guests.args(["--", "-D", "warnings"])));
    Ok(())
}

fn unit_tests(workspace: &Workspace, filter: Option<&str>, report: &mut Report) -> Result<()> {
    say::heading("Unit tests and documentation tests of every crate");
    let selection = ["--workspace", "--exclude", INTEGRATION];
    tests(workspace, "unit tests", &selection, filter, &[], report)
}

fn integration_tests(
    workspace: &Workspace,
    filter: Option<&str>,
    built: &Built,
    report: &mut Report,
) -> Result<()> {
    say::heading("Integration tests with the built binaries");
    if !sh::is_root() {
        report.skip(&format!("{INTEGRATION}: they need root"));
        return Ok(());
    }
    let Some(faults) = report.step("build with faults", build::faults(workspace)) else { return Ok(()) };
    let runtimes = runtimes(workspace, filter, report);
    let reference = reference(workspace, filter, report);
    let languages = languages(workspace, filter, report);
    let mut variables = variables(built, &reference);
    variables.extend([
        ("WHARF_LANGUAGES", languages.as_os_str()),
        ("WHARF_FAULTS_BIN", faults.as_os_str()),
        ("WHARF_RUNTIMES", runtimes.as_os_str()),
    ]);
    tests(workspace, "integration tests", &["--package", INTEGRATION], filter, &variables, report)
}

/// Variables of a test run with their values.
type Variables<'a> = Vec<(&'static str, &'a OsStr)>;

/// Where the integration tests find what was built and the reference plugins.
fn variables<'a>(built: &'a Built, reference: &'a Path) -> Variables<'a> {
    vec![
        ("WHARF_REFERENCE", reference.as_os_str()),
        ("WHARF_BIN", built.wharf.as_os_str()),
        ("WHARFCTL_BIN", built.wharfctl.as_os_str()),
        ("WHARF_GUESTS", built.guests.as_os_str()),
    ]
}

/// The folder of the container runtimes. What cannot be had is told here, and by each test that wants it.
fn runtimes(workspace: &Workspace, filter: Option<&str>, report: &mut Report) -> PathBuf {
    if filter.is_some_and(|filter| !runtimes::is_wanted(filter)) {
        return runtimes::folder(workspace);
    }
    let fetched = report.step("container runtimes", runtimes::fetch(workspace));
    let (folder, missing) = fetched.unwrap_or_else(|| (runtimes::folder(workspace), Vec::new()));
    for what in missing {
        report.skip(&what);
    }
    folder
}

/// The folder of the reference plugins. That they cannot be had is told here, and by each test that wants them.
fn reference(workspace: &Workspace, filter: Option<&str>, report: &mut Report) -> PathBuf {
    let folder = bench::reference_folder(workspace);
    if filter.is_some_and(|filter| !bench::is_wanted(filter)) {
        return folder;
    }
    bench::reference(workspace).unwrap_or_else(|error| {
        report.skip(&format!("{INTEGRATION}: the comparison with the reference plugins: {error:#}"));
        folder
    })
}

/// The folder of the guests in other languages, likewise.
fn languages(workspace: &Workspace, filter: Option<&str>, report: &mut Report) -> PathBuf {
    if filter.is_some_and(|filter| !languages::is_wanted(filter)) {
        return languages::folder(workspace);
    }
    let (folder, missing) = languages::build(workspace);
    for what in missing {
        report.skip(&what);
    }
    folder
}

/// Compiles the selected tests here, where cargo may need the network, and runs them in namespaces of their own.
fn tests(
    workspace: &Workspace,
    name: &str,
    selection: &[&str],
    filter: Option<&str>,
    variables: &[(&str, &OsStr)],
    report: &mut Report,
) -> Result<()> {
    let mut compile = workspace.cargo();
    compile.args(["test", "--no-run"]).args(selection);
    if report.step(name, sh::run(&mut compile)).is_none() {
        return Ok(());
    }
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--offline", "--no-fail-fast"]).args(selection).args(filter);
    cargo.args(["--", "--show-output"]);
    let mut line = sh::display(&cargo);
    cargo.envs(variables.iter().copied());
    let mut mount_points = None;
    if sh::is_root() {
        mount_points = Some(private::MountPoints::create()?);
        cargo = private::wrap(&cargo)?;
        line.push_str("   # in namespaces of its own");
    }
    let success = watch(&mut cargo, &line, report)?;
    drop(mount_points);
    report.run_finished(name, success);
    Ok(())
}

/// Runs a test command, shows its lines as they come and counts them. Returns whether it succeeded.
fn watch(command: &mut Command, line: &str, report: &mut Report) -> Result<bool> {
    say::command(line);
    let mut child =
        command.stdout(Stdio::piped()).spawn().with_context(|| format!("cannot start `{line}`"))?;
    let Some(stdout) = child.stdout.take() else { bail!("`{line}` has no output") };
    for text in BufReader::new(stdout).split(b'\n') {
        let text = text.with_context(|| format!("cannot read what `{line}` prints"))?;
        let text = String::from_utf8_lossy(&text);
        if report.read(&text) {
            println!("{text}");
        }
    }
    let status = child.wait().with_context(|| format!("cannot wait for `{line}`"))?;
    Ok(status.success())
}

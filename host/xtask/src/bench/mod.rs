//! Wharf beside the reference plugins in one run: wall and CPU time, ADD and DEL. They take turns, but for the hundreds of
//! attachments of a node.

mod cache;
mod contender;
mod field;
mod overhead;
mod pods;
mod policy;
mod reference;
mod report;
mod rounds;
mod scenario;
mod simulated;
mod stats;
mod svg;
mod targets;
mod traces;
mod turns;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::build::{self, Built};
use crate::cni::Runtime;
use crate::workspace::{Workspace, create_dir, write_atomically};
use crate::{private, say, setup, sh};
use contender::{Contender, Side};
use field::Field;
pub(crate) use pods::run as pods;
use reference::Reference;
use scenario::{Backend, full};
use turns::Turns;

/// What is measured each by itself.
#[derive(Debug, Default)]
struct Asides {
    policy: Option<policy::Cost>,
    /// What an endpoint for traces adds to an ADD, in milliseconds.
    traces: Option<f64>,
    /// A call on the simulated kernel, in milliseconds.
    simulated: Option<f64>,
}

/// How much is measured.
struct Extent {
    rounds: usize,
    rounds_at_once: usize,
    marks: [usize; 2],
}

/// Builds, measures everything, prints the table and writes `bench.json` and `bench.svg` into `out`.
pub(crate) fn run(workspace: &Workspace, quick: bool, out: Option<PathBuf>) -> Result<()> {
    private::require_root("the bench")?;
    setup::run(workspace)?;
    let built = build::run(workspace, false)?;
    let reference = reference::fetch(workspace)?;
    let out = out.unwrap_or_else(|| workspace.target().join("bench"));
    create_dir(&out)?;
    let out = out.canonicalize().with_context(|| format!("cannot find {}", out.display()))?;

    say::heading("Measuring, in namespaces of the bench's own");
    let machine = report::Machine::ask(&reference.version);
    say::line(machine.line());
    private::enter()?;
    let work = workspace.target().join("bench-work");
    let (contenders, field) = prepare(&work, &built, &reference)?;
    let extent = if quick {
        Extent { rounds: 8, rounds_at_once: 3, marks: [10, 30] }
    } else {
        Extent { rounds: 30, rounds_at_once: 10, marks: [100, 500] }
    };
    let (rows, share) = measure(&contenders, &field, &extent, &work.join("timings"))?;
    let asides = asides(workspace, &built, &contenders, &field, extent.rounds)?;

    say::heading("Results");
    say::line(scenario::LEGEND);
    report::table(&rows);
    report::overhead(&share);
    let targets = targets::all(&rows, &share, &asides, extent.marks);
    report::targets(&targets);
    let json = report::json(&machine, &rows, &share, &targets);
    write_atomically(&out.join("bench.json"), format!("{json:#}\n").as_bytes())?;
    write_atomically(&out.join("bench.svg"), svg::chart(&rows, &machine.line()).as_bytes())?;
    say::line(format_args!("written: bench.json and bench.svg in {}", out.display()));
    Ok(())
}

/// The names of tests that run the reference plugins.
const TESTS: [&str; 3] = ["parity", "takeover", "reference"];

/// Whether tests whose names contain `filter` run the reference plugins.
pub(crate) fn is_wanted(filter: &str) -> bool {
    TESTS.iter().any(|test| test.contains(filter) || filter.contains(test))
}

/// Where the reference plugins are once they were fetched.
pub(crate) fn reference_folder(workspace: &Workspace) -> PathBuf {
    reference::folder(workspace)
}

/// Fetches the reference plugins, if they are not there from an earlier time. Answers their folder.
pub(crate) fn reference(workspace: &Workspace) -> Result<PathBuf> {
    reference::fetch(workspace).map(|reference| reference.plugins)
}

/// Installs Wharf twice and gives each contender state of its own. Leases are on the disk that the checkout is on, what
/// lives under /run is on a tmpfs, as on a real node.
fn prepare(work: &Path, built: &Built, reference: &Reference) -> Result<(Vec<Contender>, Field)> {
    if work.exists() {
        fs::remove_dir_all(work).with_context(|| format!("cannot remove {}", work.display()))?;
    }
    create_dir(work)?;
    private::tmpfs(Path::new("/run"))?;
    let mut contenders = Vec::new();
    for side in Side::ALL {
        let root = work.join(match side {
            Side::Reference => "reference",
            Side::DropIn => "drop-in",
            Side::OneProcess => "one-process",
        });
        create_dir(&root.join("run"))?;
        private::tmpfs(&root.join("run"))?;
        if side == Side::Reference {
            cache::drop_all(&reference.plugins)?;
            contenders.push(Contender {
                side,
                bin: reference.plugins.clone(),
                runtime: Runtime { cni_path: reference.plugins.clone(), variables: Vec::new() },
                data_dir: Some(root.join("var/lib/cni/networks").display().to_string()),
                knows_nftables: reference.knows_nftables(),
            });
            continue;
        }
        let bin = root.join("opt/cni/bin");
        let mut install = Command::new(&built.wharfctl);
        install.args(["install", "--guests"]).arg(&built.guests);
        install.args((side == Side::DropIn).then_some("--drop-in")).env("WHARF_ROOT", &root);
        sh::run(&mut install)?;
        cache::drop_all(&bin)?;
        cache::drop_all(&root.join("var/lib/wharf"))?;
        let variables = vec![("WHARF_ROOT".to_owned(), root.into_os_string())];
        let runtime = Runtime { cni_path: bin.clone(), variables };
        contenders.push(Contender { side, bin, runtime, data_dir: None, knows_nftables: true });
    }
    if !reference.knows_nftables() {
        say::warn(format_args!(
            "reference {} has no nftables backend: those rows are without it",
            reference.version
        ));
    }
    let namespaces = work.join("namespaces");
    create_dir(&namespaces)?;
    private::tmpfs(&namespaces)?;
    Ok((contenders, Field::new(&namespaces)?))
}

fn measure(
    contenders: &[Contender],
    field: &Field,
    extent: &Extent,
    timings: &Path,
) -> Result<(Vec<rounds::Row>, overhead::Share)> {
    let mut rows = Vec::new();
    for scenario in scenario::all() {
        rows.extend(rounds::alternating(contenders, &scenario, field, extent.rounds)?);
    }
    for backend in [Backend::Iptables, Backend::Nftables] {
        rows.extend(rounds::at_once(contenders, &full(backend, 1), field, extent.rounds_at_once)?);
    }
    let share = overhead::measure(contenders, &full(Backend::Nftables, 1), field, extent.rounds, timings)?;
    for backend in [Backend::Iptables, Backend::Nftables] {
        rows.extend(rounds::growing(contenders, &full(backend, 1), field, extent.marks)?);
    }
    Ok((rows, share))
}

fn asides(
    workspace: &Workspace,
    built: &Built,
    contenders: &[Contender],
    field: &Field,
    rounds: usize,
) -> Result<Asides> {
    let work = workspace.target().join("bench-work");
    let (policies, scenarios) = (workspace.target().join("policies"), workspace.root.join("tests/scenarios"));
    let simulated =
        simulated::measure([&built.wharfctl, &built.guests, &scenarios, &work.join("simulated-cache")])?;
    let Some(turns) = Turns::new(contenders, field)? else {
        return Ok(Asides { simulated, ..Asides::default() });
    };
    let tools = [built.wharfctl.as_path(), policies.as_path()];
    let policy = policy::measure(&turns, rounds, tools, &work.join("policy-timings"))?;
    Ok(Asides { policy, traces: traces::measure(&turns, rounds)?, simulated })
}

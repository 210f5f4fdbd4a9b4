//! `wharfctl test`: scenarios on a simulated machine, with the real broker, the real sandboxes and the real guests.
//!
//! A scenario is one TOML file; what happens in it is compared with what it expects and, where there is one, with the golden
//! beside it. Nothing needs root, nothing is touched.

mod calls;
pub(crate) mod diff;
mod errno;
mod expect;
mod format;
pub(crate) mod grants;
mod guests;
mod junit;
mod machine;
mod picture;
mod probe;
mod run;
mod step;
mod sweep;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use junit::Case;
use run::Report;

use crate::say;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// A scenario (*.toml), or a folder of them.
    #[arg(value_name = "DIR")]
    scenarios: PathBuf,
    /// Guests to test; each is called by its file's name. They go before those of --guests.
    #[arg(value_name = "GUEST.wasm")]
    files: Vec<PathBuf>,
    /// The folder of the guests (*.wasm) that scenarios use beside those. [default: ../guests beside this program's
    /// folder, else /usr/share/wharf/guests]
    #[arg(long, value_name = "DIR")]
    guests: Option<PathBuf>,
    /// Only scenarios whose path contains this.
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Write what happens to the golden beside each scenario, instead of comparing it.
    #[arg(long)]
    bless: bool,
    /// Leave out the fault sweep: each change of each ADD, DEL and GC fails, and each is killed between its changes.
    #[arg(long)]
    no_sweep: bool,
    /// Write a report for CI in JUnit's XML.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Runs them; an error if one failed.
pub(crate) fn run(options: &Options) -> Result<()> {
    let files = scenarios(&options.scenarios, options.filter.as_deref())?;
    let read = |file: &PathBuf| (name(&options.scenarios, file), file.clone(), run::read(file));
    let scenarios: Vec<_> = files.iter().map(read).collect();
    let known =
        scenarios.iter().filter_map(|(_, file, scenario)| Some((file.as_path(), scenario.as_ref().ok()?)));
    let guests = guests::collect(&options.files, options.guests.as_deref(), known)?;
    let grants = grants::shared(&options.scenarios)?;
    let mut total = Total::default();
    for (name, file, scenario) in scenarios {
        let started = Instant::now();
        let scenario = scenario.map(|scenario| scenario.with_grants(&grants));
        let report =
            scenario.and_then(|scenario| run::run(&scenario, &file, guests.paths(), !options.no_sweep));
        let report = report.and_then(|report| golden(&file, report, options.bless, &mut total));
        let report = report.map(guests::not_given);
        total.add(name, started.elapsed(), report)?;
    }
    if let Some(file) = &options.junit {
        fs::write(file, junit::xml(&total.cases))
            .with_context(|| format!("cannot write {}", file.display()))?;
    }
    total.finish()
}

/// The scenarios of a folder and those below it, by path.
fn scenarios(path: &Path, filter: Option<&str>) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if path.is_file() {
        files.push(path.to_owned());
    } else {
        collect(path, &mut files).with_context(|| format!("cannot read {}", path.display()))?;
    }
    files.retain(|file| filter.is_none_or(|filter| file.to_string_lossy().contains(filter)));
    files.sort();
    ensure!(!files.is_empty(), "there is no scenario (*.toml) in {}{}", path.display(), matching(filter));
    Ok(files)
}

fn matching(filter: Option<&str>) -> String {
    filter.map(|filter| format!(" whose path contains {filter:?}")).unwrap_or_default()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() && path.file_name().is_some_and(|name| name == grants::FOLDER) {
            continue;
        }
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

/// The path below the folder, without its ending.
fn name(folder: &Path, file: &Path) -> String {
    let below = file.strip_prefix(folder).ok().filter(|below| !below.as_os_str().is_empty());
    below.unwrap_or(file).with_extension("").display().to_string()
}

/// Compares with the golden, or writes it.
fn golden(file: &Path, mut report: Report, bless: bool, total: &mut Total) -> Result<Report> {
    let golden = file.with_extension("golden");
    if bless {
        if report.failures.is_empty() {
            fs::write(&golden, &report.transcript)
                .with_context(|| format!("cannot write {}", golden.display()))?;
        }
        return Ok(report);
    }
    match fs::read_to_string(&golden) {
        Ok(text) => {
            if let Some(diff) = diff::diff(&text, &report.transcript) {
                let hint = "--bless writes what is found";
                report.failures.push(format!("{} differs ({hint}):\n{diff}", golden.display()));
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => total.without_golden += 1,
        Err(error) => bail!("cannot read {}: {error}", golden.display()),
    }
    Ok(report)
}

/// What came of all of them.
#[derive(Default)]
struct Total {
    cases: Vec<Case>,
    without_golden: u32,
    /// Of the steps alone.
    calls: u32,
    time: Duration,
    faults: u32,
    /// With those of the sweep.
    all_calls: u32,
}

impl Total {
    /// Prints what came of one. Whoever reads may have gone.
    fn add(&mut self, name: String, time: Duration, report: Result<Report>) -> Result<()> {
        let (failures, what) = match report {
            Ok(report) => {
                self.calls += report.calls;
                self.time += report.time;
                self.faults += report.sweep.faults;
                self.all_calls += report.calls + report.sweep.calls;
                let what = format!("{} calls, {} faults", report.calls, report.sweep.faults);
                (report.failures, what)
            }
            Err(error) => (vec![say::reasons(&error)], "not run".to_owned()),
        };
        let verdict = if failures.is_empty() { "ok    " } else { "FAILED" };
        let mut text = format!("{verdict} {name}  ({what}, {} ms)\n", time.as_millis());
        for failure in &failures {
            // Writing to a String does not fail, here and below.
            let _ = writeln!(text, "    {}", failure.trim_end().replace('\n', "\n    "));
        }
        say::text(&text)?;
        self.cases.push(Case { name, time, failures });
        Ok(())
    }

    fn finish(self) -> Result<()> {
        let count = self.cases.len();
        let failed = self.cases.iter().filter(|case| !case.failures.is_empty()).count();
        let mut text = format!("\n{} of {count} scenarios passed\n", count - failed);
        if self.calls > 0 {
            let each = self.time / self.calls;
            let a_second = f64::from(self.calls) / self.time.as_secs_f64();
            let _ = writeln!(
                text,
                "{} calls in {:.2} s: {} µs each, {a_second:.0} a second; {} faults with {} calls beside them",
                self.calls,
                self.time.as_secs_f64(),
                each.as_micros(),
                self.faults,
                self.all_calls - self.calls
            );
        }
        if self.without_golden > 0 {
            let _ = writeln!(text, "{} have no golden; --bless writes it", self.without_golden);
        }
        say::text(&text)?;
        ensure!(failed == 0, "{failed} of {count} scenarios failed");
        Ok(())
    }
}

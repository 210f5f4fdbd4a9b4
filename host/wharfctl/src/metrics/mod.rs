//! `wharfctl metrics`: what calls did and what there is, in the text format of Prometheus.
//!
//! Calls leave a line each; here they are added up. The sums are kept beside the spool and go with the boot, as the
//! counters of a process go with it.

mod text;
mod totals;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{Flock, FlockArg};
use wharf_broker::Paths;
use wharf_broker::guests::write_atomically;
use wharf_broker::overview::{State, overview};
use wharf_broker::telemetry::EVENTS;

use crate::lists::{self, CONF_DIR, pools};
use crate::recover::kernel;
use crate::say;
use crate::told::whole;
use text::Page;
use totals::Totals;

const SUMS: &str = "metrics.json";
/// So many calls are added up at once.
const BATCH: usize = 10_000;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Write them to this file, by a rename, for node_exporter's textfile collector; a whole path, below WHARF_ROOT.
    #[arg(long, value_name = "FILE", value_parser = whole::<PathBuf>)]
    textfile: Option<PathBuf>,
    /// The runtime's folder of network configuration lists, which say how many addresses there are; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = CONF_DIR, value_parser = whole::<PathBuf>)]
    conf_dir: PathBuf,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let conf_dir = paths.inside(&options.conf_dir.to_string_lossy());
    match &options.textfile {
        Some(file) => write(paths, &conf_dir, &paths.inside(&file.to_string_lossy())),
        None => say::text(&page(paths, &conf_dir)?),
    }
}

/// Writes them to a file that others read.
pub(crate) fn write(paths: &Paths, conf_dir: &Path, file: &Path) -> Result<()> {
    let (Some(directory), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str()))
    else {
        bail!("{} is no file's name", file.display());
    };
    Ok(write_atomically(directory, name, page(paths, conf_dir)?.as_bytes())?)
}

/// Everything as text.
pub(crate) fn page(paths: &Paths, conf_dir: &Path) -> Result<String> {
    let totals = add_up(paths)?;
    let mut page = Page::default();
    page.metric("wharf_build_info", "gauge", "The version of the tool that says this.");
    page.value(&[("version", env!("CARGO_PKG_VERSION"))], 1);
    totals.put(&mut page);
    leases(paths, conf_dir, &mut page);
    attachments(paths, &mut page);
    Ok(page.into_text())
}

/// Adds the calls since the last time to the sums.
fn add_up(paths: &Paths) -> Result<Totals> {
    let directory = paths.spool();
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    let _lock = lock(&directory.join("metrics.lock"))?;
    let mut totals = Totals::read(&directory.join(SUMS));
    loop {
        let (events, reader) = totals
            .reader
            .read(paths, EVENTS, BATCH)
            .with_context(|| format!("cannot read {}", directory.display()))?;
        totals.reader = reader;
        let done = events.len() < BATCH;
        for event in &events {
            totals.add(event);
        }
        if done {
            break;
        }
    }
    write_atomically(&directory, SUMS, &serde_json::to_vec(&totals)?)?;
    Ok(totals)
}

/// Holds a lock as long as the answer lives: two at once would add the same calls up.
pub(crate) fn lock(file: &Path) -> Result<Flock<File>> {
    let opened = File::options().write(true).create(true).truncate(false).open(file);
    let opened = opened.with_context(|| format!("cannot open {}", file.display()))?;
    Flock::lock(opened, FlockArg::LockExclusive)
        .map_err(|(_, errno)| anyhow::anyhow!("{}: {errno}", file.display()))
}

fn leases(paths: &Paths, conf_dir: &Path, page: &mut Page) {
    let files = lists::read(conf_dir).unwrap_or_default();
    let all: Vec<_> =
        files.iter().filter_map(|file| file.list.as_ref().ok()).flat_map(|list| pools(paths, list)).collect();
    for (name, help) in [
        ("wharf_leases_used", "Addresses that are leased, by network and subnet."),
        ("wharf_leases_free", "Addresses that can still be leased, by network and subnet."),
    ] {
        page.metric(name, "gauge", help);
        for pool in &all {
            let leased = pool.leased();
            for range in &pool.ranges {
                let used = range.used(&leased);
                let value = if name.ends_with("used") { used } else { range.size().saturating_sub(used) };
                page.value(&[("network", &pool.network), ("subnet", &range.subnet.to_string())], value);
            }
        }
    }
}

/// By the records; without the rights to look at links there is nothing to say.
fn attachments(paths: &Paths, page: &mut Page) {
    let Ok(all) = overview(paths, kernel) else { return };
    page.metric("wharf_attachments", "gauge", "Recorded attachments, by what has become of them.");
    for (state, word) in
        [(State::Committed, "committed"), (State::Unfinished, "unfinished"), (State::Gone, "gone")]
    {
        page.value(&[("state", word)], all.attachments.iter().filter(|one| one.state == state).count());
    }
    page.metric("wharf_journals_unreadable", "gauge", "Journals of which nothing can be read.");
    page.value(&[], all.unreadable.len());
}

//! `wharfctl doctor`: whether this node can run what its lists say, and what to do where it cannot.

mod firewall;
mod kernel;
mod lists;
mod policies;
mod probe;
mod process;
mod state;
mod store;

use std::fmt::{Display, Write as _};
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;
use wharf_broker::Paths;

use crate::lists::{CONF_DIR, ListFile};
use crate::say;
use crate::told::whole;
pub(crate) use lists::{capabilities, served};
pub(crate) use policies::{asked, check as node_policies};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The runtime's folder of network configuration lists; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = CONF_DIR, value_parser = whole::<PathBuf>)]
    conf_dir: PathBuf,
    /// Where the runtime looks for CNI plugins; a whole path, below WHARF_ROOT.
    #[arg(long, default_value = "/opt/cni/bin", value_parser = whole::<PathBuf>)]
    bin_dir: PathBuf,
    /// Also attach a namespace with everything that is installed, send traffic, and remove it again. All of it in
    /// namespaces and folders of its own: nothing is left.
    #[arg(long)]
    probe: bool,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Severity {
    /// It is as it should be.
    Ok,
    /// Worth knowing.
    Note,
    /// Something will not work for some pods, or soon.
    Warning,
    /// Pods will not get their network.
    Error,
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// The subject: `store`, `kernel`, ...
    pub(crate) check: &'static str,
    /// What is so.
    pub(crate) what: String,
    /// A file, a parameter, a place in a list.
    #[serde(rename = "where")]
    pub(crate) place: String,
    /// What to do about it; empty where nothing is to be done.
    #[serde(rename = "do")]
    pub(crate) cure: String,
}

/// What has been found, by one check.
pub(crate) struct Findings {
    check: &'static str,
    all: Vec<Finding>,
}

#[allow(
    clippy::needless_pass_by_value,
    reason = "texts and what shows itself as one, whatever the call has at hand"
)]
impl Findings {
    fn add(&mut self, severity: Severity, place: impl Display, what: impl Display, cure: impl Display) {
        let (place, what, cure) = (place.to_string(), what.to_string(), cure.to_string());
        self.all.push(Finding { severity, check: self.check, what, place, cure });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// How many errors there are so far.
    pub(crate) fn errors(&self) -> usize {
        count(&self.all, Severity::Error)
    }

    pub(crate) fn ok(&mut self, place: impl Display, what: impl Display) {
        self.add(Severity::Ok, place, what, "");
    }

    pub(crate) fn note(&mut self, place: impl Display, what: impl Display, cure: impl Display) {
        self.add(Severity::Note, place, what, cure);
    }

    pub(crate) fn warning(&mut self, place: impl Display, what: impl Display, cure: impl Display) {
        self.add(Severity::Warning, place, what, cure);
    }

    pub(crate) fn error(&mut self, place: impl Display, what: impl Display, cure: impl Display) {
        self.add(Severity::Error, place, what, cure);
    }
}

/// What the checks look at.
pub(crate) struct Node<'a> {
    pub(crate) paths: &'a Paths,
    /// With the root in front.
    pub(crate) bin_dir: PathBuf,
    /// With the root in front.
    pub(crate) conf_dir: PathBuf,
    pub(crate) lists: Vec<ListFile>,
}

impl<'a> Node<'a> {
    pub(crate) fn new(
        paths: &'a Paths,
        conf_dir: &std::path::Path,
        bin_dir: &std::path::Path,
    ) -> Result<Self> {
        let conf_dir = paths.inside(&conf_dir.to_string_lossy());
        let lists = crate::lists::read(&conf_dir)?;
        Ok(Self { paths, bin_dir: paths.inside(&bin_dir.to_string_lossy()), conf_dir, lists })
    }

    /// The lists that can be read, with their files.
    pub(crate) fn readable(&self) -> impl Iterator<Item = (&std::path::Path, &crate::lists::List)> {
        self.lists.iter().filter_map(|file| Some((file.path.as_path(), file.list.as_ref().ok()?)))
    }

    /// Whether any list has a plugin of that type, or an IPAM plugin of it.
    pub(crate) fn uses(&self, kind: &str) -> bool {
        let mut plugins = self.readable().flat_map(|(_, list)| &list.plugins);
        plugins.any(|plugin| plugin.kind == kind || plugin.ipam() == Some(kind))
    }
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let node = Node::new(paths, &options.conf_dir, &options.bin_dir)?;
    let mut all = examine(&node);
    if options.probe {
        all.extend(findings("probe", |findings| probe::check(&node, findings)));
    }
    let text = if options.json { as_json(&all)? } else { as_text(&all) };
    say::text(&text)?;
    match count(&all, Severity::Error) {
        0 => Ok(()),
        errors => bail!("{errors} of {} checks failed", all.len()),
    }
}

/// Everything but the probe.
pub(crate) fn examine(node: &Node<'_>) -> Vec<Finding> {
    let mut all = findings("process", process::check);
    all.extend(findings("kernel", |findings| kernel::check(node, findings)));
    all.extend(findings("firewall", |findings| firewall::check(node, findings)));
    all.extend(findings("store", |findings| store::check(node, findings)));
    all.extend(findings("lists", |findings| lists::check(node, findings)));
    all.extend(findings("policies", |findings| policies::check(node, findings)));
    all.extend(findings("state", |findings| state::check(node, findings)));
    all
}

/// What one check finds.
pub(crate) fn findings(check: &'static str, look: impl FnOnce(&mut Findings)) -> Vec<Finding> {
    let mut findings = Findings { check, all: Vec::new() };
    look(&mut findings);
    findings.all
}

fn count(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

/// A line for each finding, what to do about it below.
pub(crate) fn as_text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let word = match finding.severity {
            Severity::Ok => "ok",
            Severity::Note => "note",
            Severity::Warning => "warning",
            Severity::Error => "ERROR",
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "{word:<8} {:<9} {}: {}", finding.check, finding.place, finding.what);
        if !finding.cure.is_empty() {
            let _ = writeln!(text, "{:18} do: {}", "", finding.cure);
        }
    }
    let (errors, warnings) = (count(findings, Severity::Error), count(findings, Severity::Warning));
    let _ = writeln!(text, "{} checks, {errors} errors, {warnings} warnings", findings.len());
    text
}

pub(crate) fn as_json(findings: &[Finding]) -> Result<String> {
    let all = serde_json::json!({
        "errors": count(findings, Severity::Error),
        "warnings": count(findings, Severity::Warning),
        "findings": findings,
    });
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_says_what_where_and_what_to_do() {
        let findings = findings("state", |findings| {
            findings.ok("/run/wharf", "is memory");
            findings.warning("pods", "3 of 253 addresses are free", "give it a larger subnet");
        });
        assert_eq!(
            as_text(&findings),
            "ok       state     /run/wharf: is memory\n\
             warning  state     pods: 3 of 253 addresses are free\n                   do: give it a larger subnet\n\
             2 checks, 0 errors, 1 warnings\n"
        );
        let json: serde_json::Value = serde_json::from_str(&as_json(&findings).unwrap()).unwrap();
        assert_eq!(
            (&json["warnings"], &json["findings"][1]["do"]),
            (&1.into(), &"give it a larger subnet".into())
        );
    }
}

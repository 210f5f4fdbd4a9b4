//! The comparison with the reference plugins by itself: first of the reference with itself, so that nothing is expected of
//! Wharf that the reference does not do, then of the reference with Wharf.

use std::ffi::OsStr;

use anyhow::{Context, Result};

use super::report::Report;
use super::{INTEGRATION, Variables, tests, variables};
use crate::build::{self, Built};
use crate::workspace::Workspace;
use crate::{bench, private, say, setup};

/// The module of its tests.
const COMPARED: &str = "parity::";
/// The module of the tests that switch a node over and back.
const SWITCHED: &str = "takeover::";
/// What the suite reads who is compared with whom from.
const MODE: &str = "WHARF_PARITY";

/// Plays all files of cases, or those whose names contain the filter, and switches nodes.
pub(crate) fn run(workspace: &Workspace, filter: Option<&str>) -> Result<()> {
    private::require_root("the comparison")?;
    let built = if let Some(built) = Built::given() {
        built
    } else {
        setup::run(workspace)?;
        build::run(workspace, false)?
    };
    let reference = bench::reference(workspace).context("there is nothing to compare with")?;
    let known = variables(&built, &reference);
    let mut report = Report::default();
    let compared = format!("{COMPARED}{}", filter.unwrap_or_default());
    let mut play = |what: &str, mode: &str, filter: &str| {
        say::heading(what);
        let mode: Variables<'_> = vec![(MODE, OsStr::new(mode))];
        let all: Variables<'_> = known.iter().copied().chain(mode).collect();
        tests(workspace, what, &["--package", INTEGRATION], Some(filter), &all, &mut report)?;
        Ok::<bool, anyhow::Error>(report.is_good())
    };
    // A case that the reference fails says nothing about Wharf.
    if play("The reference plugins with themselves", "reference", &compared)? {
        play("The reference plugins with Wharf", "", &compared)?;
        if filter.is_none() {
            play("Nodes that are switched over and back", "", SWITCHED)?;
        }
    }
    report.finish()
}

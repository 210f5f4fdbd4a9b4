//! Reads what libtest prints and counts it: passed, failed, skipped, each skip with its reason.
//!
//! A test that cannot run on this machine prints `SKIPPED: <test>: <reason>` and returns; libtest counts it as
//! passed, so it is taken off that number here.

use std::collections::BTreeMap;
use std::fmt::Display;

use anyhow::{Result, bail};

use crate::say;

const SKIPPED: &str = "SKIPPED: ";
/// How a test tells how many configurations it played: `COMPARED: <the two sides>: <number> <more>`.
const COMPARED: &str = "COMPARED: ";

/// The counts and names over all runs.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What libtest calls passed, tests that skipped themselves included.
    passed: usize,
    skipped_by_tests: usize,
    /// How many configurations were played, by the two sides.
    compared: BTreeMap<String, usize>,
    failed: Vec<String>,
    skipped: Vec<String>,
    /// Inside libtest's section with the output of tests that passed; only its skips are worth showing.
    in_successes: bool,
    failed_before_run: usize,
}

impl Report {
    /// Notes whether a step that is no test succeeded, and gives its value on.
    pub(crate) fn step<T>(&mut self, name: &str, result: Result<T>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(error) => {
                self.fail(format_args!("{name}: {error:#}"));
                None
            }
        }
    }

    /// Notes something that was left out, `<what>: <reason>`.
    pub(crate) fn skip(&mut self, what: &str) {
        say::warn(format_args!("left out: {what}"));
        self.skipped.push(what.to_owned());
    }

    /// Takes in one line of a test run; returns whether it should be shown.
    pub(crate) fn read(&mut self, line: &str) -> bool {
        if let Some((_, what)) = line.split_once(SKIPPED) {
            self.skipped.push(what.trim().to_owned());
            self.skipped_by_tests += 1;
            return true;
        }
        if let Some((_, what)) = line.split_once(COMPARED) {
            let (sides, rest) = what.split_once(": ").unwrap_or((what, ""));
            *self.compared.entry(sides.to_owned()).or_default() += number_before(rest, " ");
            return true;
        }
        if line == "successes:" {
            self.in_successes = true;
        } else if line == "failures:" || line.starts_with("test result: ") {
            self.in_successes = false;
        }
        if let Some(result) = line.strip_prefix("test result: ") {
            self.passed += number_before(result, " passed");
        } else if let Some(name) =
            line.strip_prefix("test ").and_then(|test| test.strip_suffix(" ... FAILED"))
        {
            self.failed.push(name.to_owned());
        } else if let Some((name, reason)) = ignored(line) {
            self.skipped.push(format!("{name}: ignored{reason}"));
        }
        !self.in_successes
    }

    /// Closes one run of `cargo test`: one that fails without a failing test has not run at all.
    pub(crate) fn run_finished(&mut self, name: &str, success: bool) {
        self.in_successes = false;
        if !success && self.failed.len() == self.failed_before_run {
            self.fail(format_args!("{name}: did not run to the end"));
        }
        self.failed_before_run = self.failed.len();
    }

    /// Whether nothing failed so far.
    pub(crate) fn is_good(&self) -> bool {
        self.failed.is_empty()
    }

    /// Prints the summary; an error if anything failed.
    pub(crate) fn finish(self) -> Result<()> {
        say::heading("Summary");
        for what in &self.skipped {
            say::line(format_args!("skipped: {what}"));
        }
        for what in &self.failed {
            say::line(format_args!("{} {what}", say::paint("1;31", "failed:")));
        }
        for (sides, cases) in &self.compared {
            say::line(format_args!("compared: {sides}, {cases} configurations"));
        }
        let passed = self.passed.saturating_sub(self.skipped_by_tests);
        let counts = format!("{passed} passed, {} failed, {} skipped", self.failed.len(), self.skipped.len());
        say::line(say::paint("1", &counts));
        if !self.failed.is_empty() {
            bail!("{counts}");
        }
        Ok(())
    }

    fn fail(&mut self, what: impl Display) {
        say::failure(&what.to_string());
        self.failed.push(what.to_string());
        self.failed_before_run = self.failed.len();
    }
}

/// The number in front of a word of the result line, 0 if there is none.
fn number_before(result: &str, word: &str) -> usize {
    let before = result.split(word).next().unwrap_or_default();
    before.rsplit(' ').next().and_then(|number| number.parse().ok()).unwrap_or_default()
}

/// `test name ... ignored` with `, reason` if it has one.
fn ignored(line: &str) -> Option<(&str, String)> {
    let (name, reason) = line.strip_prefix("test ")?.split_once(" ... ignored")?;
    Some((name, reason.strip_prefix(", ").map_or_else(String::new, |reason| format!(": {reason}"))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    const RUN: &str = "\
running 4 tests
test a ... ok
test b ... FAILED
test c ... ignored, needs a kernel module
test d ... ok

successes:

---- d stdout ----
chatter
SKIPPED: d: no SCTP in this kernel
COMPARED: a with b: 13 cases of one.json
COMPARED: a with b: 4 cases of two.json

successes:
    a
    d

failures:

---- b stdout ----
assertion failed

failures:
    b

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s
";

    fn read(text: &str) -> (Report, Vec<&str>) {
        let mut report = Report::default();
        let shown = text.lines().filter(|line| report.read(line)).collect();
        (report, shown)
    }

    #[test]
    fn a_run_is_counted_and_each_skip_keeps_its_reason() {
        let (report, shown) = read(RUN);
        assert_eq!((report.passed, report.skipped_by_tests), (2, 1), "d passed only for libtest");
        assert_eq!(report.failed, ["b"]);
        assert_eq!(report.skipped, ["c: ignored: needs a kernel module", "d: no SCTP in this kernel"]);
        assert!(shown.contains(&"SKIPPED: d: no SCTP in this kernel") && shown.contains(&"assertion failed"));
        assert_eq!(report.compared, BTreeMap::from([("a with b".to_owned(), 17)]));
        assert!(shown.contains(&"COMPARED: a with b: 13 cases of one.json"));
        assert!(!shown.contains(&"chatter"), "the output of passed tests is noise");
        assert_eq!(report.finish().unwrap_err().to_string(), "1 passed, 1 failed, 2 skipped");
    }

    #[test]
    fn results_of_several_binaries_add_up() {
        let (mut report, _) =
            read("test result: ok. 3 passed; 0 failed; 0 ignored\ntest result: ok. 4 passed; 0 failed\n");
        report.run_finished("unit tests", true);
        assert_eq!(report.passed, 7);
        report.finish().unwrap();
    }

    #[test]
    fn a_run_that_ends_without_a_verdict_is_a_failure() {
        let mut report = Report::default();
        report.run_finished("unit tests", false);
        assert_eq!(report.failed, ["unit tests: did not run to the end"]);

        let (mut report, _) = read(RUN);
        report.run_finished("unit tests", false);
        assert_eq!(report.failed, ["b"], "a failing test explains the exit code");
        report.run_finished("integration tests", false);
        assert_eq!(report.failed.len(), 2);
    }

    #[test]
    fn failed_steps_do_not_hide_a_run_that_broke_off() {
        let mut report = Report::default();
        assert_eq!(report.step("format", Ok(1)), Some(1));
        assert!(report.step::<()>("lints", Err(anyhow!("a warning"))).is_none());
        report.run_finished("unit tests", false);
        assert_eq!(report.failed, ["lints: a warning", "unit tests: did not run to the end"]);
    }
}

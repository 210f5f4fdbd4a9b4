//! Whether a call comes to the end that was recorded.

use std::fmt::Write as _;

use serde_json::Value;
use wharf_ops::call::Failure;
use wharf_ops::logging::LogLine;

use super::divergence::{Divergence, Kind};
use super::script::Mode;
use crate::record::Outcome;
use crate::scenario::diff::diff;

/// The difference between what was recorded and what there is now, if there is one.
pub(super) fn compare(recorded: &Outcome, now: &Outcome, mode: Mode) -> Option<Divergence> {
    if of(recorded, mode) == of(now, mode) {
        return None;
    }
    let message = format!("the call comes to another end: {recorded} was recorded, and now it is {now}");
    let lines = diff(&lines(recorded), &lines(now));
    Some(Divergence::at_end(Kind::Outcome, message).with(lines))
}

/// The same of what the guest said.
pub(super) fn compare_logs(recorded: &[LogLine], now: &[LogLine], mode: Mode) -> Option<Divergence> {
    if mode == Mode::Lenient || recorded == now {
        return None;
    }
    let lines = diff(&said(recorded), &said(now));
    Some(Divergence::at_end(Kind::Log, "the guest says something else".to_owned()).with(lines))
}

fn said(lines: &[LogLine]) -> String {
    let mut text = String::new();
    for line in lines {
        // Writing to a String does not fail, here and below.
        let _ = write!(text, "{:?} {}", line.level, line.message);
        for (name, value) in &line.fields {
            let _ = write!(text, " {name}={value:?}");
        }
        text.push('\n');
    }
    text
}

/// What must be the same. How a sandbox went is in words of the kernel's; the texts of errors count only strictly.
fn of(outcome: &Outcome, mode: Mode) -> Outcome {
    let mut outcome = outcome.clone();
    match &mut outcome {
        Outcome::Gone(how) => how.clear(),
        Outcome::Failure(failure) if mode == Mode::Lenient => match failure {
            Failure::Guest(error) => {
                error.msg.clear();
                error.details = None;
            }
            Failure::Trap(text)
            | Failure::Limit(text)
            | Failure::Mismatch(text)
            | Failure::Sandbox(text)
            | Failure::Unloadable(text) => text.clear(),
        },
        Outcome::Limit(what) if mode == Mode::Lenient => what.clear(),
        Outcome::Failure(_)
        | Outcome::Limit(_)
        | Outcome::Answer(_)
        | Outcome::Deadline
        | Outcome::Interrupted(_)
        | Outcome::Vetoed(_) => {}
    }
    outcome
}

fn lines(outcome: &Outcome) -> String {
    let value: Value = serde_json::to_value(outcome).unwrap_or_default();
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use wharf_ops::call::{Answer, CniError};
    use wharf_ops::logging::Level;

    use super::*;

    fn error(code: u32, msg: &str) -> Outcome {
        Outcome::Failure(Failure::Guest(CniError { code, msg: msg.into(), details: None }))
    }

    #[test]
    fn texts_of_errors_count_only_strictly() {
        let trap = |text: &str| Outcome::Failure(Failure::Trap(text.into()));
        for (one, other) in [(error(7, "a"), error(7, "b")), (trap("a"), trap("b"))] {
            assert!(compare(&one, &other, Mode::Strict).is_some());
            assert_eq!(compare(&one, &other, Mode::Lenient), None);
        }
        let gone = |text: &str| Outcome::Gone(text.into());
        assert_eq!(compare(&gone("a"), &gone("b"), Mode::Strict), None);
        for other in [error(8, "a"), trap("a"), Outcome::Deadline, Outcome::Answer(Answer::Done)] {
            let found = compare(&error(7, "a"), &other, Mode::Lenient).unwrap();
            assert_eq!(found.kind, Kind::Outcome);
            assert!(found.message.contains("the guest's error 7: a was recorded"), "{}", found.message);
        }
    }

    #[test]
    fn lines_count_only_strictly() {
        let line = |text: &str| [LogLine { level: Level::Warn, message: text.into(), fields: vec![] }];
        let found = compare_logs(&line("a"), &line("b"), Mode::Strict).unwrap();
        assert_eq!(found.diff.as_deref(), Some("- Warn a\n+ Warn b\n"));
        assert_eq!(compare_logs(&line("a"), &line("b"), Mode::Lenient), None);
        assert_eq!(compare_logs(&line("a"), &line("a"), Mode::Strict), None);
    }
}

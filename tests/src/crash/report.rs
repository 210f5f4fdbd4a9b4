//! What `cargo xtask crash` prints.

use std::fmt::Write as _;

use super::random::{Results, Tally};
use super::sweep::Swept;
use super::{List, Side};

/// The results as a table, then what was left or said.
pub fn table(results: &Results) -> String {
    let head = ["runs", "in the middle", "DEL errors", "other errors", "with residue", "pieces left"];
    let mut text = format!("{:<20} {:<9}", "", "");
    for title in head {
        write!(text, " {title:>13}").expect("writing to a string");
    }
    text.push('\n');
    for ((side, backend), tally) in results {
        let Tally { runs, killed, failures, del_errors, residue, pieces, .. } = tally;
        write!(text, "{side:<20} {:<9}", backend.name()).expect("writing to a string");
        for number in [runs, killed, del_errors, failures, residue, pieces] {
            write!(text, " {number:>13}").expect("writing to a string");
        }
        text.push('\n');
    }
    for ((side, backend), tally) in results {
        if !tally.examples.is_empty() {
            writeln!(text, "\n{side}, {}: the first of them", backend.name()).expect("writing to a string");
            for example in &tally.examples {
                writeln!(text, "- {example}").expect("writing to a string");
            }
        }
    }
    text
}

/// Whether Wharf left nothing, and nothing failed. What the reference does is not ours to judge.
pub fn is_clean(results: &Results) -> bool {
    results.iter().filter(|((side, _), _)| *side != Side::Reference).all(|(_, tally)| tally.is_clean())
}

/// One line about a sweep, then its failures.
pub fn swept(list: List, command: &str, swept: &Swept) -> String {
    let Swept { changes, cases, failures } = swept;
    let mut text =
        format!("{list}, {command}: {changes} changes, {cases} cases, {} failures\n", failures.len());
    for failure in failures {
        writeln!(text, "- {failure}").expect("writing to a string");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crash::Backend;

    #[test]
    fn only_wharf_is_judged() {
        let broken = Tally {
            runs: 10,
            residue: 2,
            pieces: 5,
            examples: vec!["run 3: a link".into()],
            ..Tally::default()
        };
        let clean = Tally { runs: 10, killed: 9, ..Tally::default() };
        let mut results = Results::from([
            ((Side::Chain, Backend::Nftables), clean),
            ((Side::Reference, Backend::Nftables), broken.clone()),
        ]);
        assert!(is_clean(&results));
        let text = table(&results);
        assert!(text.contains("wharf, one process") && text.contains("- run 3: a link"), "{text}");
        results.insert((Side::DropIns, Backend::Iptables), broken);
        assert!(!is_clean(&results));
    }
}

//! `wharfctl recover`: ADDs that were cut short are undone, and on request journals removed that say nothing.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use wharf_broker::log::Log;
use wharf_broker::{Paths, Recovered, Unreadable};
use wharf_kernel::{Kernel, Netns, RealKernel};

use crate::say;

pub(crate) fn run(paths: &Paths, force: bool, json: bool) -> Result<()> {
    let unreadable = if force { Unreadable::Goes } else { Unreadable::Stays };
    let all = wharf_broker::recover(paths, &kernel, Log::from_env(), unreadable)?;
    let text = if json { serde_json::to_string_pretty(&all)? + "\n" } else { lines(&all) };
    say::text(&text)?;
    match all.iter().filter(|one| !one.failures.is_empty()).count() {
        0 => Ok(()),
        count => bail!("{count} of {} could not be undone and stay for another try", all.len()),
    }
}

pub(crate) fn kernel(host: Netns, container: Option<Netns>) -> Box<dyn Kernel> {
    Box::new(RealKernel::new(host, container))
}

fn lines(all: &[Recovered]) -> String {
    if all.is_empty() {
        return "nothing was cut short\n".to_owned();
    }
    let mut text = String::new();
    for one in all {
        text.push_str(&one.journal);
        text.push('\n');
        if let Some(damage) = &one.damage {
            // Writing to a String does not fail.
            let _ = writeln!(text, "  {damage}");
            text.push_str(match (one.removed, &one.attachment) {
                (true, _) => {
                    "  removed: what its ADD left carries its owner's stamp, and the next GC of the network or \
                     `wharfctl gc` sweeps it\n"
                }
                (false, Some(_)) => {
                    "  left alone: its container may be running, and the DEL of that will remove it\n"
                }
                (false, None) => {
                    "  left alone: its container may be running, and the DEL of that will remove it; if that is \
                     gone, `wharfctl recover --force` does\n"
                }
            });
        }
        if one.undone {
            text.push_str("  its ADD was cut short and is undone\n");
        }
        for failure in &one.failures {
            let _ = writeln!(text, "  not undone: {failure}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use wharf_broker::journal::Damage;

    use super::*;

    #[test]
    fn each_outcome_is_told() {
        assert_eq!(lines(&[]), "nothing was cut short\n");
        let one = Recovered {
            journal: "c:eth0:wharf:n".into(),
            attachment: None,
            entry: None,
            damage: None,
            undone: true,
            removed: false,
            failures: vec!["undo of links/create-veth: no".into()],
        };
        let text = lines(std::slice::from_ref(&one));
        assert!(
            text.starts_with("c:eth0:wharf:n\n") && text.contains("not undone: undo of links/create-veth")
        );
        let damage = Some(Damage { offset: 8, reason: "a frame's checksum is wrong".into() });
        let damaged = Recovered { damage, undone: false, failures: Vec::new(), ..one };
        let text = lines(std::slice::from_ref(&damaged));
        assert!(text.contains("damaged at byte 8") && text.contains("`wharfctl recover --force` does\n"));
        let text = lines(&[Recovered { removed: true, ..damaged }]);
        assert!(text.contains("  removed: ") && text.contains("`wharfctl gc`") && !text.contains("--force"));
    }
}

//! `wharfctl recover`: ADDs that were cut short are undone.

use std::fmt::Write as _;
use std::io::Write as _;

use anyhow::{Result, bail};
use wharf_broker::log::Log;
use wharf_broker::{Paths, Recovered};
use wharf_kernel::{Kernel, Netns, RealKernel};

pub(crate) fn run(paths: &Paths, json: bool) -> Result<()> {
    let all = wharf_broker::recover(paths, &kernel, Log::from_env())?;
    let text = if json { serde_json::to_string_pretty(&all)? + "\n" } else { lines(&all) };
    std::io::stdout().write_all(text.as_bytes())?;
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
            text.push_str("  left alone: its container may be running, and the DEL of that will remove it\n");
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
            failures: vec!["undo of links/create-veth: no".into()],
        };
        let text = lines(&[one]);
        assert!(
            text.starts_with("c:eth0:wharf:n\n") && text.contains("not undone: undo of links/create-veth")
        );
    }
}

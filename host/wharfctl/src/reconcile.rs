//! `wharfctl reconcile`: recorded firewall state that vanished comes back.

use std::collections::BTreeSet;

use anyhow::{Context, Result, bail};
use wharf_broker::Paths;
use wharf_broker::reconcile::{self, Look, Reconciled, Watch};
use wharf_broker::signals::Signals;

use crate::recover::kernel;
use crate::say::{self, complain};

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Stay, and look again whenever somebody removes something from nf_tables. SIGTERM ends it.
    #[arg(long)]
    watch: bool,
    /// Say what is missing, and change nothing.
    #[arg(long, conflicts_with = "watch")]
    dry_run: bool,
    /// Print JSON; with --watch, one line per look.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    if options.watch {
        return watch(paths, options.json);
    }
    let Look { found: all, odd } = reconcile::once(paths, kernel, options.dry_run)?;
    let text = if options.json {
        serde_json::to_string_pretty(&all)? + "\n"
    } else {
        let lines: Vec<String> = all.iter().flat_map(|one| lines(one, options.dry_run)).collect();
        if lines.is_empty() { "nothing is missing\n".to_owned() } else { lines.join("\n") + "\n" }
    };
    say::text(&text)?;
    if !odd.is_empty() {
        bail!("everything else was looked at, but not all is a journal: {}", odd.join("; "));
    }
    match all.iter().filter(|one| !one.failures.is_empty()).count() {
        0 => Ok(()),
        count => bail!("{count} of the attachments could not be looked at or put right"),
    }
}

fn watch(paths: &Paths, json: bool) -> Result<()> {
    // Before the first look: from then on, a signal ends the watch between two changes.
    let signals = Signals::block().context("cannot block signals")?;
    let mut said = BTreeSet::new();
    let mut first = true;
    let mut printed = Ok(());
    let report = |look: &Look| {
        for line in &look.odd {
            if said.insert(line.clone()) {
                complain!("{line}");
            }
        }
        let all = look.found.as_slice();
        let text = if json { json_line(all, first) } else { Ok(news(all, &mut said, first)) };
        first = false;
        if let Ok(text) = &text
            && printed.is_ok()
        {
            // What nobody reads any more is done all the same.
            printed = say::text(text);
        }
    };
    reconcile::watch(&Watch { paths, kernels: kernel, signals: &signals }, report)?;
    Ok(())
}

/// The first look and each one that found something.
fn json_line(all: &[Reconciled], first: bool) -> serde_json::Result<String> {
    let changed = |one: &Reconciled| !one.missing.is_empty() || !one.failures.is_empty();
    if first || all.iter().any(changed) {
        return Ok(serde_json::to_string(all)? + "\n");
    }
    Ok(String::new())
}

/// What was put back, and what has not been said before of those that stay as they are.
fn news(all: &[Reconciled], said: &mut BTreeSet<String>, first: bool) -> String {
    let mut text = String::new();
    for one in all {
        for line in lines(one, false) {
            let repeats = one.missing.is_empty();
            if !one.busy && (said.insert(line.clone()) || !repeats) {
                text.push_str(&line);
                text.push('\n');
            }
        }
    }
    if all.iter().any(|one| one.legacy) && said.insert("legacy".into()) {
        text.push_str("iptables-legacy sends no events: its rules are looked at every few seconds\n");
    }
    if first {
        text.push_str("watching nf_tables\n");
    }
    text
}

fn lines(one: &Reconciled, dry_run: bool) -> Vec<String> {
    let wharf_ops::Attachment { network, container, ifname } = &one.attachment;
    let name = format!("{network} {container}/{ifname} ({})", one.entry);
    let mut lines = Vec::new();
    for missing in &one.missing {
        let done = match (dry_run, missing.restored) {
            (true, _) => "would be put back",
            (false, true) => "put back",
            (false, false) => "missing",
        };
        lines.push(format!("{name}: {done}: {}: {}", missing.operation, missing.rules.join("; ")));
    }
    lines.extend(one.failures.iter().map(|failure| format!("{name}: failed: {failure}")));
    lines.extend(one.skipped.iter().map(|reason| format!("{name}: skipped: {reason}")));
    if one.busy {
        lines.push(format!("{name}: skipped: another process works on it"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use wharf_broker::reconcile::Missing;
    use wharf_ops::Attachment;

    use super::*;

    fn one() -> Reconciled {
        let attachment = Attachment { network: "n".into(), container: "c".into(), ifname: "eth0".into() };
        Reconciled {
            journal: "c:eth0:bridge:n".into(),
            attachment,
            entry: "bridge".into(),
            missing: Vec::new(),
            skipped: None,
            busy: false,
            failures: Vec::new(),
            legacy: false,
        }
    }

    #[test]
    fn each_outcome_is_told() {
        let rules = vec!["masquerade of 10.0.0.2: expected one, found none".to_owned()];
        let missing = vec![Missing { operation: "nat/masquerade", rules, restored: true }];
        let back = Reconciled { missing, ..one() };
        let [line] = &lines(&back, false)[..] else { panic!() };
        assert_eq!(
            line,
            "n c/eth0 (bridge): put back: nat/masquerade: masquerade of 10.0.0.2: expected one, found none"
        );
        assert!(lines(&back, true)[0].contains("would be put back"));
        let failed = Reconciled { failures: vec!["no".into()], ..one() };
        assert_eq!(lines(&failed, false), ["n c/eth0 (bridge): failed: no"]);
    }

    #[test]
    fn a_watch_says_what_stays_once_and_what_happens_each_time() {
        let mut said = BTreeSet::new();
        let gone = Reconciled { skipped: Some("its namespace is gone".into()), legacy: true, ..one() };
        let text = news(std::slice::from_ref(&gone), &mut said, true);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert_eq!(news(&[gone], &mut said, false), "");
        let missing = vec![Missing { operation: "nat/masquerade", rules: Vec::new(), restored: true }];
        let back = [Reconciled { missing, ..one() }];
        assert_eq!(news(&back, &mut said, false), news(&back, &mut said, false));
        let busy = Reconciled { busy: true, ..one() };
        assert_eq!(news(&[busy], &mut said, false), "");
    }
}

//! `wharfctl journal show`: what ADDs did, in words.

use std::fmt::Write as _;

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;
use wharf_broker::Paths;
use wharf_broker::journal::{Effect, Listed, Listing, Outcome, Record, Step, Store, Transaction};
use wharf_broker::secrets;

use crate::say;
use crate::words;

/// A journal as JSON.
#[derive(Serialize)]
struct Shown<'a> {
    journal: &'a str,
    busy: bool,
    #[serde(flatten)]
    record: &'a Record,
}

pub(crate) fn show(paths: &Paths, attachment: Option<&str>, json: bool) -> Result<()> {
    let Listing { journals: mut all, odd } = Store::of(paths).listing()?;
    all.retain(|one| attachment.is_none_or(|wanted| is_of(one, wanted)));
    if let Some(wanted) = attachment.filter(|_| all.is_empty()) {
        bail!("no journal is of {wanted:?}; `wharfctl journal show` lists all");
    }
    for one in &all {
        secrets::learn_record(&one.record);
    }
    let text = if json {
        let shown: Vec<_> =
            all.iter().map(|one| Shown { journal: &one.name, busy: one.busy, record: &one.record }).collect();
        let mut shown = serde_json::to_value(shown)?;
        secrets::clean(&mut shown);
        serde_json::to_string_pretty(&shown)? + "\n"
    } else if all.is_empty() {
        "there are no attachments\n".to_owned()
    } else {
        secrets::redact(&all.iter().map(lines).collect::<Vec<_>>().join("\n")).into_owned()
    };
    say::text(&text)?;
    if attachment.is_none() && !odd.is_empty() {
        let odd: Vec<String> = odd.iter().map(ToString::to_string).collect();
        bail!("these are all but what cannot be read: {}", odd.join("; "));
    }
    Ok(())
}

fn is_of(one: &Listed, wanted: &str) -> bool {
    let by_attachment = one.record.attachment().is_some_and(|attachment| {
        let (container, ifname) = wanted.split_once('/').unwrap_or((wanted, &attachment.ifname));
        (container, ifname) == (&attachment.container, &attachment.ifname)
    });
    one.name == wanted || by_attachment
}

fn lines(one: &Listed) -> String {
    let mut text = one.name.clone() + "\n";
    if one.busy {
        text.push_str("  a call works on it\n");
    }
    for transaction in &one.record.transactions {
        text.push_str(&of_transaction(transaction));
    }
    if let Some(damage) = &one.record.damage {
        // Writing to a String does not fail, here and below.
        let _ = writeln!(text, "  {damage}");
    }
    text
}

fn of_transaction(transaction: &Transaction) -> String {
    let begin = &transaction.begin;
    let mut text = format!(
        "  ADD of {}/{} on {} by {} (process {}, at {})\n",
        begin.attachment.container,
        begin.attachment.ifname,
        begin.attachment.network,
        begin.entry,
        begin.pid,
        begin.time
    );
    if let Some(netns) = &begin.netns {
        let _ =
            writeln!(text, "    namespace {} (device {}, inode {})", netns.path, netns.device, netns.inode);
    }
    if transaction.of_earlier_boot() {
        text.push_str("    of an earlier boot: nothing is left of it but leases\n");
    }
    for guest in &transaction.guests {
        let _ = writeln!(text, "    guest {} {}", guest.name, guest.digest);
    }
    for policy in &transaction.policies {
        let _ = writeln!(text, "    policy {} {}", policy.name, policy.digest);
    }
    for change in &transaction.changes {
        let _ = writeln!(
            text,
            "    policy {} changed the configuration of {}: {}",
            change.policy,
            change.plugin,
            without_secrets(&change.patch)
        );
    }
    for step in &transaction.steps {
        text.push_str(&of_step(step));
    }
    let _ = match &transaction.commit {
        Some(commit) => writeln!(text, "    committed at {}", commit.time),
        None => writeln!(text, "    not committed: running, or cut short (`wharfctl recover` undoes it)"),
    };
    text
}

/// A patch as it may be shown.
fn without_secrets(patch: &str) -> String {
    let mut patch = Value::from(patch);
    secrets::scrub(&mut patch);
    patch.as_str().unwrap_or_default().to_owned()
}

/// What was done, and what came of it.
pub(crate) fn words_of(step: &Step) -> (String, String) {
    let arguments = match &step.effect {
        Effect::Kernel { op, .. } => words::of_kernel(op),
        Effect::Lease { directory, address, .. } => {
            let address = address.map_or_else(|| "the next free".to_owned(), |address| address.to_string());
            let directory = directory.as_ref().map_or_else(String::new, |path| format!(" in {path}"));
            format!("{address}{directory}")
        }
        Effect::Native { plugin, .. } => plugin.clone(),
    };
    let outcome = match &step.outcome {
        Outcome::Done => String::new(),
        Outcome::Pending => "unknown: it ended here".to_owned(),
        Outcome::Created(links) => {
            let links: Vec<_> =
                links.iter().map(|link| format!("{:?}:{}#{}", link.ns, link.name, link.index)).collect();
            links.join(", ").to_lowercase()
        }
        Outcome::Reserved(address) => address.to_string(),
        Outcome::AlreadySo => "was so already".to_owned(),
        Outcome::Nothing => "failed and did nothing".to_owned(),
        Outcome::Failed => "failed, perhaps half-way".to_owned(),
    };
    (arguments, outcome)
}

fn of_step(step: &Step) -> String {
    let (arguments, outcome) = words_of(step);
    let arrow = if outcome.is_empty() { "" } else { " -> " };
    let mut text = format!(
        "    {:>3} {} {} {arguments}{arrow}{outcome}\n",
        step.seq,
        step.guest,
        step.effect.operation()
    );
    if let Effect::Kernel { undo, .. } = &step.effect {
        for undo in undo {
            let unless = match &undo.unless_joined {
                Some(shared) => format!(", unless others joined {} since", shared.bridge.name),
                None => String::new(),
            };
            let line = format!("        undo: {} {}", undo.op.operation().name, words::of_kernel(&undo.op));
            let _ = writeln!(text, "{}{unless}", line.trim_end());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use wharf_broker::journal::Undo;
    use wharf_ops::links::LinkOp;
    use wharf_ops::{KernelOp, Link, Ns};

    use super::*;

    fn up(up: bool) -> KernelOp {
        let link = Link { ns: Ns::Host, index: 5, name: "cni0".into() };
        KernelOp::Link(LinkOp::SetUp { link, up })
    }

    #[test]
    fn a_secret_of_a_patch_is_not_shown() {
        assert_eq!(without_secrets(r#"{"mtu":1400,"token":"x"}"#), r#"{"mtu":1400,"token":"[redacted]"}"#);
    }

    #[test]
    fn a_step_is_a_line_and_its_undo_another() {
        let undo = vec![Undo { op: up(false), unless_joined: None }];
        let effect = Effect::Kernel { op: up(true), undo };
        let step = Step { seq: 3, guest: "bridge".into(), effect, outcome: Outcome::Done };
        assert_eq!(
            of_step(&step),
            "      3 bridge links/set-up link=host:cni0#5 up=true\n        undo: links/set-up link=host:cni0#5 up=false\n"
        );
    }
}

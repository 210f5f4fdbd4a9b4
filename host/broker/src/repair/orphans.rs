//! Journals that nobody works on: what was cut short is undone, and what has no attachment any more is swept.

use serde::Serialize;
use wharf_ops::Attachment;

use super::{Owned, Repair, Seen, Tools, Unfinished, kernel_for, look, undo};
use crate::flock::Patience;
use crate::journal::{Begin, Damage, Held, JournalError, Key, Store, Transaction};
use crate::log::Level;

/// Undoes the transaction that was cut short, if there is one, and cuts it off; damage is told in the log and goes with
/// it. What could not be undone is answered, and the journal stays as it is then.
pub(crate) fn heal(tools: &Tools<'_>, held: &mut Held) -> Result<Vec<Unfinished>, JournalError> {
    if held.is_whole() {
        return Ok(Vec::new());
    }
    if let Some(damage) = &held.record().damage {
        let message = format!("{} is {damage}", held.path().display());
        tools.log.line(Level::Error, "journal", &message, &[]);
    }
    let unfinished = match held.record().pending().cloned() {
        Some(pending) => {
            let who = &pending.begin.attachment;
            let message = format!(
                "an ADD of {}/{} on {:?} was cut short and is undone",
                who.container, who.ifname, who.network
            );
            tools.log.line(Level::Info, "journal", &message, &[]);
            with_repair(tools, &pending.begin, |repair| undo(repair, &pending, Vec::new()))
        }
        None => Vec::new(),
    };
    if unfinished.is_empty() {
        held.cut()?;
    }
    Ok(unfinished)
}

/// Sweeps what the committed transactions own.
fn sweep(tools: &Tools<'_>, held: &Held) -> Vec<Unfinished> {
    let Some(last) = held.record().committed().next_back() else { return Vec::new() };
    let mut owned = Owned::of(std::iter::once(held.record()), false);
    with_repair(tools, &last.begin, |repair| owned.sweep(repair))
}

/// Runs a repair in the recorded namespaces. The container's may be gone; one that is closed to this process may have
/// something to be undone, and nothing is until it can be entered.
fn with_repair(
    tools: &Tools<'_>,
    begin: &Begin,
    work: impl FnOnce(&mut Repair<'_>) -> Vec<Unfinished>,
) -> Vec<Unfinished> {
    let container = match begin.netns.as_ref().map(|netns| look(tools.machine, netns)) {
        Some(Seen::Closed(reason)) => {
            return vec![Unfinished { what: "entering the container's namespace".into(), reason }];
        }
        seen => seen.and_then(Seen::here),
    };
    let netns = begin.netns.as_ref().filter(|_| container.is_some()).map(|netns| netns.path.as_str());
    match kernel_for(tools.machine, container) {
        Ok(mut kernel) => {
            let kernel = kernel.as_mut();
            work(&mut Repair { tools: *tools, kernel, begin, netns, plugin_path: &[], later: true })
        }
        Err(error) => {
            vec![Unfinished { what: "entering the host's namespace".into(), reason: error.to_string() }]
        }
    }
}

/// A record of an attachment that is not valid, and what a GC did about it.
pub(crate) struct Stale {
    pub(crate) key: Key,
    /// What of it could not be removed; none if it was only looked at.
    pub(crate) unfinished: Option<Vec<String>>,
}

/// GC: records of the network whose attachment is not valid are swept, and what was cut short is undone. A journal that
/// is being worked on is left alone. Answers what went wrong.
pub(crate) fn sweep_stale(tools: &Tools<'_>, network: &str, valid: &[(String, String)]) -> Vec<String> {
    collect(tools, network, valid, false).1
}

/// As [`sweep_stale`], or only looks; also answers the records of attachments that are not valid.
pub(crate) fn collect(
    tools: &Tools<'_>,
    network: &str,
    valid: &[(String, String)],
    dry_run: bool,
) -> (Vec<Stale>, Vec<String>) {
    let store = tools.store();
    let (mut stale, mut failures) = (Vec::new(), Vec::new());
    let names = store.names().unwrap_or_else(|error| {
        failures.push(error.to_string());
        Vec::new()
    });
    each(names, |name, first| {
        let (key, held) = match of_network(&store, &name, network) {
            Ok(Some((_, held))) if first && !dry_run && comes_last(&held) => return Some(name),
            // A new ADD has taken it over meanwhile, of which the list of valid ones knows nothing.
            Ok(Some((_, held))) if !first && !comes_last(&held) => return None,
            Ok(Some(found)) => found,
            Ok(None) | Err(JournalError::Busy { .. }) => return None,
            Err(error) => {
                failures.push(error.to_string());
                return None;
            }
        };
        let own = &key.attachment;
        let stays =
            valid.iter().any(|(container, ifname)| (container, ifname) == (&own.container, &own.ifname));
        let unfinished = if dry_run { Ok(None) } else { one(tools, held, stays).map(Some) };
        match unfinished {
            Ok(unfinished) => {
                let unfinished: Option<Vec<String>> =
                    unfinished.map(|all| all.iter().map(|one| format!("{name}: {one}")).collect());
                failures.extend(unfinished.iter().flatten().cloned());
                if !stays {
                    stale.push(Stale { key, unfinished });
                }
            }
            Err(error) => failures.push(error.to_string()),
        }
        None
    });
    (stale, failures)
}

/// Gives every name to `work`, and once more those that it answers with, when all others are through. So no journal is held
/// while another is worked on.
fn each(names: Vec<String>, mut work: impl FnMut(String, bool) -> Option<String>) {
    let last: Vec<String> = names.into_iter().filter_map(|name| work(name, true)).collect();
    for name in last {
        work(name, false);
    }
}

/// A journal of the network that nobody works on, and whose it is.
fn of_network(store: &Store, name: &str, network: &str) -> Result<Option<(Key, Held)>, JournalError> {
    let Some(key) = store.key_of(name)?.filter(|key| key.attachment.network == network) else {
        return Ok(None);
    };
    Ok(store.open(name, &Patience::BRIEF)?.map(|held| (key, held)))
}

/// Whether the ADD was cut short after it had made a bridge: that goes with it if nobody is on it, and whoever joined and was
/// cut short as well is gone by then.
fn comes_last(held: &Held) -> bool {
    held.record().pending().is_some_and(Transaction::made_a_bridge)
}

/// Undoes what was cut short, and sweeps a record unless its attachment stays. Answers what could not be done.
fn one(tools: &Tools<'_>, mut held: Held, stays: bool) -> Result<Vec<Unfinished>, JournalError> {
    if stays && held.record().damage.is_some() {
        // Whether it was committed is not known, but its attachment is there.
        return Ok(Vec::new());
    }
    let mut unfinished = heal(tools, &mut held)?;
    if !stays {
        unfinished.extend(sweep(tools, &held));
    }
    if unfinished.is_empty() {
        if stays { held.close()? } else { held.remove()? }
    }
    Ok(unfinished)
}

/// A journal that needed something, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Recovered {
    /// Its file name.
    pub journal: String,
    /// Whose it is, if that can be read.
    pub attachment: Option<Attachment>,
    /// What ran.
    pub entry: Option<String>,
    /// Where it stopped making sense, if it did.
    pub damage: Option<Damage>,
    /// Whether an ADD that was cut short is undone now.
    pub undone: bool,
    /// Whether it is removed now, for nothing of it could be read.
    pub removed: bool,
    /// What could not be undone. The journal stays for another try.
    pub failures: Vec<String>,
}

/// What becomes of a journal of which nothing can be read, not even whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// A DEL of its attachment removes it, and a GC if its file name tells the network.
    Stays,
    /// It is removed. What it would have said can still be found by the owner's stamps on rules and leases.
    Goes,
}

/// Undoes every ADD that was cut short and that nobody works on. What is damaged is told and left alone: its commit may be
/// what cannot be read, and its container may be running. Only of what cannot be read at all the caller decides.
pub(crate) fn recover(tools: &Tools<'_>, unreadable: Unreadable) -> Result<Vec<Recovered>, JournalError> {
    let store = tools.store();
    let mut all = Vec::new();
    each(store.names()?, |name, first| {
        match store.open(&name, &Patience::BRIEF) {
            Ok(Some(held)) if held.is_whole() && held.record().since().is_some() => {}
            Ok(Some(held)) if first && comes_last(&held) => return Some(name),
            Ok(Some(held)) => all.extend(recovered(tools, name, held, unreadable)),
            Ok(None) | Err(JournalError::Busy { .. }) => {}
            Err(error) => all.push(failed(name, error.to_string())),
        }
        None
    });
    Ok(all)
}

/// What came of one journal; none if there was nothing in it.
fn recovered(tools: &Tools<'_>, name: String, mut held: Held, unreadable: Unreadable) -> Option<Recovered> {
    let record = held.record();
    let mut recovered = Recovered {
        journal: name,
        attachment: record.attachment().cloned(),
        entry: record.entry().map(str::to_owned),
        damage: record.damage.clone(),
        undone: record.pending().is_some() && record.damage.is_none(),
        removed: false,
        failures: Vec::new(),
    };
    if let Some(damage) = &recovered.damage {
        if unreadable == Unreadable::Goes && recovered.attachment.is_none() {
            let message = format!("{} is {damage}, and is removed", held.path().display());
            tools.log.line(Level::Warn, "journal", &message, &[]);
            let failure = held.remove().err();
            recovered.removed = failure.is_none();
            recovered.failures.extend(failure.map(|error| error.to_string()));
        }
        return Some(recovered);
    }
    let healed = heal(tools, &mut held).and_then(|unfinished| {
        recovered.failures.extend(unfinished.iter().map(ToString::to_string));
        if unfinished.is_empty() { held.close() } else { Ok(()) }
    });
    recovered.failures.extend(healed.err().map(|error| error.to_string()));
    recovered.undone &= recovered.failures.is_empty();
    recovered.attachment.is_some().then_some(recovered)
}

fn failed(journal: String, reason: String) -> Recovered {
    let failures = vec![reason];
    Recovered {
        journal,
        attachment: None,
        entry: None,
        damage: None,
        undone: false,
        removed: false,
        failures,
    }
}

//! The journal of the attachment that a call is about.

use std::time::{Duration, Instant};

use wharf_cni::error::code;
use wharf_cni::{CniError, Env};

use super::Broker;
use super::chain::{OWN_NAME, Stage};
use super::likeness;
use crate::failure::{self, Fault};
use crate::flock::Patience;
use crate::grants::{Grant, Limits};
use crate::journal::{Begin, Held, JournalError, Key, NetnsId, boot_id, unix_time};
use crate::launch::Launcher;
use crate::run::namespace::Namespaces;
use crate::session::Invocation;

/// Waits for another call on the same attachment as long as this call may take: the first plugin's deadline.
pub(super) fn patiently<L: Launcher, T>(
    broker: &Broker<L>,
    stages: &[Stage],
    work: impl FnOnce(&Patience<'_>) -> Result<T, JournalError>,
) -> Result<T, CniError> {
    let until = || Instant::now() + deadline(broker, stages);
    let patience = Patience { until: &until, interrupted: &|| broker.signals.caught() };
    work(&patience).map_err(|error| fault(&error))
}

fn deadline<L: Launcher>(broker: &Broker<L>, stages: &[Stage]) -> Duration {
    let guest = stages.first().map(|stage| stage.guest.as_str()).unwrap_or_default();
    let grant = Grant::read(&broker.paths.grants(), guest);
    grant.map_or_else(|_| Limits::default().deadline(), |grant| grant.limits.deadline())
}

/// The journal of an attachment that should be there, if it is.
pub(super) fn find<L: Launcher>(
    broker: &Broker<L>,
    key: &Key,
    stages: &[Stage],
) -> Result<Option<Held>, CniError> {
    let store = crate::journal::Store::of(&broker.paths);
    patiently(broker, stages, |patience| store.find(key, patience))
}

/// The journals that a DEL ends: its own, or one of the same attachment under another name of the network. Without
/// such, those of the other way of running a list: a node may be switched over while its containers run.
pub(super) fn of_del<L: Launcher>(
    broker: &Broker<L>,
    key: &Key,
    stages: &[Stage],
    config: &str,
) -> Result<Vec<Held>, CniError> {
    if let Some(held) = find(broker, key, stages)? {
        return Ok(vec![held]);
    }
    let previous = stages.first().and_then(|stage| stage.conf.previous.as_ref());
    let store = crate::journal::Store::of(&broker.paths);
    let renamed = |held: &Held| likeness::is_of(&broker.paths, held.record(), config, previous);
    if let Some(held) = patiently(broker, stages, |patience| store.find_renamed(key, renamed, patience))? {
        return Ok(vec![held]);
    }
    let entries: Vec<&str> = match key.entry.as_str() {
        OWN_NAME => stages.iter().map(|stage| stage.guest.as_str()).collect(),
        _ => vec![OWN_NAME],
    };
    let mut all: Vec<Held> = Vec::new();
    for entry in entries {
        let other = Key { entry: entry.to_owned(), ..key.clone() };
        // The same plugin twice in a list has one journal, which is locked by now.
        if all.iter().any(|held| held.record().entry() == Some(entry)) {
            continue;
        }
        let ran = |held: &Held| {
            let mut guests = held.record().transactions.iter().flat_map(|transaction| &transaction.guests);
            entry != OWN_NAME || guests.any(|guest| guest.name == key.entry)
        };
        all.extend(find(broker, &other, stages)?.filter(ran));
    }
    Ok(all)
}

/// What the journal of an ADD begins with.
pub(super) fn begin(key: &Key, env: &Env, namespaces: &Namespaces, config: String) -> Begin {
    let netns = namespaces
        .container
        .as_ref()
        .map(|container| NetnsId::of(namespaces.path.clone().unwrap_or_default(), container));
    Begin {
        attachment: key.attachment.clone(),
        entry: key.entry.clone(),
        netns,
        boot: boot_id(),
        time: unix_time(),
        pid: std::process::id(),
        plugin_path: env.path.clone(),
        args: env.args.clone(),
        config,
    }
}

/// A journal that cannot be worked with.
pub(super) fn fault(error: &JournalError) -> CniError {
    let number = match error {
        JournalError::Busy { .. } | JournalError::Interrupted { .. } => code::TRY_AGAIN_LATER,
        JournalError::Io { .. } | JournalError::Foreign { .. } | JournalError::Full { .. } => {
            code::IO_FAILURE
        }
    };
    failure::host(number, Fault::Host, error.to_string())
}

/// A line of the journal that could not be written.
pub(crate) fn unwritten(error: &wharf_ops::Error) -> CniError {
    failure::host(code::IO_FAILURE, Fault::Host, error.message.clone())
}

/// Writes down what a DEL did not have to fail for.
pub(super) fn warn<L: Launcher>(invocation: &Invocation<'_, L>, errors: &[CniError]) {
    for error in errors {
        let message = format!("went on after: {error}");
        invocation.broker.log.line(crate::log::Level::Warn, "DEL", &message, &[]);
        (invocation.broker.went_on)(&failure::without_secrets(error.clone()));
    }
}

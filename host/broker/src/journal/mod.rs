//! The journal: what each ADD does to the host, written down before it is done.
//!
//! One append-only file per attachment and [entry](Begin::entry) below `/run/wharf/attachments`, which dies with the
//! kernel state it describes. A transaction is one ADD: `Begin`, an intent before each change of the kernel, what
//! became known by it, `Commit`. What is committed is the **attachment record**, from which DEL, GC and CHECK work; what
//! is not was cut short and is undone by whoever comes next.
//!
//! The file is locked (flock(2)) by the process that works on it, and the lock dies with that process. Readers need
//! no lock: they see a prefix.

mod error;
mod frame;
mod held;
mod lock;
mod name;
mod reader;
mod record;
mod store;
#[cfg(test)]
mod tests;

pub use error::JournalError;
pub use frame::{Frame, HEADER, encode};
pub use reader::{Damage, Parsed, parse};
pub use record::{
    Begin, Commit, ConfigChange, Effect, GuestRun, NetnsId, Outcome, Record, Shared, Step, Transaction, Undo,
};
pub use store::{Listed, Listing, Store};

pub(crate) use held::Held;
pub(crate) use name::Key;

/// As [`crate::boot::id`]; empty where it tells none.
pub(crate) fn boot_id() -> String {
    crate::boot::id().unwrap_or_default().to_owned()
}

/// Seconds since 1970.
pub(crate) fn unix_time() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

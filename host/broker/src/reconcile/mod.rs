//! Recorded firewall state that vanished is put back: once, or whenever somebody takes it away.
//!
//! A reload of firewalld, `nft flush ruleset` or `iptables -F` removes what attachments need, and no runtime notices. The
//! record knows it, and applying it again replaces exactly what that attachment has of the kind.

mod agenda;
mod pass;
mod watch;

pub use watch::{Watch, watch};

use serde::Serialize;
use wharf_ops::Attachment;

use crate::Paths;
use crate::journal::JournalError;
use crate::run::Kernels;
use pass::{Pass, Which};

/// What a look came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// The records that something is to be said of.
    pub found: Vec<Reconciled>,
    /// What stands among the records and is none, or could not be opened: why, and what to do.
    pub odd: Vec<String>,
}

/// What came of one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reconciled {
    /// Its file name.
    pub journal: String,
    /// Whose it is.
    pub attachment: Attachment,
    /// What ran.
    pub entry: String,
    /// What was missing, as far as it was looked at.
    pub missing: Vec<Missing>,
    /// Why it was passed over, if it was.
    pub skipped: Option<String>,
    /// Another process works on it: it was not looked at.
    pub busy: bool,
    /// What could not be read or put back.
    pub failures: Vec<String>,
    /// iptables-legacy holds some of it, which sends no events.
    pub legacy: bool,
}

/// Recorded state that was not there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// The operation that makes it, e.g. `nat/masquerade`.
    pub operation: &'static str,
    /// Each rule in words, with what was there instead.
    pub rules: Vec<String>,
    /// Whether it is back.
    pub restored: bool,
}

/// Looks at every committed record once, in the caller's network namespace. With `dry_run` nothing is changed.
pub fn once(paths: &Paths, kernels: Kernels, dry_run: bool) -> Result<Look, JournalError> {
    Pass { paths, kernels, dry_run }.run(&Which::All)
}

//! `wharf:host/delegate`: another plugin under the same attachment.

use serde::{Deserialize, Serialize};

/// The CNI command that the delegate is to carry out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verb {
    /// → `Result`.
    Add,
    /// → `Done`.
    Check,
    /// → `Done`.
    Del,
    /// → `Done`.
    Status,
    /// → `Done`.
    Gc,
}

/// Run `plugin` with `config`. Fails with the delegate's own CNI error as `Reply::Refused`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegateOp {
    /// What it is to do.
    pub verb: Verb,
    /// Its type.
    pub plugin: String,
    /// Its configuration as JSON.
    pub config: String,
}

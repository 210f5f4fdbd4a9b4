//! `wharf:firewall/filter`: packet filters.

use serde::{Deserialize, Serialize};

use crate::Mac;

/// What can be asked of filters. Whose rules are meant is the attachment of the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FilterOp {
    /// → `Done`.
    AntiSpoof {
        /// The bridge port of the host.
        link: String,
        /// The only source of its frames.
        allowed: Mac,
    },
    /// → `MaybeMac`.
    GetAntiSpoof {
        /// The bridge port of the host.
        link: String,
    },
    /// → `Done`.
    RemoveAntiSpoof,
}

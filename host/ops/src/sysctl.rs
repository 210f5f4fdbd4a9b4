//! `wharf:net/sysctl`: kernel parameters below /proc/sys/net.

use serde::{Deserialize, Serialize};

use crate::Ns;

/// What can be asked of sysctls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SysctlOp {
    /// → `Text`.
    Read {
        /// Where.
        ns: Ns,
        /// The path below /proc/sys/net.
        key: String,
    },
    /// Writes if the value differs → `Done`.
    Write {
        /// Where.
        ns: Ns,
        /// The path below /proc/sys/net.
        key: String,
        /// Without a line end.
        value: String,
    },
}

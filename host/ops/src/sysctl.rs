//! `wharf:net/sysctl`: kernel parameters below /proc/sys/net.

use serde::{Deserialize, Serialize};

use crate::{Error, ErrorKind, Ns};

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

/// Whether the answer to [`SysctlOp::Read`] is that the parameter does not tell its value: a trigger can only be written
/// (EACCES), and a secret that was never set tells nothing (EIO).
#[must_use]
pub fn is_untold(error: &Error) -> bool {
    matches!(error.kind, ErrorKind::Denied | ErrorKind::Io)
}

//! `wharf:firewall/conntrack`: connection tracking.

use serde::{Deserialize, Serialize};

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Family {
    /// AF_INET.
    Ipv4,
    /// AF_INET6.
    Ipv6,
}

/// What can be asked of connection tracking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConntrackOp {
    /// Forgets the UDP flows to a host port → `Count`.
    FlushUdp {
        /// Of which family.
        family: Family,
        /// The original destination port.
        port: u16,
    },
}

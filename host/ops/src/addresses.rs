//! `wharf:net/addresses`: interface addresses.

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::Link;

/// What can be asked of addresses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressOp {
    /// → `Done`.
    Add {
        /// Which link.
        on: Link,
        /// With host bits.
        address: IpNetwork,
    },
    /// Absent is success → `Done`.
    Remove {
        /// Which link.
        on: Link,
        /// With host bits.
        address: IpNetwork,
    },
    /// → `Addresses`.
    GetAll {
        /// Which link.
        on: Link,
    },
    /// Waits for duplicate address detection → `Done`.
    Settle {
        /// Which link.
        on: Link,
    },
    /// Gratuitous ARP and unsolicited neighbour advertisements → `Done`.
    Announce {
        /// Which link.
        on: Link,
    },
}

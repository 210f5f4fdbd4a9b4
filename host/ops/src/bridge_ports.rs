//! `wharf:net/bridge-ports`: a link as the port of a bridge.

use serde::{Deserialize, Serialize};

use crate::Link;

/// A run of VLANs with the same flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VlanRange {
    /// 1 to 4094.
    pub first: u16,
    /// Not below `first`.
    pub last: u16,
    /// The VLAN of untagged frames that come in.
    pub pvid: bool,
    /// Frames leave without their tag.
    pub untagged: bool,
}

/// The flags of a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortState {
    /// IFLA_BRPORT_MODE.
    pub hairpin: bool,
    /// IFLA_BRPORT_ISOLATED.
    pub isolated: bool,
}

/// What can be asked of bridge ports.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BridgePortOp {
    /// → `Port`.
    Get {
        /// The port.
        port: Link,
    },
    /// → `Done`.
    SetHairpin {
        /// The port.
        port: Link,
        /// On or off.
        on: bool,
    },
    /// → `Done`.
    SetIsolated {
        /// The port.
        port: Link,
        /// On or off.
        on: bool,
    },
    /// → `Done`.
    AddVlan {
        /// The port.
        port: Link,
        /// Which VLANs.
        range: VlanRange,
    },
    /// → `Done`.
    RemoveVlan {
        /// The port.
        port: Link,
        /// Which VLANs.
        range: VlanRange,
    },
    /// → `Vlans`.
    GetVlans {
        /// The port.
        port: Link,
    },
}

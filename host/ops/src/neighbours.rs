//! `wharf:net/neighbours`: the ARP and NDP tables.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{Link, Mac};

/// An entry of a neighbour table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// NDA_DST.
    pub address: IpAddr,
    /// NDA_LLADDR.
    pub mac: Option<Mac>,
    /// NUD_PERMANENT.
    pub permanent: bool,
}

/// What can be asked of neighbours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NeighbourOp {
    /// A permanent entry, replaced if there → `Done`.
    Set {
        /// Which link.
        on: Link,
        /// Whose.
        address: IpAddr,
        /// Where it is.
        mac: Mac,
    },
    /// Absent is success → `Done`.
    Remove {
        /// Which link.
        on: Link,
        /// Whose.
        address: IpAddr,
    },
    /// → `Neighbours`.
    GetAll {
        /// Which link.
        on: Link,
    },
}

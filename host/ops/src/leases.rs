//! `wharf:store/leases`: addresses that are given out.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// Who holds an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct LeaseOwner {
    /// CNI_CONTAINERID.
    pub container: String,
    /// CNI_IFNAME.
    pub ifname: String,
}

/// An address that is given out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Which.
    pub address: IpAddr,
    /// To whom.
    pub owner: LeaseOwner,
}

/// What can be asked of leases. A pool is named by the number that `Open` answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeaseOp {
    /// Opens and locks the pool of the request's network → `Pool`.
    Open {
        /// The configuration's dataDir.
        directory: Option<String>,
    },
    /// Releases the lock → `Done`.
    Close {
        /// Which pool.
        pool: u32,
    },
    /// → `Flag`.
    TryReserve {
        /// Which pool.
        pool: u32,
        /// Which address.
        address: IpAddr,
        /// For whom.
        owner: LeaseOwner,
    },
    /// → `MaybeAddress`.
    ReserveNext {
        /// Which pool.
        pool: u32,
        /// First address of the range.
        first: IpAddr,
        /// Last address of the range.
        last: IpAddr,
        /// Start behind this one.
        after: Option<IpAddr>,
        /// Never these.
        skip: Vec<IpAddr>,
        /// For whom.
        owner: LeaseOwner,
    },
    /// → `Count`.
    Release {
        /// Which pool.
        pool: u32,
        /// Whose.
        owner: LeaseOwner,
    },
    /// → `Hosts`.
    Find {
        /// Which pool.
        pool: u32,
        /// Whose.
        owner: LeaseOwner,
    },
    /// → `Leases`.
    GetAll {
        /// Which pool.
        pool: u32,
    },
    /// → `MaybeAddress`.
    LastReserved {
        /// Which pool.
        pool: u32,
        /// The index of the range set.
        set: u32,
    },
    /// → `Done`.
    SetLastReserved {
        /// Which pool.
        pool: u32,
        /// The index of the range set.
        set: u32,
        /// The cursor.
        address: IpAddr,
    },
    /// → `Text`.
    ReadResolvConf {
        /// An absolute path.
        path: String,
    },
}

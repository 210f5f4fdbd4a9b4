//! `wharf:net/links`: network devices.

use serde::{Deserialize, Serialize};

use crate::{Link, Mac, Ns};

/// What the kernel says about a link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The interface index inside its namespace.
    pub index: u32,
    /// IFLA_IFNAME.
    pub name: String,
    /// IFLA_INFO_KIND, empty for a device without one.
    pub kind: String,
    /// IFLA_ADDRESS, if it is an EUI-48 one.
    pub mac: Option<Mac>,
    /// IFLA_MTU.
    pub mtu: u32,
    /// IFF_UP.
    pub up: bool,
    /// Operstate UP or UNKNOWN while the link is administratively up.
    pub operational: bool,
    /// IFF_PROMISC.
    pub promiscuous: bool,
    /// IFLA_MASTER.
    pub master: Option<u32>,
    /// IFLA_LINK.
    pub peer: Option<u32>,
    /// IFLA_IFALIAS.
    pub alias: Option<String>,
}

/// What every kind of link is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Common {
    /// 1 to 15 bytes.
    pub name: String,
    /// None leaves it to the kernel.
    pub mtu: Option<u32>,
    /// None leaves it to the kernel.
    pub mac: Option<Mac>,
}

/// One end of a veth pair.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VethEnd {
    /// Where this end is created.
    pub ns: Ns,
    /// 1 to 15 bytes.
    pub name: String,
    /// None leaves it to the kernel.
    pub mtu: Option<u32>,
    /// None leaves it to the kernel.
    pub mac: Option<Mac>,
    /// IFLA_TXQLEN; none leaves it to the kernel.
    pub tx_queue_length: Option<u32>,
}

/// What can be asked of links.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkOp {
    /// → [`Reply::MaybeLink`](crate::Reply::MaybeLink).
    Get {
        /// Where to look.
        ns: Ns,
        /// Its name.
        name: String,
    },
    /// → `Infos`.
    GetAll {
        /// Where to look.
        ns: Ns,
    },
    /// → `Info`.
    Info {
        /// Of which link.
        link: Link,
    },
    /// The other end of a veth, if it is in `ns` → `MaybeLink`.
    Peer {
        /// One end.
        of: Link,
        /// Where the other one is looked for.
        ns: Ns,
    },
    /// → `Pair`, both ends down.
    CreateVeth {
        /// The end that is made in the usual way.
        a: VethEnd,
        /// The end that is created directly inside its namespace.
        b: VethEnd,
    },
    /// → `Bridge`.
    EnsureBridge {
        /// Where.
        ns: Ns,
        /// Name, MTU and MAC of a new one.
        common: Common,
        /// IFLA_BR_VLAN_FILTERING of a new one.
        vlan_filtering: bool,
    },
    /// → `Link`, down.
    CreateIfb {
        /// Where.
        ns: Ns,
        /// Name, MTU and MAC.
        common: Common,
    },
    /// → `Done`.
    SetUp {
        /// Which link.
        link: Link,
        /// Up or down.
        up: bool,
    },
    /// → `Done`.
    SetMtu {
        /// Which link.
        link: Link,
        /// In bytes.
        mtu: u32,
    },
    /// → `Done`.
    SetMac {
        /// Which link.
        link: Link,
        /// The new address.
        mac: Mac,
    },
    /// → `Done`.
    SetMaster {
        /// Which link.
        link: Link,
        /// None frees the port.
        master: Option<Link>,
    },
    /// → `Done`.
    SetPromiscuous {
        /// Which link.
        link: Link,
        /// On or off.
        on: bool,
    },
    /// → `Done`.
    SetAlias {
        /// Which link.
        link: Link,
        /// Up to 255 bytes.
        alias: String,
    },
    /// Waits for operstate UP → `Done`.
    WaitOperational {
        /// Which link.
        link: Link,
    },
    /// Absent is success → `Done`.
    Delete {
        /// Which link; index 0 means by name.
        link: Link,
    },
    /// Removes several links at the price of one: the kernel waits for its readers once. Absent is success → `Done`. Not
    /// offered to guests: a DEL's deletions are collected into it.
    DeleteMany {
        /// Which links.
        links: Vec<Link>,
    },
    /// Removes a bridge that has no port, and leaves one that has → `Done`. Not offered to guests: it undoes `EnsureBridge`.
    DeleteUnusedBridge {
        /// Which bridge; index 0 means by name.
        link: Link,
    },
}

//! `wharf:cni/types`: what a guest is called with and what it answers.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::policy::Verdict;
use crate::{Attachment, Mac};

/// Everything a guest hears about the request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Request {
    /// Which attachment.
    pub attachment: Attachment,
    /// CNI_NETNS, as text.
    pub netns_path: Option<String>,
    /// CNI_ARGS, in order.
    pub args: Vec<(String, String)>,
    /// The plugin object as JSON, without prevResult.
    pub config: String,
    /// prevResult.
    pub previous: Option<NetworkResult>,
}

/// `interfaces[]` of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// Its MTU.
    pub mtu: Option<u32>,
    /// The namespace's path.
    pub sandbox: Option<String>,
    /// A vhost-user socket.
    pub socket_path: Option<String>,
    /// A PCI address.
    pub pci_id: Option<String>,
}

/// `ips[]` of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpConfig {
    /// With host bits.
    pub address: IpNetwork,
    /// The default gateway of this subnet.
    pub gateway: Option<IpAddr>,
    /// An index into the interfaces.
    pub interface: Option<u32>,
}

/// `routes[]` of a result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResultRoute {
    /// Destination.
    pub dst: IpNetwork,
    /// Next hop.
    pub gw: Option<IpAddr>,
    /// Path MTU.
    pub mtu: Option<u32>,
    /// Advertised MSS.
    pub advmss: Option<u32>,
    /// Metric.
    pub priority: Option<u32>,
    /// Routing table.
    pub table: Option<u32>,
    /// rtm_scope.
    pub scope: Option<u32>,
}

/// `dns` of a result.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dns {
    /// Name servers, in order.
    pub nameservers: Vec<String>,
    /// The local domain.
    pub domain: Option<String>,
    /// Search list.
    pub search: Vec<String>,
    /// resolv.conf options.
    pub options: Vec<String>,
}

/// A CNI result, free of versions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkResult {
    /// What was made.
    pub interfaces: Vec<Interface>,
    /// What was assigned.
    pub ips: Vec<IpConfig>,
    /// What was routed.
    pub routes: Vec<ResultRoute>,
    /// How names are resolved.
    pub dns: Dns,
}

/// What `describe` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The runtimeConfig keys it honours.
    pub capabilities: Vec<String>,
}

/// A CNI error object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{msg}")]
pub struct CniError {
    /// Below 100 as in the specification, 100 to 899 a guest's own, 900 to 999 the host's.
    pub code: u32,
    /// One sentence.
    pub msg: String,
    /// More of it.
    pub details: Option<String>,
}

/// What a guest is asked to do. The same five verbs for both of its worlds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Call {
    /// `describe`.
    Describe,
    /// `add`.
    Add(Request),
    /// `check`.
    Check(Request),
    /// `del`; a network guest gets no container when there is none.
    Del(Request),
    /// `status`.
    Status {
        /// The plugin object as JSON.
        config: String,
    },
    /// `gc`.
    Gc {
        /// The plugin object as JSON.
        config: String,
        /// (container, ifname) of every attachment that is to stay.
        valid: Vec<(String, String)>,
    },
}

/// What came of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Answer {
    /// Of `describe`.
    Metadata(Metadata),
    /// Of `add`.
    Result(NetworkResult),
    /// Of the others.
    Done,
    /// Of a policy, to each message.
    Verdict(Verdict),
}

/// How a call fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Failure {
    /// The guest answered with an error of its own.
    #[error("{0}")]
    Guest(CniError),
    /// The guest trapped.
    #[error("the guest trapped: {0}")]
    Trap(String),
    /// A limit (memory, table, stack, fuel) was reached.
    #[error("{0}")]
    Limit(String),
    /// The component asks for something that this host does not offer, or offers nothing that can be called.
    #[error("{0}")]
    Mismatch(String),
    /// The sandbox could not be set up.
    #[error("{0}")]
    Sandbox(String),
    /// The compiled guest is not one that this engine runs: it was made by another version.
    #[error("{0}")]
    Unloadable(String),
}

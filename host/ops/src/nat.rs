//! `wharf:firewall/nat`: masquerading and port forwarding, as intent.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

/// What renders the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backend {
    /// nftables, unless the host can only do iptables.
    #[default]
    Automatic,
    /// nf_tables, in a table of Wharf's own.
    Nftables,
    /// The nat table of iptables, nft or legacy flavour.
    Iptables,
}

/// A transport protocol with ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Protocol {
    /// 6.
    Tcp,
    /// 17.
    Udp,
    /// 132.
    Sctp,
}

/// One address whose traffic leaves with the host's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MasqueradeRule {
    /// The container's address.
    pub source: IpAddr,
    /// Destinations that see the real source; multicast always does.
    pub except: Vec<IpNetwork>,
}

/// One port of the host that leads to the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PortForward {
    /// Of the port.
    pub protocol: Protocol,
    /// None or unspecified is every local address of the family.
    pub host_address: Option<IpAddr>,
    /// 1 to 65535.
    pub host_port: u16,
    /// Where it leads.
    pub container_address: IpAddr,
    /// 1 to 65535.
    pub container_port: u16,
}

/// How the forwards of one call are rendered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForwardOptions {
    /// By what.
    pub backend: Backend,
    /// Rewrite the source of hairpin traffic and of 127.0.0.1.
    pub snat: bool,
    /// Rewrite the source of everything forwarded.
    pub masquerade_all: bool,
    /// The container's subnets: what counts as hairpin.
    pub subnets: Vec<IpNetwork>,
    /// iptables: 0 to 31.
    pub mark_bit: u8,
    /// iptables: the chain that marks instead.
    pub external_mark_chain: Option<String>,
    /// Extra matches for IPv4, in the backend's words.
    pub conditions_v4: Vec<String>,
    /// Extra matches for IPv6.
    pub conditions_v6: Vec<String>,
}

/// What can be asked of address translation. Whose rules are meant is the attachment of the call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NatOp {
    /// What `automatic` means here → `Backend`.
    Detect,
    /// → `Done`.
    Masquerade {
        /// All of the attachment's.
        rules: Vec<MasqueradeRule>,
        /// By what.
        backend: Backend,
    },
    /// → `Masquerades`.
    GetMasquerades,
    /// → `Done`.
    RemoveMasquerades,
    /// → `Done`.
    ForwardPorts {
        /// All of the attachment's.
        rules: Vec<PortForward>,
        /// How.
        options: ForwardOptions,
    },
    /// → `Forwards`.
    GetForwards,
    /// → `Done`.
    RemoveForwards,
}

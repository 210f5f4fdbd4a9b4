//! The changes that a guest can ask for, one case for each operation that changes something.

use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::addr::Mac;
use crate::config::Config;
use crate::firewall::conntrack::Family;
use crate::firewall::nat::{Backend, ForwardOptions, MasqueradeRule, PortForward};
use crate::net::{Route, VlanRange};
use crate::tc::Rate;

/// One of the two namespaces of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The runtime's own.
    Host,
    /// The pod's.
    Container,
}

/// A link by its place and name.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LinkName {
    /// Where it is.
    pub side: Side,
    /// Its name.
    pub name: String,
}

/// A link to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewLink {
    /// Where it is to be.
    pub side: Side,
    /// Its name.
    pub name: String,
    /// In bytes; none leaves it to the kernel.
    pub mtu: Option<u32>,
    /// None leaves it to the kernel.
    pub mac: Option<Mac>,
}

/// A change that is about to be made. Cases are named as the operations are: `nat/forward-ports` is
/// [`NatForwardPorts`](Change::NatForwardPorts).
///
/// An operation that is newer than this SDK is none of them: it goes to
/// [`review_unknown`](super::Policy::review_unknown), so that no `_` in a `match` allows it unseen.
///
/// ```
/// use wharf_sdk::policy::{Change, LinkName, Side};
///
/// let link = LinkName { side: Side::Container, name: "eth0".into() };
/// let change = Change::AddressesAdd { link, address: "10.1.2.3/24".parse()? };
/// assert_eq!(change.operation(), "addresses/add");
/// assert_eq!(change.pod_addresses(), ["10.1.2.3".parse::<std::net::IpAddr>()?]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub enum Change {
    /// A link goes up or down.
    LinksSetUp {
        /// Which.
        link: LinkName,
        /// Up or down.
        up: bool,
    },
    /// A link's MTU.
    LinksSetMtu {
        /// Of which link.
        link: LinkName,
        /// In bytes.
        mtu: u32,
    },
    /// A link's hardware address.
    LinksSetMac {
        /// Of which link.
        link: LinkName,
        /// The new one.
        mac: Mac,
    },
    /// A link becomes a port of a bridge, or of nothing.
    LinksSetMaster {
        /// Which.
        link: LinkName,
        /// The bridge.
        master: Option<LinkName>,
    },
    /// A link's promiscuous mode.
    LinksSetPromiscuous {
        /// Of which link.
        link: LinkName,
        /// On or off.
        on: bool,
    },
    /// A link's alias.
    LinksSetAlias {
        /// Of which link.
        link: LinkName,
        /// The new one.
        alias: String,
    },
    /// A link goes.
    LinksDelete {
        /// Which.
        link: LinkName,
    },
    /// A veth pair comes.
    LinksCreateVeth {
        /// One end.
        a: NewLink,
        /// The other end.
        b: NewLink,
    },
    /// A bridge comes, unless it is there.
    LinksEnsureBridge {
        /// Which.
        bridge: NewLink,
        /// Whether a new one filters VLANs.
        vlan_filtering: bool,
    },
    /// An intermediate functional block comes.
    LinksCreateIfb {
        /// Which.
        link: NewLink,
    },
    /// Whether frames may leave by the port they came in.
    BridgePortsSetHairpin {
        /// The port.
        port: LinkName,
        /// On or off.
        on: bool,
    },
    /// Whether a port is isolated from other isolated ones.
    BridgePortsSetIsolated {
        /// The port.
        port: LinkName,
        /// On or off.
        on: bool,
    },
    /// VLANs may pass a port.
    BridgePortsAddVlan {
        /// The port.
        port: LinkName,
        /// Which.
        vlans: VlanRange,
    },
    /// VLANs may pass a port no longer.
    BridgePortsRemoveVlan {
        /// The port.
        port: LinkName,
        /// Which.
        vlans: VlanRange,
    },
    /// A link gets an address.
    AddressesAdd {
        /// Which link.
        link: LinkName,
        /// With host bits.
        address: IpNetwork,
    },
    /// A link loses an address.
    AddressesRemove {
        /// Which link.
        link: LinkName,
        /// With host bits.
        address: IpNetwork,
    },
    /// The neighbours are told of a link's addresses.
    AddressesAnnounce {
        /// Which link.
        link: LinkName,
    },
    /// A route comes.
    RoutesAdd {
        /// Where.
        side: Side,
        /// Which.
        route: Route,
    },
    /// A route goes.
    RoutesRemove {
        /// Where.
        side: Side,
        /// Which.
        route: Route,
    },
    /// A permanent entry of a neighbour table.
    NeighboursSet {
        /// Of which link.
        link: LinkName,
        /// Whose.
        address: IpAddr,
        /// Where it is.
        mac: Mac,
    },
    /// An entry of a neighbour table goes.
    NeighboursRemove {
        /// Of which link.
        link: LinkName,
        /// Whose.
        address: IpAddr,
    },
    /// A kernel parameter.
    SysctlWrite {
        /// Where.
        side: Side,
        /// The path below /proc/sys/net.
        key: String,
        /// The new value.
        value: String,
    },
    /// All masquerading of the attachment.
    NatMasquerade {
        /// Whose source address is rewritten.
        rules: Vec<MasqueradeRule>,
        /// What renders the rules.
        backend: Backend,
    },
    /// The attachment's masquerading goes.
    NatRemoveMasquerades,
    /// All forwarded ports of the attachment.
    NatForwardPorts {
        /// Which.
        ports: Vec<PortForward>,
        /// How.
        options: ForwardOptions,
    },
    /// The attachment's forwarded ports go.
    NatRemoveForwards,
    /// What enters the host by a bridge port must have this source.
    FilterAntiSpoof {
        /// The port's name.
        port: String,
        /// The only source.
        allowed: Mac,
    },
    /// That ends.
    FilterRemoveAntiSpoof,
    /// UDP flows to a host port are forgotten.
    ConntrackFlushUdp {
        /// Of which family.
        family: Family,
        /// The host's port.
        port: u16,
    },
    /// What a link sends is limited.
    ShapingSetEgress {
        /// Which link.
        link: LinkName,
        /// How fast.
        rate: Rate,
    },
    /// What a link receives is sent by another.
    ShapingRedirectIngress {
        /// Which link.
        on: LinkName,
        /// The other one.
        to: LinkName,
    },
    /// A link's limits go.
    ShapingClear {
        /// Which link.
        link: LinkName,
    },
    /// The attachment leases an address.
    LeasesTryReserve {
        /// Which.
        address: IpAddr,
    },
    /// The attachment leases the first free address of a range. Which one that is comes with the change that uses it, and in
    /// the result.
    LeasesReserveNext {
        /// First of the range.
        first: IpAddr,
        /// Last of the range.
        last: IpAddr,
        /// Start behind this one.
        after: Option<IpAddr>,
        /// Never these.
        skip: Vec<IpAddr>,
    },
    /// The attachment's leases are given back.
    LeasesRelease,
    /// The cursor of a range set moves.
    LeasesSetLastReserved {
        /// The index of the range set.
        set: u32,
        /// Where it moves to.
        address: IpAddr,
    },
    /// Another plugin's ADD. What a Wasm guest of the store does in it comes for review by itself; of a native plugin only
    /// the result is seen.
    DelegateAdd {
        /// Its type.
        plugin: String,
        /// Its configuration.
        config: Config,
    },
    /// Another plugin's DEL.
    DelegateDel {
        /// Its type.
        plugin: String,
        /// Its configuration.
        config: Config,
    },
    /// Another plugin's GC.
    DelegateGc {
        /// Its type.
        plugin: String,
        /// Its configuration.
        config: Config,
    },
}

impl Change {
    /// The operation's name, as grants and logs have it.
    pub fn operation(&self) -> &'static str {
        match self {
            Self::LinksSetUp { .. } => "links/set-up",
            Self::LinksSetMtu { .. } => "links/set-mtu",
            Self::LinksSetMac { .. } => "links/set-mac",
            Self::LinksSetMaster { .. } => "links/set-master",
            Self::LinksSetPromiscuous { .. } => "links/set-promiscuous",
            Self::LinksSetAlias { .. } => "links/set-alias",
            Self::LinksDelete { .. } => "links/delete",
            Self::LinksCreateVeth { .. } => "links/create-veth",
            Self::LinksEnsureBridge { .. } => "links/ensure-bridge",
            Self::LinksCreateIfb { .. } => "links/create-ifb",
            Self::BridgePortsSetHairpin { .. } => "bridge-ports/set-hairpin",
            Self::BridgePortsSetIsolated { .. } => "bridge-ports/set-isolated",
            Self::BridgePortsAddVlan { .. } => "bridge-ports/add-vlan",
            Self::BridgePortsRemoveVlan { .. } => "bridge-ports/remove-vlan",
            Self::AddressesAdd { .. } => "addresses/add",
            Self::AddressesRemove { .. } => "addresses/remove",
            Self::AddressesAnnounce { .. } => "addresses/announce",
            Self::RoutesAdd { .. } => "routes/add",
            Self::RoutesRemove { .. } => "routes/remove",
            Self::NeighboursSet { .. } => "neighbours/set",
            Self::NeighboursRemove { .. } => "neighbours/remove",
            Self::SysctlWrite { .. } => "sysctl/write",
            Self::NatMasquerade { .. } => "nat/masquerade",
            Self::NatRemoveMasquerades => "nat/remove-masquerades",
            Self::NatForwardPorts { .. } => "nat/forward-ports",
            Self::NatRemoveForwards => "nat/remove-forwards",
            Self::FilterAntiSpoof { .. } => "filter/anti-spoof",
            Self::FilterRemoveAntiSpoof => "filter/remove-anti-spoof",
            Self::ConntrackFlushUdp { .. } => "conntrack/flush-udp",
            Self::ShapingSetEgress { .. } => "shaping/set-egress",
            Self::ShapingRedirectIngress { .. } => "shaping/redirect-ingress",
            Self::ShapingClear { .. } => "shaping/clear",
            Self::LeasesTryReserve { .. } => "leases/try-reserve",
            Self::LeasesReserveNext { .. } => "leases/reserve-next",
            Self::LeasesRelease => "leases/release",
            Self::LeasesSetLastReserved { .. } => "leases/set-last-reserved",
            Self::DelegateAdd { .. } => "delegate/add",
            Self::DelegateDel { .. } => "delegate/del",
            Self::DelegateGc { .. } => "delegate/gc",
        }
    }

    /// The ports of the host that it opens to the pod; none for any change but [`NatForwardPorts`](Self::NatForwardPorts).
    pub fn host_ports(&self) -> impl Iterator<Item = &PortForward> {
        let ports = if let Self::NatForwardPorts { ports, .. } = self { ports.as_slice() } else { &[] };
        ports.iter()
    }

    /// The addresses that it gives to the pod or translates for it: those of its links and leases, the sources of
    /// masquerading and the targets of forwarded ports.
    pub fn pod_addresses(&self) -> Vec<IpAddr> {
        match self {
            Self::AddressesAdd { link, address } if link.side == Side::Container => vec![address.ip()],
            Self::LeasesTryReserve { address } => vec![*address],
            Self::NatMasquerade { rules, .. } => rules.iter().map(|rule| rule.source).collect(),
            Self::NatForwardPorts { ports, .. } => ports.iter().map(|port| port.container_address).collect(),
            _ => Vec::new(),
        }
    }
}

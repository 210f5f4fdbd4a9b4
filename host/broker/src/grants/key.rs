//! The keys of a grant file that constrain, as data: where each stands, what it bounds, which operations need it.

use std::fmt;

/// A key inside a table of constraints. An operation that a key bounds is denied where the file does not have the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `[links] names`
    LinkNames,
    /// `[links] container-names`
    LinkContainerNames,
    /// `[bridge-ports] vlans`
    Vlans,
    /// `[addresses] cidrs`
    AddressCidrs,
    /// `[addresses] container-cidrs`
    AddressContainerCidrs,
    /// `[routes] cidrs`
    RouteCidrs,
    /// `[routes] container-cidrs`
    RouteContainerCidrs,
    /// `[neighbours] cidrs`
    NeighbourCidrs,
    /// `[neighbours] container-cidrs`
    NeighbourContainerCidrs,
    /// `[sysctl] keys`
    SysctlKeys,
    /// `[sysctl] container-keys`
    SysctlContainerKeys,
    /// `[nat] host-ports`
    HostPorts,
    /// `[nat] cidrs`
    NatCidrs,
    /// `[shaping] names`
    ShapingNames,
    /// `[shaping] container-names`
    ShapingContainerNames,
    /// `[leases] cidrs`
    LeaseCidrs,
    /// `[delegate] plugins`
    DelegatePlugins,
}

const LINKS: &[&str] = &[
    "links/set-up",
    "links/set-mtu",
    "links/set-mac",
    "links/set-master",
    "links/set-promiscuous",
    "links/set-alias",
    "links/delete",
    "links/create-veth",
    "links/ensure-bridge",
    "links/create-ifb",
    "bridge-ports/set-hairpin",
    "bridge-ports/set-isolated",
    "bridge-ports/add-vlan",
    "bridge-ports/remove-vlan",
    "addresses/add",
    "addresses/remove",
    "addresses/announce",
    "neighbours/set",
    "neighbours/remove",
    "filter/anti-spoof",
];
/// What can be asked of links in the container: filters are the host's.
const CONTAINER_LINKS: &[&str] = match LINKS.split_last() {
    Some((_filter, rest)) => rest,
    None => LINKS,
};
const ADDRESSES: &[&str] = &["addresses/add", "addresses/remove"];
const ROUTES: &[&str] = &["routes/add", "routes/remove"];
const NEIGHBOURS: &[&str] = &["neighbours/set", "neighbours/remove"];
const SYSCTL: &[&str] = &["sysctl/read", "sysctl/write"];
const SHAPING: &[&str] = &["shaping/set-egress", "shaping/redirect-ingress", "shaping/clear"];

impl Key {
    /// All, in the order in which a file has them.
    pub const ALL: [Self; 17] = [
        Self::LinkNames,
        Self::LinkContainerNames,
        Self::Vlans,
        Self::AddressCidrs,
        Self::AddressContainerCidrs,
        Self::RouteCidrs,
        Self::RouteContainerCidrs,
        Self::NeighbourCidrs,
        Self::NeighbourContainerCidrs,
        Self::SysctlKeys,
        Self::SysctlContainerKeys,
        Self::HostPorts,
        Self::NatCidrs,
        Self::ShapingNames,
        Self::ShapingContainerNames,
        Self::LeaseCidrs,
        Self::DelegatePlugins,
    ];

    /// The table that it stands in.
    pub fn table(self) -> &'static str {
        match self {
            Self::LinkNames | Self::LinkContainerNames => "links",
            Self::Vlans => "bridge-ports",
            Self::AddressCidrs | Self::AddressContainerCidrs => "addresses",
            Self::RouteCidrs | Self::RouteContainerCidrs => "routes",
            Self::NeighbourCidrs | Self::NeighbourContainerCidrs => "neighbours",
            Self::SysctlKeys | Self::SysctlContainerKeys => "sysctl",
            Self::HostPorts | Self::NatCidrs => "nat",
            Self::ShapingNames | Self::ShapingContainerNames => "shaping",
            Self::LeaseCidrs => "leases",
            Self::DelegatePlugins => "delegate",
        }
    }

    /// Its own name.
    pub fn name(self) -> &'static str {
        match self {
            Self::LinkNames | Self::ShapingNames => "names",
            Self::LinkContainerNames | Self::ShapingContainerNames => "container-names",
            Self::Vlans => "vlans",
            Self::AddressCidrs
            | Self::RouteCidrs
            | Self::NeighbourCidrs
            | Self::NatCidrs
            | Self::LeaseCidrs => "cidrs",
            Self::AddressContainerCidrs | Self::RouteContainerCidrs | Self::NeighbourContainerCidrs => {
                "container-cidrs"
            }
            Self::SysctlKeys => "keys",
            Self::SysctlContainerKeys => "container-keys",
            Self::HostPorts => "host-ports",
            Self::DelegatePlugins => "plugins",
        }
    }

    /// What it bounds.
    pub fn words(self) -> &'static str {
        match self {
            Self::LinkNames => "links of the host that may be made and changed",
            Self::LinkContainerNames => "links inside the container that may be made and changed",
            Self::Vlans => "VLANs that a bridge port may get",
            Self::AddressCidrs => "addresses of the host's links",
            Self::AddressContainerCidrs => "addresses of the container's links",
            Self::RouteCidrs => "where routes of the host may lead",
            Self::RouteContainerCidrs => "where routes of the container may lead",
            Self::NeighbourCidrs => "entries of the host's ARP and NDP tables",
            Self::NeighbourContainerCidrs => "entries of the container's ARP and NDP tables",
            Self::SysctlKeys => "kernel parameters of the host, below /proc/sys/net",
            Self::SysctlContainerKeys => "kernel parameters of the container, below /proc/sys/net",
            Self::HostPorts => "ports of the host that may lead to the container",
            Self::NatCidrs => "addresses that may be masqueraded, and that ports may lead to",
            Self::ShapingNames => "links of the host whose traffic may be limited and redirected",
            Self::ShapingContainerNames => {
                "links inside the container whose traffic may be limited and redirected"
            }
            Self::LeaseCidrs => "addresses that may be given out",
            Self::DelegatePlugins => "plugins that may be delegated to, if the configuration names them",
        }
    }

    /// The operations that it bounds.
    pub fn operations(self) -> &'static [&'static str] {
        match self {
            Self::LinkNames => LINKS,
            Self::LinkContainerNames => CONTAINER_LINKS,
            Self::Vlans => &["bridge-ports/add-vlan"],
            Self::AddressCidrs | Self::AddressContainerCidrs => ADDRESSES,
            Self::RouteCidrs | Self::RouteContainerCidrs => ROUTES,
            Self::NeighbourCidrs | Self::NeighbourContainerCidrs => NEIGHBOURS,
            Self::SysctlKeys | Self::SysctlContainerKeys => SYSCTL,
            Self::HostPorts => &["nat/forward-ports", "conntrack/flush-udp"],
            Self::NatCidrs => &["nat/masquerade", "nat/forward-ports"],
            Self::ShapingNames | Self::ShapingContainerNames => SHAPING,
            Self::LeaseCidrs => &["leases/try-reserve", "leases/reserve-next"],
            Self::DelegatePlugins => {
                &["delegate/add", "delegate/check", "delegate/del", "delegate/status", "delegate/gc"]
            }
        }
    }

    /// The keys that bound an operation.
    pub fn of(operation: &str) -> impl Iterator<Item = Self> {
        Self::ALL.into_iter().filter(move |key| key.operations().contains(&operation))
    }
}

/// As in `[links] names`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.table(), self.name())
    }
}

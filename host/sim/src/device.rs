//! One network device.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use wharf_ops::bridge_ports::PortState;
use wharf_ops::links::Info;
use wharf_ops::{Link, Mac, Ns};

use crate::bridge_ports::Vlans;
use crate::shaping::{Ingress, Root};
use crate::sysctl::{Conf, Sysctls};
use crate::world::At;

/// What kind of device it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Loopback,
    Veth {
        peer: At,
    },
    Bridge {
        vlan_filtering: bool,
        /// Whether it has looked for ports that forward. It does when its hardware address changes; before, it takes
        /// itself for connected.
        looked: bool,
    },
    Ifb,
    /// One that Wharf does not make: its IFLA_INFO_KIND, empty for hardware.
    Other(String),
}

impl Kind {
    /// IFLA_INFO_KIND.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Loopback => "",
            Self::Veth { .. } => "veth",
            Self::Bridge { .. } => "bridge",
            Self::Ifb => "ifb",
            Self::Other(kind) => kind,
        }
    }

    /// The lowest and the highest MTU.
    pub(crate) fn mtus(&self) -> (u32, u32) {
        match self {
            Self::Loopback | Self::Ifb => (0, i32::MAX.cast_unsigned()),
            Self::Veth { .. } | Self::Bridge { .. } | Self::Other(_) => (68, 65535),
        }
    }

    /// IFF_NOARP: nobody is asked for, and no address is checked for duplicates.
    pub(crate) fn no_arp(&self) -> bool {
        matches!(self, Self::Loopback | Self::Ifb)
    }
}

/// An interface address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) address: IpNetwork,
    /// rtnetlink's scope: 0 universe, 253 link, 254 host.
    pub(crate) scope: u8,
    /// IPv4: another address of the same network came first.
    pub(crate) secondary: bool,
    /// IPv6: duplicate address detection has not begun or has not ended.
    pub(crate) tentative: bool,
}

/// A device and everything that goes with it.
#[derive(Clone, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "the kernel's flags are independent of each other")]
pub(crate) struct Device {
    pub(crate) index: u32,
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) mac: Mac,
    /// Whether somebody chose it: a bridge's own follows its ports otherwise.
    pub(crate) mac_is_set: bool,
    pub(crate) mtu: u32,
    /// As with the hardware address.
    pub(crate) mtu_is_set: bool,
    pub(crate) up: bool,
    pub(crate) promiscuous: bool,
    pub(crate) alias: Option<String>,
    pub(crate) master: Option<u32>,
    pub(crate) port: PortState,
    pub(crate) vlans: Vlans,
    pub(crate) v4: Vec<Held>,
    pub(crate) v6: Vec<Held>,
    /// Permanent entries.
    pub(crate) neighbours: BTreeMap<IpAddr, Mac>,
    pub(crate) root: Option<Root>,
    pub(crate) ingress: Option<Ingress>,
    /// ipv4/conf and ipv6/conf of the device; none while its MTU is too low for the protocol.
    pub(crate) conf4: Option<Conf>,
    pub(crate) conf6: Option<Conf>,
    /// Whether IPv6 has seen it with a carrier since it is up.
    pub(crate) ready: bool,
}

impl Device {
    /// A new one, down.
    pub(crate) fn new(index: u32, name: &str, kind: Kind, mac: Mac, sysctls: &Sysctls) -> Self {
        let loopback = kind == Kind::Loopback;
        Self {
            index,
            name: name.to_owned(),
            mtu: if loopback { 65536 } else { 1500 },
            mac,
            mac_is_set: false,
            mtu_is_set: false,
            up: false,
            promiscuous: false,
            alias: None,
            master: None,
            port: PortState { hairpin: false, isolated: false },
            vlans: Vlans::default(),
            v4: Vec::new(),
            v6: Vec::new(),
            neighbours: BTreeMap::new(),
            root: None,
            ingress: None,
            conf4: Some(sysctls.conf4(&kind)),
            conf6: Some(sysctls.conf6(&kind)),
            ready: false,
            kind,
        }
    }

    /// Its handle.
    pub(crate) fn handle(&self, ns: Ns) -> Link {
        Link { ns, index: self.index, name: self.name.clone() }
    }

    /// What the kernel says about it.
    pub(crate) fn info(&self, operational: bool) -> Info {
        Info {
            index: self.index,
            name: self.name.clone(),
            kind: self.kind.name().to_owned(),
            mac: Some(self.mac),
            mtu: self.mtu,
            up: self.up,
            operational,
            promiscuous: self.promiscuous,
            master: self.master,
            peer: match self.kind {
                Kind::Veth { peer } => Some(peer.index),
                _ => None,
            },
            alias: self.alias.clone(),
        }
    }

    /// Whether IPv6 works on it.
    pub(crate) fn has_ipv6(&self) -> bool {
        self.conf6.as_ref().is_some_and(|conf| conf.get("disable_ipv6") == 0)
    }

    /// Every address, as the kernel lists them.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = &Held> {
        self.v4.iter().chain(&self.v6)
    }
}

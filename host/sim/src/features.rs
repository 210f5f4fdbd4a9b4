//! What the simulated kernel was built with.

use wharf_ops::nat::Backend;
use wharf_ops::{Error, ErrorKind};

/// What there is, and what could be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::struct_excessive_bools, reason = "options of a kernel are independent of each other")]
pub struct Features {
    /// CONFIG_BRIDGE_VLAN_FILTERING.
    pub vlan_filtering: bool,
    /// CONFIG_BRIDGE_NETFILTER: rules also see what a bridge carries.
    pub bridge_netfilter: bool,
    /// CONFIG_NF_TABLES.
    pub nftables: bool,
    /// Whether the program for iptables-legacy is installed, which is needed without nf_tables.
    pub iptables: bool,
}

impl Default for Features {
    /// A kernel that has everything.
    fn default() -> Self {
        Self { vlan_filtering: true, bridge_netfilter: true, nftables: true, iptables: true }
    }
}

impl Features {
    /// The firewall that this machine has.
    pub(crate) fn firewall(self) -> Result<Backend, Error> {
        match (self.nftables, self.iptables) {
            (true, _) => Ok(Backend::Nftables),
            (false, true) => Ok(Backend::Iptables),
            (false, false) => Err(Error::new(
                ErrorKind::Unsupported,
                "this host can render neither nftables nor iptables rules: its kernel has no nf_tables, and there is no \
                 iptables-legacy-restore. Load the module nf_tables, or install iptables",
            )),
        }
    }
}

//! Where mapped ports lead to: the container's addresses in the result of the plugins before.

use std::net::IpAddr;

use wharf_sdk::{IpNetwork, NetworkResult};

/// The first address of each family.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Target {
    /// With the prefixes of their subnets.
    pub(crate) addresses: Vec<IpNetwork>,
}

impl Target {
    /// The addresses of the container's interface, or of no listed one.
    pub(crate) fn of(previous: &NetworkResult, ifname: &str) -> Self {
        let first = |v4: bool| {
            let mut addresses = previous.ips_of(ifname).map(|ip| ip.address);
            addresses.find(|address| address.is_ipv4() == v4)
        };
        Self { addresses: [first(true), first(false)].into_iter().flatten().collect() }
    }

    /// The IPv4 address.
    pub(crate) fn v4(&self) -> Option<IpAddr> {
        self.addresses.iter().find(|address| address.is_ipv4()).map(IpNetwork::ip)
    }

    /// The subnets, whose traffic to a mapped port comes back the way it went in.
    pub(crate) fn subnets(&self) -> Vec<IpNetwork> {
        let subnet =
            |address: &IpNetwork| IpNetwork::new(address.network(), address.prefix()).unwrap_or(*address);
        self.addresses.iter().map(subnet).collect()
    }
}

//! Addresses as text. IPv4-mapped IPv6 addresses are read and printed as IPv4, as the reference does.

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Serialize, Serializer};

/// Reads `address/prefix`; host bits are kept. `None` when it is anything else: no bare address, no netmask,
/// no zone.
#[must_use]
pub fn parse_cidr(text: &str) -> Option<IpNetwork> {
    let (address, prefix) = text.split_once('/')?;
    if prefix.is_empty() || prefix.len() > 3 || !prefix.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    canonical(IpNetwork::new(address.parse().ok()?, prefix.parse().ok()?).ok()?)
}

/// Reads an address.
#[must_use]
pub fn parse_address(text: &str) -> Option<IpAddr> {
    text.parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// The network with an IPv4-mapped address made IPv4. `None` when the prefix is shorter than the mapping.
fn canonical(network: IpNetwork) -> Option<IpNetwork> {
    let address = network.ip().to_canonical();
    if address.is_ipv4() == network.is_ipv4() {
        return Some(network);
    }
    IpNetwork::new(address, network.prefix().checked_sub(96)?).ok()
}

/// A network that serialises as `address/prefix`.
pub(super) struct Cidr(pub(super) IpNetwork);

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let network = canonical(self.0).unwrap_or(self.0);
        write!(f, "{}/{}", network.ip(), network.prefix())
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An address that serialises as its text.
pub(super) struct Address(pub(super) IpAddr);

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0.to_canonical())
    }
}

/// Whether the network is IPv4 once printed.
pub(super) fn is_v4(network: IpNetwork) -> bool {
    canonical(network).unwrap_or(network).is_ipv4()
}

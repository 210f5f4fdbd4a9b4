//! The nftables backend: intent to expressions, in tables of Wharf's own.
//!
//! `inet wharf` maps ports, `inet wharf-masquerade` masquerades, `bridge wharf` filters frames. What an attachment
//! has is a chain named by a hash of the attachment, and map elements that jump to it; `base` says how they are
//! reached, `parts` how they come and go, `owner` whose they are.

mod base;
pub(crate) mod encode;
mod forwards;
mod in_force;
mod masquerades;
mod parts;
pub(crate) mod query;
mod reference;
mod reference_guards;
mod spoof;
pub(crate) mod taken_over;
pub(crate) mod transaction;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnetwork::IpNetwork;

pub(crate) use crate::common::nftables::{conditions, expr, owner};
pub(crate) use crate::common::protocol_number;
pub(crate) use forwards::{forward, get_forwards, protocol as protocol_of, remove_forwards};
pub(crate) use masquerades::{get_masquerades, masquerade, remove_masquerades};
pub(crate) use parts::{owners, remove_all};
#[cfg(test)]
pub(crate) use reference::hash as sha512_16;
pub(crate) use reference::{reference_leftovers, remove_reference_rule};
pub(crate) use reference_guards::{reference_guards, remove_reference_guard};
pub(crate) use spoof::{get_guard, guard, remove_guards};

/// What never leaves a host.
pub(crate) fn loopback() -> IpNetwork {
    // The prefix fits.
    IpNetwork::new(Ipv4Addr::new(127, 0, 0, 0).into(), 8)
        .unwrap_or_else(|_| IpAddr::from(Ipv4Addr::LOCALHOST).into())
}

/// What is never masqueraded.
pub(crate) fn multicast(v4: bool) -> IpNetwork {
    let (address, prefix): (IpAddr, u8) = if v4 {
        (Ipv4Addr::new(224, 0, 0, 0).into(), 4)
    } else {
        (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0).into(), 8)
    };
    // Both prefixes fit their family.
    IpNetwork::new(address, prefix).unwrap_or_else(|_| address.into())
}

//! The nftables backend: intent to expressions, in tables of Wharf's own.
//!
//! `inet wharf` translates addresses, `bridge wharf` filters frames. What an attachment has is a chain named by a
//! hash of the attachment, and map elements that jump to it; `base` says how they are reached, `parts` how they
//! come and go, `owner` whose they are.

mod base;
pub(crate) mod conditions;
pub(crate) mod encode;
pub(crate) mod expr;
mod forwards;
mod masquerades;
pub(crate) mod owner;
mod parts;
pub(crate) mod query;
mod spoof;
pub(crate) mod transaction;

use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
use std::net::{Ipv4Addr, Ipv6Addr};

pub(crate) use forwards::{
    forward, get_forwards, number as protocol_number, protocol as protocol_of, remove_forwards,
};
pub(crate) use masquerades::{get_masquerades, masquerade, remove_masquerades};
pub(crate) use parts::{owners, remove_all};
pub(crate) use spoof::{get_guard, guard, remove_guards};

/// What is never masqueraded.
pub(crate) fn multicast(v4: bool) -> IpNetwork {
    if v4 {
        Ipv4Network::new_checked(Ipv4Addr::new(224, 0, 0, 0), 4).map_or_else(any_v4, IpNetwork::V4)
    } else {
        Ipv6Network::new_checked(Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8).map_or_else(any_v6, IpNetwork::V6)
    }
}

fn any_v4() -> IpNetwork {
    IpNetwork::from(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED))
}

fn any_v6() -> IpNetwork {
    IpNetwork::from(std::net::IpAddr::V6(Ipv6Addr::UNSPECIFIED))
}

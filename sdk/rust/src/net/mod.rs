//! Namespaces, links, addresses, routes, neighbours and sysctls.
//!
//! A [`Netns`] is lent to the guest for one call; everything else is reached through it.

mod addresses;
mod bridge_ports;
mod links;
mod neighbours;
mod routes;
mod sysctl;

pub use bridge_ports::{PortState, VlanRange};
pub use links::{Bridge, Link, LinkCommon, LinkInfo, VethEnd};
pub use neighbours::Neighbour;
pub use routes::Route;

pub use crate::bindings::wharf::net::netns::Netns;

//! What an operation answers.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Serialize};

use crate::bridge_ports::{PortState, VlanRange};
use crate::call::{CniError, NetworkResult};
use crate::leases::Lease;
use crate::links::Info;
use crate::nat::{Backend, MasqueradeRule, PortForward};
use crate::neighbours::Neighbour;
use crate::routes::Route;
use crate::shaping::Rate;
use crate::{Error, Link, Mac};

/// The answer to an [`Op`](crate::Op) that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Nothing but success.
    Done,
    /// A link.
    Link(Link),
    /// A link, if there is one.
    MaybeLink(Option<Link>),
    /// Both ends of a veth.
    Pair(Link, Link),
    /// A bridge, and whether it is new.
    Bridge(Link, bool),
    /// State of a link.
    Info(Info),
    /// State of all links.
    Infos(Vec<Info>),
    /// State of a bridge port.
    Port(PortState),
    /// VLANs of a bridge port.
    Vlans(Vec<VlanRange>),
    /// Interface addresses.
    Addresses(Vec<IpNetwork>),
    /// Routes.
    Routes(Vec<Route>),
    /// A route, if there is one.
    MaybeRoute(Option<Route>),
    /// Neighbours.
    Neighbours(Vec<Neighbour>),
    /// A text.
    Text(String),
    /// A firewall backend.
    Backend(Backend),
    /// Masquerades.
    Masquerades(Vec<MasqueradeRule>),
    /// Port forwards.
    Forwards(Vec<PortForward>),
    /// A hardware address, if there is one.
    MaybeMac(Option<Mac>),
    /// How many, if the kernel tells.
    Count(Option<u32>),
    /// A token bucket, if there is one.
    MaybeRate(Option<Rate>),
    /// An interface index, if there is one.
    MaybeIndex(Option<u32>),
    /// An open pool.
    Pool(u32),
    /// Yes or no.
    Flag(bool),
    /// An address, if there is one.
    MaybeAddress(Option<IpAddr>),
    /// Addresses without prefixes.
    Hosts(Vec<IpAddr>),
    /// Leases.
    Leases(Vec<Lease>),
    /// A delegate's result.
    Result(NetworkResult),
    /// A delegate's error.
    Refused(CniError),
}

macro_rules! accessors {
    ($($(#[$doc:meta])* $name:ident: $variant:ident($value:ident) -> $type:ty;)*) => {
        impl Reply {
            $($(#[$doc])*
            pub fn $name(self) -> Result<$type, Error> {
                match self {
                    Self::$variant($value) => Ok($value),
                    other => Err(other.unexpected(stringify!($variant))),
                }
            })*
        }
    };
}

accessors! {
    /// The link in it.
    link: Link(value) -> Link;
    /// The link in it, if any.
    maybe_link: MaybeLink(value) -> Option<Link>;
    /// The link state in it.
    info: Info(value) -> Info;
    /// The link states in it.
    infos: Infos(value) -> Vec<Info>;
    /// The port state in it.
    port: Port(value) -> PortState;
    /// The VLANs in it.
    vlans: Vlans(value) -> Vec<VlanRange>;
    /// The addresses in it.
    addresses: Addresses(value) -> Vec<IpNetwork>;
    /// The routes in it.
    routes: Routes(value) -> Vec<Route>;
    /// The route in it, if any.
    maybe_route: MaybeRoute(value) -> Option<Route>;
    /// The neighbours in it.
    neighbours: Neighbours(value) -> Vec<Neighbour>;
    /// The text in it.
    text: Text(value) -> String;
    /// The backend in it.
    backend: Backend(value) -> Backend;
    /// The masquerades in it.
    masquerades: Masquerades(value) -> Vec<MasqueradeRule>;
    /// The forwards in it.
    forwards: Forwards(value) -> Vec<PortForward>;
    /// The hardware address in it, if any.
    maybe_mac: MaybeMac(value) -> Option<Mac>;
    /// The count in it, if any.
    count: Count(value) -> Option<u32>;
    /// The token bucket in it, if any.
    maybe_rate: MaybeRate(value) -> Option<Rate>;
    /// The index in it, if any.
    maybe_index: MaybeIndex(value) -> Option<u32>;
    /// The pool in it.
    pool: Pool(value) -> u32;
    /// The flag in it.
    flag: Flag(value) -> bool;
    /// The address in it, if any.
    maybe_address: MaybeAddress(value) -> Option<IpAddr>;
    /// The addresses in it.
    hosts: Hosts(value) -> Vec<IpAddr>;
    /// The leases in it.
    leases: Leases(value) -> Vec<Lease>;
}

impl Reply {
    /// Success without a value.
    pub fn done(self) -> Result<(), Error> {
        match self {
            Self::Done => Ok(()),
            other => Err(other.unexpected("Done")),
        }
    }

    /// Both ends of a veth.
    pub fn pair(self) -> Result<(Link, Link), Error> {
        match self {
            Self::Pair(a, b) => Ok((a, b)),
            other => Err(other.unexpected("Pair")),
        }
    }

    /// A bridge, and whether it is new.
    pub fn bridge(self) -> Result<(Link, bool), Error> {
        match self {
            Self::Bridge(link, new) => Ok((link, new)),
            other => Err(other.unexpected("Bridge")),
        }
    }

    fn unexpected(&self, wanted: &str) -> Error {
        Error::internal(format!("the broker answered {self:?} where {wanted} belongs"))
    }
}

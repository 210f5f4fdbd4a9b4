//! WIT data to the types of `wharf-ops` and back. What a guest says is checked here, once.

#![allow(
    clippy::many_single_char_names,
    reason = "addresses are tuples in WIT, and their parts have no names"
)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use wharf_ops::{Error, ErrorKind, IpNetwork, Mac, links};

use crate::bindings::wharf::net::links as wit_links;
use crate::bindings::wharf::types::errors as wit_errors;
use crate::bindings::wharf::types::ip as wit;

pub(crate) fn address(from: wit::Address) -> IpAddr {
    match from {
        wit::Address::V4((a, b, c, d)) => Ipv4Addr::new(a, b, c, d).into(),
        wit::Address::V6((a, b, c, d, e, f, g, h)) => Ipv6Addr::new(a, b, c, d, e, f, g, h).into(),
    }
}

pub(crate) fn to_address(from: IpAddr) -> wit::Address {
    match from {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            wit::Address::V4((a, b, c, d))
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.segments();
            wit::Address::V6((a, b, c, d, e, f, g, h))
        }
    }
}

/// An address with its prefix, which must not be longer than the address.
pub(crate) fn cidr(from: wit::Cidr) -> Result<IpNetwork, Error> {
    let host = address(from.address);
    let longest = if host.is_ipv4() { 32 } else { 128 };
    IpNetwork::new(host, from.prefix)
        .map_err(|_| Error::invalid(format!("{host}/{}: the prefix must be 0 to {longest}", from.prefix)))
}

pub(crate) fn cidrs(from: Vec<wit::Cidr>) -> Result<Vec<IpNetwork>, Error> {
    from.into_iter().map(cidr).collect()
}

pub(crate) fn to_cidr(from: IpNetwork) -> wit::Cidr {
    wit::Cidr { address: to_address(from.ip()), prefix: from.prefix() }
}

pub(crate) fn mac(from: wit::Mac) -> Mac {
    let (a, b, c, d, e, f) = from;
    Mac([a, b, c, d, e, f])
}

pub(crate) fn to_mac(from: Mac) -> wit::Mac {
    let [a, b, c, d, e, f] = from.0;
    (a, b, c, d, e, f)
}

impl From<Error> for wit_errors::Error {
    fn from(error: Error) -> Self {
        let Error { kind, errno, operation, message } = error;
        Self { kind: kind.into(), errno, operation, message }
    }
}

impl From<ErrorKind> for wit_errors::Kind {
    fn from(kind: ErrorKind) -> Self {
        match kind {
            ErrorKind::Denied => Self::Denied,
            ErrorKind::NotFound => Self::NotFound,
            ErrorKind::AlreadyExists => Self::AlreadyExists,
            ErrorKind::Invalid => Self::Invalid,
            ErrorKind::Busy => Self::Busy,
            ErrorKind::Unsupported => Self::Unsupported,
            ErrorKind::Exhausted => Self::Exhausted,
            ErrorKind::TimedOut => Self::TimedOut,
            ErrorKind::Conflict => Self::Conflict,
            ErrorKind::Io => Self::Io,
            ErrorKind::Internal => Self::Internal,
        }
    }
}

impl From<links::Info> for wit_links::Info {
    fn from(from: links::Info) -> Self {
        Self {
            index: from.index,
            name: from.name,
            kind: from.kind,
            mac: from.mac.map(to_mac),
            mtu: from.mtu,
            up: from.up,
            operational: from.operational,
            promiscuous: from.promiscuous,
            master: from.master,
            peer: from.peer,
            alias: from.alias,
        }
    }
}

impl From<wit_links::Common> for links::Common {
    fn from(from: wit_links::Common) -> Self {
        Self { name: from.name, mtu: from.mtu, mac: from.mac.map(mac) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_both_ways() {
        for text in ["10.1.2.3/24", "0.0.0.0/0", "2001:db8::1/64", "::/0", "255.255.255.255/32"] {
            let network: IpNetwork = text.parse().unwrap();
            assert_eq!(cidr(to_cidr(network)).unwrap(), network);
        }
        let hardware: Mac = "02:42:ac:11:00:ff".parse().unwrap();
        assert_eq!(mac(to_mac(hardware)), hardware);
    }

    #[test]
    fn a_prefix_longer_than_the_address_is_invalid() {
        for (host, prefix) in [("10.0.0.1", 33), ("::1", 129), ("10.0.0.1", 255)] {
            let host: IpAddr = host.parse().unwrap();
            let error = cidr(wit::Cidr { address: to_address(host), prefix }).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid);
            assert!(error.message.contains(&format!("{host}/{prefix}")), "{error}");
        }
    }
}

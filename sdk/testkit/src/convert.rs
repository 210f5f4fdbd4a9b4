//! The SDK's generated types to those of `wharf-ops` and back.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use wharf_ops::{Error, ErrorKind, Link, Mac, Ns, links};
use wharf_sdk::HostErrorKind as Kind;
use wharf_sdk::native::wit::net::links as wit_links;
use wharf_sdk::native::wit::types::{errors, ip};
use wharf_sdk::native::{self, Side};

pub(crate) fn ns(side: Side) -> Ns {
    match side {
        Side::Host => Ns::Host,
        Side::Container => Ns::Container,
    }
}

fn side(ns: Ns) -> Side {
    match ns {
        Ns::Host => Side::Host,
        Ns::Container => Side::Container,
    }
}

pub(crate) fn link(from: &native::Link) -> Link {
    Link { ns: ns(from.side), index: from.index, name: from.name.clone() }
}

pub(crate) fn to_link(from: Link) -> native::Link {
    native::Link { side: side(from.ns), index: from.index, name: from.name }
}

pub(crate) fn mac(from: ip::Mac) -> Mac {
    Mac(from.into())
}

pub(crate) fn to_mac(from: Mac) -> ip::Mac {
    from.0.into()
}

pub(crate) fn cidrs(from: &[ip::Cidr]) -> Vec<IpNetwork> {
    from.iter().copied().map(Into::into).collect()
}

pub(crate) fn to_cidrs(from: Vec<IpNetwork>) -> Vec<ip::Cidr> {
    from.into_iter().map(Into::into).collect()
}

pub(crate) fn addresses(from: &[ip::Address]) -> Vec<IpAddr> {
    from.iter().copied().map(Into::into).collect()
}

pub(crate) fn common(from: &wit_links::Common) -> links::Common {
    links::Common { name: from.name.clone(), mtu: from.mtu, mac: from.mac.map(mac) }
}

pub(crate) fn to_info(from: links::Info) -> wit_links::Info {
    wit_links::Info {
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

pub(crate) fn to_error(from: Error) -> errors::Error {
    let Error { kind, errno, operation, message } = from;
    errors::Error { kind: to_kind(kind), errno, operation, message }
}

pub(crate) fn from_kind(kind: Kind) -> ErrorKind {
    match kind {
        Kind::Denied => ErrorKind::Denied,
        Kind::NotFound => ErrorKind::NotFound,
        Kind::AlreadyExists => ErrorKind::AlreadyExists,
        Kind::Invalid => ErrorKind::Invalid,
        Kind::Busy => ErrorKind::Busy,
        Kind::Unsupported => ErrorKind::Unsupported,
        Kind::Exhausted => ErrorKind::Exhausted,
        Kind::TimedOut => ErrorKind::TimedOut,
        Kind::Conflict => ErrorKind::Conflict,
        Kind::Io => ErrorKind::Io,
        Kind::Internal => ErrorKind::Internal,
    }
}

fn to_kind(kind: ErrorKind) -> Kind {
    match kind {
        ErrorKind::Denied => Kind::Denied,
        ErrorKind::NotFound => Kind::NotFound,
        ErrorKind::AlreadyExists => Kind::AlreadyExists,
        ErrorKind::Invalid => Kind::Invalid,
        ErrorKind::Busy => Kind::Busy,
        ErrorKind::Unsupported => Kind::Unsupported,
        ErrorKind::Exhausted => Kind::Exhausted,
        ErrorKind::TimedOut => Kind::TimedOut,
        ErrorKind::Conflict => Kind::Conflict,
        ErrorKind::Io => Kind::Io,
        ErrorKind::Internal => Kind::Internal,
    }
}

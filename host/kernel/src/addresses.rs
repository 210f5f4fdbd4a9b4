//! `wharf:net/addresses`: interface addresses over rtnetlink.

mod announce;
mod settle;

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use wharf_ops::addresses::AddressOp;
use wharf_ops::{Error, ErrorKind, Link, Reply};

use crate::links::{describe, index, index_if_there};
use crate::netlink::{CREATE, EXCL, Message, NetlinkError, Socket};
use crate::real::RealKernel;

/// sizeof(struct ifaddrmsg).
const HEADER: usize = 8;

/// Carries out one operation.
pub(crate) fn apply(kernel: &mut RealKernel, op: &AddressOp) -> Result<Reply, Error> {
    match op {
        AddressOp::Add { on, address } => add(kernel, on, *address),
        AddressOp::Remove { on, address } => remove(kernel, on, *address),
        AddressOp::GetAll { on } => get_all(kernel, on),
        AddressOp::Settle { on } => settle::settle(kernel, on),
        AddressOp::Announce { on } => announce::announce(kernel, on),
    }
}

fn add(kernel: &mut RealKernel, on: &Link, address: IpNetwork) -> Result<Reply, Error> {
    let request = message(index(kernel, on)?, address);
    let result = kernel.route(on.ns)?.request(libc::RTM_NEWADDR, CREATE | EXCL, |body| {
        body.emit(&request);
    });
    let Err(error) = result else { return Ok(Reply::Done) };
    let error = error.explain(format!("adding the address {address} to {}", describe(on)));
    Err(match error.errno {
        // Not the caller's rights are meant.
        Some(libc::EACCES) if address.is_ipv6() => {
            let message = format!("{}: IPv6 is disabled there: set disable_ipv6 to 0 first", error.message);
            Error { kind: ErrorKind::Unsupported, message, ..error }
        }
        _ => error,
    })
}

fn remove(kernel: &mut RealKernel, on: &Link, address: IpNetwork) -> Result<Reply, Error> {
    if !kernel.has(on.ns) {
        return Ok(Reply::Done);
    }
    let Some(index) = index_if_there(kernel, on)? else { return Ok(Reply::Done) };
    let request = message(index, address);
    let result = kernel.route(on.ns)?.request(libc::RTM_DELADDR, 0, |body| {
        body.emit(&request);
    });
    match result {
        Err(error) if !matches!(error.errno(), Some(libc::EADDRNOTAVAIL | libc::ENODEV | libc::ENXIO)) => {
            Err(error.explain(format!("removing the address {address} from {}", describe(on))))
        }
        _ => Ok(Reply::Done),
    }
}

fn get_all(kernel: &mut RealKernel, on: &Link) -> Result<Reply, Error> {
    let index = index(kernel, on)?;
    let found = list(kernel.route(on.ns)?, index, AddressFamily::Unspec);
    let found = found.map_err(|error| error.explain(format!("listing the addresses of {}", describe(on))))?;
    Ok(Reply::Addresses(found.into_iter().map(|held| held.address).collect()))
}

/// An address and what state it is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Held {
    address: IpNetwork,
    flags: u32,
}

fn list(socket: &mut Socket, index: u32, family: AddressFamily) -> Result<Vec<Held>, NetlinkError> {
    let mut request = AddressMessage::default();
    request.header.family = family;
    request.header.index = index;
    socket.dump(
        libc::RTM_GETADDR,
        |body| {
            body.emit(&request);
        },
        |message| held(message, index),
    )
}

fn held(message: &Message<'_>, index: u32) -> Option<Held> {
    if message.kind != libc::RTM_NEWADDR || u32::from_ne_bytes(message.bytes(4)?) != index {
        return None;
    }
    let [_family, prefix, flags, _scope] = message.bytes(0)?;
    let mut held = (None, None, u32::from(flags));
    for attribute in message.attributes(HEADER) {
        match attribute.kind {
            libc::IFA_LOCAL => held.0 = attribute.ip(),
            libc::IFA_ADDRESS => held.1 = attribute.ip(),
            libc::IFA_FLAGS => held.2 = attribute.u32()?,
            _ => {}
        }
    }
    // IFA_ADDRESS is the other side of a point-to-point address.
    let address = IpNetwork::new(held.0.or(held.1)?, prefix).ok()?;
    Some(Held { address, flags: held.2 })
}

fn message(index: u32, address: IpNetwork) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.prefix_len = address.prefix();
    message.header.index = index;
    message.attributes = vec![AddressAttribute::Local(address.ip()), AddressAttribute::Address(address.ip())];
    message.attributes.extend(broadcast(address).map(AddressAttribute::Broadcast));
    message
}

/// Of an IPv4 network that has one: point-to-point links and single addresses do not (RFC 3021).
fn broadcast(address: IpNetwork) -> Option<Ipv4Addr> {
    match (address.ip(), address.broadcast()) {
        (IpAddr::V4(_), IpAddr::V4(broadcast)) if address.prefix() < 31 => Some(broadcast),
        _ => None,
    }
}

#[cfg(test)]
mod tests;

//! `wharf:net/neighbours`: the ARP and NDP tables over rtnetlink.

use std::net::IpAddr;

use netlink_packet_route::AddressFamily;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourMessage, NeighbourState};
use netlink_packet_route::route::RouteType;
use wharf_ops::neighbours::{Neighbour, NeighbourOp};
use wharf_ops::{Error, Link, Mac, Reply};

use crate::links::{describe, index, index_if_there};
use crate::netlink::{CREATE, Message, REPLACE};
use crate::real::RealKernel;

/// sizeof(struct ndmsg).
const HEADER: usize = 12;
const NUD_NOARP: u16 = 0x40;
const NUD_PERMANENT: u16 = 0x80;
/// NDA_IFINDEX, as a filter of a dump.
const NDA_IFINDEX: u16 = 8;

/// Carries out one operation.
pub(crate) fn apply(kernel: &mut RealKernel, op: &NeighbourOp) -> Result<Reply, Error> {
    match op {
        NeighbourOp::Set { on, address, mac } => set(kernel, on, *address, *mac),
        NeighbourOp::Remove { on, address } => remove(kernel, on, *address),
        NeighbourOp::GetAll { on } => get_all(kernel, on),
    }
}

fn set(kernel: &mut RealKernel, on: &Link, address: IpAddr, mac: Mac) -> Result<Reply, Error> {
    let mut request = message(index(kernel, on)?, address);
    request.header.state = NeighbourState::Permanent;
    request.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    let result = kernel.route(on.ns)?.request(libc::RTM_NEWNEIGH, CREATE | REPLACE, |body| {
        body.emit(&request);
    });
    let what = || format!("setting the neighbour {address} at {mac} on {}", describe(on));
    result.map(|()| Reply::Done).map_err(|error| error.explain(what()))
}

fn remove(kernel: &mut RealKernel, on: &Link, address: IpAddr) -> Result<Reply, Error> {
    if !kernel.has(on.ns) {
        return Ok(Reply::Done);
    }
    let Some(index) = index_if_there(kernel, on)? else { return Ok(Reply::Done) };
    let request = message(index, address);
    let result = kernel.route(on.ns)?.request(libc::RTM_DELNEIGH, 0, |body| {
        body.emit(&request);
    });
    match result {
        Err(error) if !matches!(error.errno(), Some(libc::ENOENT | libc::ENODEV | libc::ENXIO)) => {
            Err(error.explain(format!("removing the neighbour {address} from {}", describe(on))))
        }
        _ => Ok(Reply::Done),
    }
}

fn get_all(kernel: &mut RealKernel, on: &Link) -> Result<Reply, Error> {
    let index = index(kernel, on)?;
    let request = NeighbourMessage::default();
    let found = kernel.route(on.ns)?.dump(
        libc::RTM_GETNEIGH,
        |body| {
            body.emit(&request).u32(NDA_IFINDEX, index);
        },
        |message| read(message, index),
    );
    found
        .map(Reply::Neighbours)
        .map_err(|error| error.explain(format!("listing the neighbours of {}", describe(on))))
}

/// None for another link's, and for those that the kernel makes for multicast.
fn read(message: &Message<'_>, index: u32) -> Option<Neighbour> {
    if message.kind != libc::RTM_NEWNEIGH || u32::from_ne_bytes(message.bytes(4)?) != index {
        return None;
    }
    let state = u16::from_ne_bytes(message.bytes(8)?);
    if state & NUD_NOARP != 0 {
        return None;
    }
    let attributes = message.attributes(HEADER);
    let mac = attributes.find(libc::NDA_LLADDR).and_then(|mac| mac.value.try_into().ok()).map(Mac);
    Some(Neighbour {
        address: attributes.find(libc::NDA_DST)?.ip()?,
        mac,
        permanent: state & NUD_PERMANENT != 0,
    })
}

fn message(index: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    message.header.ifindex = index;
    message.header.kind = RouteType::Unspec;
    message.attributes = vec![NeighbourAttribute::Destination(address.into())];
    message
}

#[cfg(test)]
mod tests;

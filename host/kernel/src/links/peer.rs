//! The other end of a veth. Two namespaces number their links independently, so that an index alone proves nothing.

use std::os::fd::{AsFd, AsRawFd};

use wharf_ops::{Error, Link, Ns};

use super::read::{Selector, State, select};
use super::{describe, state};
use crate::real::{RealKernel, place};

/// NETNSA_NSID and NETNSA_FD of linux/net_namespace.h.
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;

/// The other end of `of`, if it is in `ns`.
pub(super) fn find(kernel: &mut RealKernel, of: &Link, ns: Ns) -> Result<Option<Link>, Error> {
    let one = state(kernel, of)?;
    let (Some(index), "veth") = (one.info.peer, one.info.kind.as_str()) else { return Ok(None) };
    let there = match one.peer_ns {
        None => of.ns == ns || kernel.netns(of.ns)?.same_as(kernel.netns(ns)?),
        Some(id) => known_as(kernel, of.ns, ns)? == Some(id),
    };
    if !there {
        return Ok(None);
    }
    let other = select(kernel.route(ns)?, Selector::Index(index), State::read);
    let other = other.map_err(|error| error.explain(format!("reading the other end of {}", describe(of))))?;
    Ok(other
        .filter(|other| other.info.kind == "veth" && other.info.peer == Some(one.info.index))
        .map(|o| o.handle(ns)))
}

/// The number by which `from` knows `ns`.
fn known_as(kernel: &mut RealKernel, from: Ns, ns: Ns) -> Result<Option<i32>, Error> {
    let fd = kernel.netns(ns)?.as_fd().as_raw_fd();
    let answer = kernel.route(from)?.get(
        libc::RTM_GETNSID,
        |body| {
            // struct rtgenmsg, padded.
            body.raw(&[0; 4]).u32(NETNSA_FD, fd.cast_unsigned());
        },
        |message| message.attributes(4).find(NETNSA_NSID).and_then(|id| id.u32()).map(u32::cast_signed),
    );
    // A negative number means that it knows it by none.
    let id =
        answer.map_err(|error| error.explain(format!("identifying {} in {}", place(ns), place(from))))?;
    Ok(id.filter(|id| *id >= 0))
}

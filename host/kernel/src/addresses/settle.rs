//! Waiting for duplicate address detection (RFC 4862), by events.

use netlink_packet_route::AddressFamily;
use wharf_ops::{Error, ErrorKind, Link, Reply};

use super::{Held, list};
use crate::links::{describe, index, state};
use crate::netlink::NetlinkError;
use crate::real::RealKernel;

const RTNLGRP_IPV6_IFADDR: u32 = 9;
const IFA_F_OPTIMISTIC: u32 = 0x04;
const IFA_F_DADFAILED: u32 = 0x08;
const IFA_F_TENTATIVE: u32 = 0x40;

/// Until no IPv6 address of the link is tentative, one is a duplicate, or the deadline.
pub(super) fn settle(kernel: &mut RealKernel, on: &Link) -> Result<Reply, Error> {
    let index = index(kernel, on)?;
    if tentative(kernel, on, index)?.is_empty() {
        return Ok(Reply::Done);
    }
    let mut listener = kernel.listener(on.ns, RTNLGRP_IPV6_IFADDR)?;
    let deadline = kernel.end_of_wait();
    loop {
        // After subscribing, so that no change can be missed.
        let waiting = tentative(kernel, on, index)?;
        if waiting.is_empty() {
            return Ok(Reply::Done);
        }
        let mut news = false;
        while !news {
            let heard = listener.events(deadline, |event| {
                news |= event.bytes(4).map(u32::from_ne_bytes) == Some(index);
                Ok(())
            });
            match heard {
                Ok(()) => {}
                Err(NetlinkError::Lost) => news = true,
                Err(NetlinkError::TimedOut) => return Err(too_late(kernel, on, &waiting)),
                Err(error) => {
                    return Err(error.explain(format!("waiting for the addresses of {}", describe(on))));
                }
            }
        }
    }
}

/// The addresses that are still being checked. One that somebody else holds is an error.
fn tentative(kernel: &mut RealKernel, on: &Link, index: u32) -> Result<Vec<Held>, Error> {
    let found = list(kernel.route(on.ns)?, index, AddressFamily::Inet6);
    let mut found =
        found.map_err(|error| error.explain(format!("listing the addresses of {}", describe(on))))?;
    if let Some(Held { address, .. }) = found.iter().find(|held| held.flags & IFA_F_DADFAILED != 0) {
        let message = format!("somebody else on the network of {} holds {address} already", describe(on));
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    // An optimistic address (RFC 4429) can be used while it is checked.
    found.retain(|held| held.flags & (IFA_F_TENTATIVE | IFA_F_OPTIMISTIC) == IFA_F_TENTATIVE);
    Ok(found)
}

fn too_late(kernel: &mut RealKernel, on: &Link, waiting: &[Held]) -> Error {
    let operational = state(kernel, on).is_ok_and(|state| state.info.operational);
    let why =
        if operational { "" } else { "; the link is not operational, without which nothing can be checked" };
    let addresses: Vec<String> = waiting.iter().map(|held| held.address.to_string()).collect();
    let message = format!(
        "{} of {} were still being checked for duplicates at the deadline{why}",
        addresses.join(", "),
        describe(on)
    );
    Error::new(ErrorKind::TimedOut, message)
}

//! Waiting for a link to carry traffic, by events.

use wharf_ops::{Error, ErrorKind, Link, Ns, Reply};

use super::read::{Selector, State, select};
use super::{describe, state};
use crate::netlink::NetlinkError;
use crate::real::RealKernel;

const RTNLGRP_LINK: u32 = 1;

/// Until operstate UP (or UNKNOWN, of devices that do not tell) or the deadline.
pub(super) fn operational(kernel: &mut RealKernel, link: &Link) -> Result<Reply, Error> {
    if state(kernel, link)?.info.operational {
        return Ok(Reply::Done);
    }
    let mut listener = kernel.listener(link.ns, RTNLGRP_LINK)?;
    let deadline = kernel.end_of_wait();
    loop {
        // After subscribing, so that no change can be missed.
        let state = state(kernel, link)?;
        if state.info.operational {
            return Ok(Reply::Done);
        }
        if state.spanning_tree {
            // Half a minute by default: nobody waits that long.
            return Err(too_late(kernel, link, &state));
        }
        let index = state.info.index;
        let mut news = false;
        while !news {
            let heard = listener.events(deadline, |event| {
                news |= event.bytes(4).map(u32::from_ne_bytes) == Some(index);
                Ok(())
            });
            match heard {
                Ok(()) => {}
                Err(NetlinkError::Lost) => news = true,
                Err(NetlinkError::TimedOut) => return Err(too_late(kernel, link, &state)),
                Err(error) => return Err(error.explain(format!("waiting for {}", describe(link)))),
            }
        }
    }
}

fn too_late(kernel: &mut RealKernel, link: &Link, state: &State) -> Error {
    let reason = if state.spanning_tree {
        "it runs the spanning tree protocol, and its ports carry traffic only after their forward delay"
            .to_owned()
    } else if state.info.up {
        peer_is_down(kernel, link, state).unwrap_or_else(|| "it has no carrier".to_owned())
    } else {
        "it is administratively down: set it up first".to_owned()
    };
    Error::new(
        ErrorKind::TimedOut,
        format!("{} did not become operational in time: {reason}", describe(link)),
    )
}

/// The other end of a veth, if it is the reason.
fn peer_is_down(kernel: &mut RealKernel, link: &Link, state: &State) -> Option<String> {
    let spaces = [Ns::Host, Ns::Container].into_iter().filter(|ns| kernel.has(*ns)).collect::<Vec<_>>();
    let known = state.info.peer.is_some();
    let peer = spaces
        .into_iter()
        .filter(|_| known)
        .find_map(|ns| super::peer::find(kernel, link, ns).ok().flatten())?;
    let found = select(kernel.route(peer.ns).ok()?, Selector::Index(peer.index), State::read).ok()??;
    (!found.info.up).then(|| format!("its other end, {}, is administratively down", describe(&peer)))
}

#[cfg(test)]
mod tests;

//! Taking links away, and only those that are meant: the kernel gives an index out again.

use netlink_packet_route::link::LinkAttribute;
use wharf_ops::{Error, Link, Ns, Reply};

use super::read::{Selector, State, list, select};
use super::{describe, errno_is, message, peer};
use crate::netlink::NetlinkError;
use crate::real::RealKernel;

/// Where the numbers of groups begin that exist for the time of one deletion.
const GROUPS: u32 = 0x5700_0000;

/// Absent is success, and so is a namespace that is gone.
pub(super) fn delete(kernel: &mut RealKernel, link: &Link) -> Result<Reply, Error> {
    match meant(kernel, link)? {
        Some(state) => by_index(kernel, link, state.info.index),
        None => Ok(Reply::Done),
    }
}

/// Each RTM_DELLINK waits until no reader of the kernel sees the link. Links of one group go with a single request and
/// a single wait: those of the host, veths by their end there, get a group of their own for that.
pub(super) fn many(kernel: &mut RealKernel, links: &[Link]) -> Result<Reply, Error> {
    let (mut together, mut alone) = (Vec::new(), Vec::new());
    for link in links {
        let Some(state) = meant(kernel, link)? else { continue };
        let end = match link.ns {
            Ns::Host => Some(Link { index: state.info.index, ..link.clone() }),
            Ns::Container => peer::find(kernel, link, Ns::Host)?,
        };
        match end {
            Some(end) if !together.contains(&end) => together.push(end),
            Some(_) => {}
            None => alone.push(link),
        }
    }
    if let [one] = together.as_slice() {
        delete(kernel, one)?;
    } else if let Some(first) = together.first() {
        delete_group(kernel, first, &together)?;
    }
    for link in alone {
        delete(kernel, link)?;
    }
    Ok(Reply::Done)
}

/// Deletes host links by a group that no other link is in.
fn delete_group(kernel: &mut RealKernel, first: &Link, links: &[Link]) -> Result<Reply, Error> {
    let explain = |error: NetlinkError, what: &str| error.explain(format!("{what} {}", describe(first)));
    let others =
        list(kernel.route(Ns::Host)?, None).map_err(|error| explain(error, "listing links to delete"))?;
    // An index is unique while its link exists, and so is what is made of it, but for groups that people chose.
    let mut group = GROUPS | first.index;
    while others.iter().any(|state| state.group == group) {
        group = group.wrapping_add(0x0100_0000);
    }
    for link in links {
        let request = message(link.index, vec![LinkAttribute::Group(group)]);
        let result = kernel.route(Ns::Host)?.request(libc::RTM_SETLINK, 0, |body| {
            body.emit(&request);
        });
        if !errno_is(&result, libc::ENODEV) {
            result.map_err(|error| error.explain(format!("grouping {}", describe(link))))?;
        }
    }
    let request = message(0, vec![LinkAttribute::Group(group)]);
    let result = kernel.route(Ns::Host)?.request(libc::RTM_DELLINK, 0, |body| {
        body.emit(&request);
    });
    if errno_is(&result, libc::ENODEV) {
        return Ok(Reply::Done);
    }
    result.map(|()| Reply::Done).map_err(|error| explain(error, "deleting the group of"))
}

/// Leaves a bridge that has ports, and whatever is no bridge. A port that joins between the look and the deletion
/// loses its bridge: rtnetlink has no deletion on condition. Wharf's own ADDs are kept away meanwhile, by a lock of the
/// broker; for others the window is a few microseconds.
pub(super) fn unused_bridge(kernel: &mut RealKernel, link: &Link) -> Result<Reply, Error> {
    let Some(state) = meant(kernel, link)?.filter(|state| state.info.kind == "bridge") else {
        return Ok(Reply::Done);
    };
    let index = state.info.index;
    let ports = list(kernel.route(link.ns)?, Some(index));
    let ports = ports.map_err(|error| error.explain(format!("listing the ports of {}", describe(link))))?;
    if ports.is_empty() { by_index(kernel, link, index) } else { Ok(Reply::Done) }
}

/// The link that the handle was made for, if it is still there under the handle's name or with it as its alias.
fn meant(kernel: &mut RealKernel, link: &Link) -> Result<Option<State>, Error> {
    if !kernel.has(link.ns) {
        return Ok(None);
    }
    let found = select(kernel.route(link.ns)?, Selector::of(link)?, State::read);
    let found = found.map_err(|error| error.explain(format!("looking for {}", describe(link))))?;
    Ok(found.filter(|state| {
        link.index == 0 || state.info.name == link.name || state.info.alias.as_deref() == Some(&link.name)
    }))
}

fn by_index(kernel: &mut RealKernel, link: &Link, index: u32) -> Result<Reply, Error> {
    let request = message(index, Vec::new());
    let result = kernel.route(link.ns)?.request(libc::RTM_DELLINK, 0, |body| {
        body.emit(&request);
    });
    if errno_is(&result, libc::ENODEV) {
        return Ok(Reply::Done);
    }
    result.map(|()| Reply::Done).map_err(|error| error.explain(format!("deleting {}", describe(link))))
}

#[cfg(test)]
mod tests;

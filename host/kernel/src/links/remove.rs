//! Taking links away, and only those that are meant: the kernel gives an index out again.

use wharf_ops::{Error, Link, Reply};

use super::read::{Selector, State, list, select};
use super::{describe, errno_is, message};
use crate::real::RealKernel;

/// Absent is success, and so is a namespace that is gone.
pub(super) fn delete(kernel: &mut RealKernel, link: &Link) -> Result<Reply, Error> {
    match meant(kernel, link)? {
        Some(state) => by_index(kernel, link, state.info.index),
        None => Ok(Reply::Done),
    }
}

/// Leaves a bridge that has ports, and whatever is no bridge. A port that joins between the look and the deletion
/// loses its bridge: rtnetlink has no deletion on condition. The undo that needs this runs right after a creation,
/// so that the window is a few microseconds.
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

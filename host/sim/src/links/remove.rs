//! Taking links away, and only those that are meant.

use wharf_kernel::common::{describe, refused};
use wharf_ops::{Error, Link, Ns, Reply};

use crate::call::Call;
use crate::device::Kind;
use crate::world::{At, World};

/// Absent is success, and so is a namespace that is gone.
pub(super) fn delete(call: &mut Call<'_>, link: &Link) -> Result<Reply, Error> {
    match meant(call, link)? {
        Some(at) => one(call.world, at, || format!("deleting {}", describe(link))),
        None => Ok(Reply::Done),
    }
}

/// As [`delete`] for each, but those of the host all or none.
pub(super) fn many(call: &mut Call<'_>, links: &[Link]) -> Result<Reply, Error> {
    let (mut together, mut alone): (Vec<(At, String)>, Vec<&Link>) = (Vec::new(), Vec::new());
    for link in links {
        let Some(at) = meant(call, link)? else { continue };
        let end = match (link.ns, call.world.device(at).map(|device| &device.kind)) {
            (Ns::Host, _) => Some(at),
            (Ns::Container, Some(Kind::Veth { peer })) if peer.space == call.host => Some(*peer),
            (Ns::Container, _) => None,
        };
        let Some(end) = end else {
            alone.push(link);
            continue;
        };
        if together.iter().all(|(at, _)| *at != end) {
            let other = call.world.device(end).filter(|_| link.ns == Ns::Container);
            together
                .push((end, other.map_or_else(|| describe(link), |other| describe(&other.handle(Ns::Host)))));
        }
    }
    if let [(at, name)] = together.as_slice() {
        one(call.world, *at, || format!("deleting {name}"))?;
    } else if let Some((_, first)) = together.first() {
        if together.iter().any(|(at, _)| !can_go(call.world, *at)) {
            return Err(refused(libc::EOPNOTSUPP, None, format!("deleting the group of {first}")));
        }
        for (at, _) in &together {
            call.world.remove_device(*at);
        }
    }
    for link in alone {
        delete(call, link)?;
    }
    Ok(Reply::Done)
}

/// Leaves a bridge that has ports, and whatever is no bridge.
pub(super) fn unused_bridge(call: &mut Call<'_>, link: &Link) -> Result<Reply, Error> {
    let Some(at) = meant(call, link)? else { return Ok(Reply::Done) };
    let bridge = matches!(call.world.device(at).map(|device| &device.kind), Some(Kind::Bridge { .. }));
    if bridge && call.world.ports(at).is_empty() {
        call.world.remove_device(at);
    }
    Ok(Reply::Done)
}

/// The link that the handle was made for, if it is still there under the handle's name or with it as its alias.
fn meant(call: &Call<'_>, link: &Link) -> Result<Option<At>, Error> {
    if !call.has(link.ns) {
        return Ok(None);
    }
    let found = call.look(link)?.filter(|(_, device)| {
        link.index == 0 || device.name == link.name || device.alias.as_deref() == Some(&link.name)
    });
    Ok(found.map(|(at, _)| at))
}

fn one(world: &mut World, at: At, what: impl FnOnce() -> String) -> Result<Reply, Error> {
    if !can_go(world, at) {
        return Err(refused(libc::EOPNOTSUPP, None, what()));
    }
    world.remove_device(at);
    Ok(Reply::Done)
}

/// Hardware and loopbacks stay.
fn can_go(world: &World, at: At) -> bool {
    let kind = world.device(at).map(|device| &device.kind);
    !matches!(kind, Some(Kind::Loopback)) && !matches!(kind, Some(Kind::Other(kind)) if kind.is_empty())
}

//! `links`: devices, and what happens to everything else when one changes.

mod carrier;
mod create;
pub(crate) use create::add;
mod remove;

use wharf_kernel::common::{self, BRIDGE_PORTS, LONGEST_ALIAS, describe, explain_full, place, refused};
use wharf_ops::links::LinkOp;
use wharf_ops::{Attachment, Error, ErrorKind, Link, Mac, Ns, Reply};

use crate::call::Call;
use crate::device::{Device, Kind};
use crate::world::{At, World};

/// Carries out one operation.
pub(crate) fn apply(call: &mut Call<'_>, op: &LinkOp) -> Result<Reply, Error> {
    match op {
        LinkOp::Get { ns, name } => get(call, *ns, name),
        LinkOp::GetAll { ns } => {
            let space = call.space(*ns)?;
            let all = call.world.devices(space).map(|device| call.world.info(space, device));
            Ok(Reply::Infos(all.collect()))
        }
        LinkOp::Info { link } => {
            let (at, device) = call.read(link)?;
            Ok(Reply::Info(call.world.info(at.space, device)))
        }
        LinkOp::Peer { of, ns } => peer(call, of, *ns),
        LinkOp::CreateVeth { a, b } => create::veth(call, a, b),
        LinkOp::EnsureBridge { ns, common, vlan_filtering } => {
            create::bridge(call, *ns, common, *vlan_filtering)
        }
        LinkOp::CreateIfb { ns, common } => create::ifb(call, *ns, common),
        LinkOp::SetUp { link, up } => set_up(call, link, *up),
        LinkOp::SetMtu { link, mtu } => set_mtu(call, link, *mtu),
        LinkOp::SetMac { link, mac } => set_mac(call, link, *mac),
        LinkOp::SetMaster { link, master } => set_master(call, link, master.as_ref()),
        LinkOp::SetPromiscuous { link, on } => {
            let at = call.place(link)?;
            call.device(at, || format!("setting promiscuous mode of {}", describe(link)))?;
            Ok(change(call.world, at, |device| device.promiscuous = *on))
        }
        LinkOp::SetAlias { link, alias } => set_alias(call, link, alias),
        LinkOp::WaitOperational { link } => wait_operational(call, link),
        LinkOp::Delete { link } => remove::delete(call, link),
        LinkOp::DeleteMany { links } => remove::many(call, links),
        LinkOp::DeleteUnusedBridge { link } => remove::unused_bridge(call, link),
    }
}

fn change(world: &mut World, at: At, set: impl FnOnce(&mut Device)) -> Reply {
    if let Some(device) = world.device_mut(at) {
        set(device);
    }
    Reply::Done
}

fn get(call: &Call<'_>, ns: Ns, name: &str) -> Result<Reply, Error> {
    common::check_name(name)?;
    let space = call.space(ns)?;
    let found = call.world.named(space, name).and_then(|at| call.world.device(at));
    Ok(Reply::MaybeLink(found.map(|device| device.handle(ns))))
}

fn peer(call: &Call<'_>, of: &Link, ns: Ns) -> Result<Reply, Error> {
    let (_, device) = call.read(of)?;
    let Kind::Veth { peer } = device.kind else { return Ok(Reply::MaybeLink(None)) };
    // A veth knows where its other end is; whether that is `ns` has to be asked.
    let found = (call.space(ns)? == peer.space).then(|| call.world.device(peer)).flatten();
    Ok(Reply::MaybeLink(found.map(|other| other.handle(ns))))
}

fn set_up(call: &mut Call<'_>, link: &Link, up: bool) -> Result<Reply, Error> {
    let at = call.place(link)?;
    let what = if up { "setting up" } else { "setting down" };
    call.device(at, || format!("{what} {}", describe(link)))?;
    call.world.set_up(at, up);
    Ok(Reply::Done)
}

fn set_mtu(call: &mut Call<'_>, link: &Link, mtu: u32) -> Result<Reply, Error> {
    let at = call.place(link)?;
    let what = || format!("setting the MTU {mtu} of {}", describe(link));
    let (lowest, highest) = call.device(at, what)?.kind.mtus();
    check_mtu(mtu, lowest, highest).map_err(|text| refused(libc::EINVAL, Some(text), what()))?;
    call.world.set_mtu(at, mtu);
    Ok(Reply::Done)
}

/// As dev_validate_mtu, with its words.
fn check_mtu(mtu: u32, lowest: u32, highest: u32) -> Result<(), &'static str> {
    if mtu < lowest {
        return Err("mtu less than device minimum");
    }
    if mtu > highest { Err("mtu greater than device maximum") } else { Ok(()) }
}

fn set_mac(call: &mut Call<'_>, link: &Link, mac: Mac) -> Result<Reply, Error> {
    let at = call.place(link)?;
    let what = || format!("setting the hardware address {mac} of {}", describe(link));
    let device = call.device(at, what)?;
    if device.kind == Kind::Ifb {
        return Err(refused(libc::EOPNOTSUPP, None, what()));
    }
    if !is_usable(mac) && device.mac != mac {
        return Err(explain_mac(refused(libc::EADDRNOTAVAIL, None, what()), mac));
    }
    call.world.set_mac(at, mac);
    change(call.world, at, |device| device.mac_is_set = true);
    call.world.carriers_changed();
    Ok(Reply::Done)
}

/// Neither zero nor a multicast address.
fn is_usable(mac: Mac) -> bool {
    mac.0 != [0; 6] && mac.0.first().is_some_and(|first| first & 1 == 0)
}

fn explain_mac(error: Error, mac: Mac) -> Error {
    let reason =
        format!("{}: {mac} is all zero or a multicast address, which no link can have", error.message);
    Error { kind: ErrorKind::Invalid, message: reason, ..error }
}

fn set_master(call: &mut Call<'_>, link: &Link, master: Option<&Link>) -> Result<Reply, Error> {
    let Some(master) = master else {
        let at = call.place(link)?;
        call.device(at, || format!("freeing {}", describe(link)))?;
        call.world.release(at);
        return Ok(Reply::Done);
    };
    if master.ns != link.ns {
        let (link, master) = (describe(link), describe(master));
        return Err(Error::invalid(format!(
            "{master} cannot be the master of {link}: they are in two namespaces"
        )));
    }
    let to = call.place(master)?;
    let at = call.place(link)?;
    let what = || format!("setting the master {} of {}", master.name, describe(link));
    let device = call.device(at, what)?;
    if device.master == Some(to.index) {
        return Ok(Reply::Done);
    }
    let kind = device.kind.clone();
    // It has left its master by then, whatever comes of it.
    call.world.release(at);
    let target = call.world.device(to).ok_or_else(|| refused(libc::EINVAL, None, what()))?;
    // That of a bridge whose last port has left is all zeros.
    let Mac(mac) = call.device(at, what)?.mac;
    let valid = mac != [0; 6] && mac.first().is_some_and(|first| first & 1 == 0);
    match (&target.kind, kind) {
        (Kind::Bridge { .. }, kind) if !valid || kind == Kind::Loopback => {
            Err(refused(libc::EINVAL, None, what()))
        }
        (Kind::Bridge { .. }, Kind::Bridge { .. }) => {
            Err(refused(libc::ELOOP, Some("Can not enslave a bridge to a bridge"), what()))
        }
        (Kind::Bridge { .. }, _) if call.world.ports(to).len() >= BRIDGE_PORTS => {
            Err(explain_full(refused(libc::EXFULL, None, what()), master))
        }
        (Kind::Bridge { .. }, _) => {
            call.world.enslave(at, to);
            Ok(Reply::Done)
        }
        _ => Err(refused(libc::EOPNOTSUPP, None, what())),
    }
}

fn set_alias(call: &mut Call<'_>, link: &Link, alias: &str) -> Result<Reply, Error> {
    if alias.len() > LONGEST_ALIAS || alias.contains('\0') {
        return Err(Error::invalid(format!(
            "the alias of {} is over {LONGEST_ALIAS} bytes or has a NUL",
            describe(link)
        )));
    }
    let at = call.place(link)?;
    call.device(at, || format!("setting the alias of {}", describe(link)))?;
    Ok(change(call.world, at, |device| {
        device.alias = Some(alias.to_owned()).filter(|alias| !alias.is_empty());
    }))
}

/// Names the attachment by the alias of a new pair's end in the host.
pub(crate) fn stamp(call: &mut Call<'_>, owner: &Attachment, made: &Reply) {
    if let Some(Ok(at)) = common::host_end(made).map(|end| call.place(end)) {
        change(call.world, at, |device| device.alias = Some(common::link_alias(owner)));
    }
}

/// Nothing happens while somebody waits here: what is not so now is not so at the deadline.
fn wait_operational(call: &Call<'_>, link: &Link) -> Result<Reply, Error> {
    let (at, device) = call.read(link)?;
    if call.world.operational(at) {
        return Ok(Reply::Done);
    }
    let down = "it is administratively down: set it up first";
    let reason = match device.kind {
        _ if !device.up => down.to_owned(),
        Kind::Veth { peer } => {
            other_end_is_down(call, peer).unwrap_or_else(|| "it has no carrier".to_owned())
        }
        _ => "it has no carrier".to_owned(),
    };
    let message = format!("{} did not become operational in time: {reason}", describe(link));
    Err(Error::new(ErrorKind::TimedOut, message))
}

fn other_end_is_down(call: &Call<'_>, peer: At) -> Option<String> {
    let ns =
        [Ns::Host, Ns::Container].into_iter().find(|ns| call.space(*ns).is_ok_and(|at| at == peer.space))?;
    let other = call.world.device(peer).filter(|other| !other.up)?;
    Some(format!("its other end, link {} in {}, is administratively down", other.name, place(ns)))
}

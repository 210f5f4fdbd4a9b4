//! `wharf:net/links`: network devices over rtnetlink.

mod create;
mod peer;
mod read;
mod remove;
mod stamp;
mod wait;

use netlink_packet_route::link::{LinkAttribute, LinkFlags, LinkMessage};
use wharf_ops::links::LinkOp;
use wharf_ops::{Error, ErrorKind, Link, Mac, Ns, Reply};

use crate::common::LONGEST_ALIAS;
use crate::common::explain_full;
pub(crate) use crate::common::{check_name, describe};
use crate::netlink::NetlinkError;
use crate::real::{RealKernel, place};

pub(crate) use create::without_link_local;
pub(crate) use read::{HEADER as LINK_HEADER, Selector, State, select};
pub(crate) use stamp::stamp;

/// Carries out one operation.
pub(crate) fn apply(kernel: &mut RealKernel, op: &LinkOp) -> Result<Reply, Error> {
    match op {
        LinkOp::Get { ns, name } => get(kernel, *ns, name).map(Reply::MaybeLink),
        LinkOp::GetAll { ns } => read::all(kernel, *ns).map(Reply::Infos),
        LinkOp::Info { link } => state(kernel, link).map(|state| Reply::Info(state.info)),
        LinkOp::Peer { of, ns } => peer::find(kernel, of, *ns).map(Reply::MaybeLink),
        LinkOp::CreateVeth { a, b } => create::veth(kernel, a, b),
        LinkOp::EnsureBridge { ns, common, vlan_filtering } => {
            create::bridge(kernel, *ns, common, *vlan_filtering)
        }
        LinkOp::CreateIfb { ns, common } => create::ifb(kernel, *ns, common),
        LinkOp::SetUp { link, up } => {
            let what = if *up { "setting up" } else { "setting down" };
            flag(kernel, link, LinkFlags::Up, *up, what)
        }
        LinkOp::SetMtu { link, mtu } => {
            set(kernel, link, vec![LinkAttribute::Mtu(*mtu)], || format!("setting the MTU {mtu} of"))
        }
        LinkOp::SetMac { link, mac } => {
            let attribute = LinkAttribute::Address(mac.0.to_vec());
            set(kernel, link, vec![attribute], || format!("setting the hardware address {mac} of"))
                .map_err(|error| explain_mac(error, *mac))
        }
        LinkOp::SetMaster { link, master } => set_master(kernel, link, master.as_ref()),
        LinkOp::SetPromiscuous { link, on } => {
            flag(kernel, link, LinkFlags::Promisc, *on, "setting promiscuous mode of")
        }
        LinkOp::SetAlias { link, alias } => set_alias(kernel, link, alias),
        LinkOp::WaitOperational { link } => wait::operational(kernel, link),
        LinkOp::Delete { link } => remove::delete(kernel, link),
        LinkOp::DeleteMany { links } => remove::many(kernel, links),
        LinkOp::DeleteUnusedBridge { link } => remove::unused_bridge(kernel, link),
    }
}

/// The index behind a handle; a handle without one is looked up by name.
pub(crate) fn index(kernel: &mut RealKernel, link: &Link) -> Result<u32, Error> {
    if link.index != 0 { Ok(link.index) } else { state(kernel, link).map(|state| state.info.index) }
}

/// The index behind a handle, or none if no link of that name is left.
pub(crate) fn index_if_there(kernel: &mut RealKernel, link: &Link) -> Result<Option<u32>, Error> {
    if link.index != 0 {
        return Ok(Some(link.index));
    }
    Ok(get(kernel, link.ns, &link.name)?.map(|found| found.index))
}

/// What the kernel says about the link behind a handle.
pub(crate) fn state(kernel: &mut RealKernel, link: &Link) -> Result<State, Error> {
    let found = select(kernel.route(link.ns)?, Selector::of(link)?, State::read);
    match found.map_err(|error| error.explain(format!("reading {}", describe(link))))? {
        Some(state) => Ok(state),
        None => Err(Error {
            errno: Some(libc::ENODEV),
            ..Error::not_found(format!("{} is not there", describe(link)))
        }),
    }
}

fn get(kernel: &mut RealKernel, ns: Ns, name: &str) -> Result<Option<Link>, Error> {
    check_name(name)?;
    let found = select(kernel.route(ns)?, Selector::Name(name), State::read);
    let found = found.map_err(|error| error.explain(format!("looking for link {name} in {}", place(ns))))?;
    Ok(found.map(|state| state.handle(ns)))
}

/// Sets the hardware address that the link has, which the kernel tells everybody who wants to know.
pub(crate) fn set_same_mac(kernel: &mut RealKernel, link: &Link, index: u32, mac: Mac) -> Result<(), Error> {
    let message = message(index, vec![LinkAttribute::Address(mac.0.to_vec())]);
    change(kernel, link, &message, || "announcing".to_owned()).map(drop)
}

/// A message about the link of that index.
fn message(index: u32, attributes: Vec<LinkAttribute>) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message.attributes = attributes;
    message
}

fn flag(kernel: &mut RealKernel, link: &Link, flag: LinkFlags, on: bool, what: &str) -> Result<Reply, Error> {
    let mut message = message(index(kernel, link)?, Vec::new());
    message.header.change_mask = flag;
    if on {
        message.header.flags = flag;
    }
    change(kernel, link, &message, || what.to_owned())
}

fn set(
    kernel: &mut RealKernel,
    link: &Link,
    attributes: Vec<LinkAttribute>,
    what: impl FnOnce() -> String,
) -> Result<Reply, Error> {
    let message = message(index(kernel, link)?, attributes);
    change(kernel, link, &message, what)
}

fn change(
    kernel: &mut RealKernel,
    link: &Link,
    message: &LinkMessage,
    what: impl FnOnce() -> String,
) -> Result<Reply, Error> {
    match kernel.route(link.ns)?.request(libc::RTM_SETLINK, 0, |body| {
        body.emit(message);
    }) {
        Ok(()) => Ok(Reply::Done),
        Err(error) => Err(error.explain(format!("{} {}", what(), describe(link)))),
    }
}

fn set_master(kernel: &mut RealKernel, link: &Link, master: Option<&Link>) -> Result<Reply, Error> {
    let Some(master) = master else {
        return set(kernel, link, vec![LinkAttribute::Controller(0)], || "freeing".to_owned());
    };
    if master.ns != link.ns {
        let (link, master) = (describe(link), describe(master));
        return Err(Error::invalid(format!(
            "{master} cannot be the master of {link}: they are in two namespaces"
        )));
    }
    let attribute = LinkAttribute::Controller(index(kernel, master)?);
    set(kernel, link, vec![attribute], || format!("setting the master {} of", master.name))
        .map_err(|error| explain_full(error, master))
}

fn set_alias(kernel: &mut RealKernel, link: &Link, alias: &str) -> Result<Reply, Error> {
    if alias.len() > LONGEST_ALIAS || alias.contains('\0') {
        return Err(Error::invalid(format!(
            "the alias of {} is over {LONGEST_ALIAS} bytes or has a NUL",
            describe(link)
        )));
    }
    // By hand: the type would add a NUL, with which an empty alias would not remove the old one.
    let message = message(index(kernel, link)?, Vec::new());
    let result = kernel.route(link.ns)?.request(libc::RTM_SETLINK, 0, |body| {
        body.emit(&message).attribute(libc::IFLA_IFALIAS, alias.as_bytes());
    });
    result
        .map(|()| Reply::Done)
        .map_err(|error| error.explain(format!("setting the alias of {}", describe(link))))
}

/// The kernel says EADDRNOTAVAIL of an address that no device can have.
fn explain_mac(error: Error, mac: Mac) -> Error {
    if error.errno != Some(libc::EADDRNOTAVAIL) {
        return error;
    }
    let reason =
        format!("{}: {mac} is all zero or a multicast address, which no link can have", error.message);
    Error { kind: ErrorKind::Invalid, message: reason, ..error }
}

fn errno_is(result: &Result<(), NetlinkError>, errno: i32) -> bool {
    matches!(result, Err(error) if error.errno() == Some(errno))
}

#[cfg(test)]
mod tests;

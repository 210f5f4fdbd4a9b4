//! New links: one message each, with everything that the caller wants of them in it.

use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoBridge, InfoData, InfoKind, InfoVeth, LinkAttribute,
    LinkInfo,
};
use wharf_ops::links::{Common, VethEnd};
use wharf_ops::{Error, ErrorKind, Link, Mac, Ns, Reply};

use super::read::{Selector, State, select};
use super::{explain_mac, get, message};
use crate::common::check_new_name;
use crate::netlink::{CREATE, ECHO, EXCL, NetlinkError, Socket};
use crate::real::{RealKernel, place};

/// How often a bridge is looked for and created in turn, while somebody else creates and deletes it.
const ATTEMPTS: usize = 8;

/// A veth uses one queue of each kind until somebody raises that by ethtool(8). Where nobody says how many it may have, the
/// kernel makes one for each processor (5.15 on), and then takes all but one out of service: a grace period of RCU for each
/// end, with the lock held that every change of the network needs, for as long as any processor is busy.
const ONE_QUEUE: [LinkAttribute; 2] = [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];

/// A pair of which `b` is created directly inside its namespace: it never has to be moved there.
pub(super) fn veth(kernel: &mut RealKernel, a: &VethEnd, b: &VethEnd) -> Result<Reply, Error> {
    check_new_name(&a.name)?;
    check_new_name(&b.name)?;
    let mut peer = attributes(&b.name, b.mtu, b.mac, b.tx_queue_length);
    peer.extend(ONE_QUEUE);
    if a.ns != b.ns {
        peer.push(LinkAttribute::NetNsFd(kernel.netns(b.ns)?.as_fd().as_raw_fd()));
    }
    let mut attributes = attributes(&a.name, a.mtu, a.mac, a.tx_queue_length);
    attributes.extend(ONE_QUEUE);
    let data = InfoData::Veth(InfoVeth::Peer(message(0, peer)));
    attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Veth), LinkInfo::Data(data)]));
    let made = match create(kernel.route(a.ns)?, &a.name, attributes) {
        Ok(made) => made,
        Err(error) if error.errno() == Some(libc::EEXIST) => return Err(taken(kernel, a, b, error)),
        Err(error) => {
            let what = format!(
                "creating the veth pair of {} in {} and {} in {}",
                a.name,
                place(a.ns),
                b.name,
                place(b.ns)
            );
            let error = error.explain(what);
            return Err([a.mac, b.mac].into_iter().flatten().fold(error, explain_mac_of_new));
        }
    };
    let index = match made.info.peer {
        Some(index) => index,
        None => get(kernel, b.ns, &b.name).ok().flatten().map(|link| link.index).ok_or_else(|| {
            Error::internal(format!("the other end {} of {} is not there after creation", b.name, a.name))
        })?,
    };
    Ok(Reply::Pair(made.handle(a.ns), Link { ns: b.ns, index, name: b.name.clone() }))
}

/// The bridge of that name, new or not.
pub(super) fn bridge(
    kernel: &mut RealKernel,
    ns: Ns,
    common: &Common,
    vlan_filtering: bool,
) -> Result<Reply, Error> {
    check_new_name(&common.name)?;
    let name = &common.name;
    for _ in 0..ATTEMPTS {
        // Looking comes first: on all but the first call on a node the bridge is there.
        let found = select(kernel.route(ns)?, Selector::Name(name), State::read);
        match found.map_err(|error| error.explain(format!("looking for bridge {name} in {}", place(ns))))? {
            Some(state) if state.info.kind == "bridge" => return Ok(Reply::Bridge(state.handle(ns), false)),
            Some(state) => return Err(other_kind(ns, name, &state.info.kind)),
            None => {}
        }
        let mut attributes = attributes(name, common.mtu, common.mac, None);
        let mut info = vec![LinkInfo::Kind(InfoKind::Bridge)];
        if vlan_filtering {
            info.push(LinkInfo::Data(InfoData::Bridge(vec![InfoBridge::VlanFiltering(true)])));
        }
        attributes.push(LinkAttribute::LinkInfo(info));
        match create(kernel.route(ns)?, name, attributes) {
            Ok(made) if vlan_filtering && !made.vlan_filtering => return Err(unfiltered(kernel, ns, made)),
            Ok(made) => return Ok(Reply::Bridge(made.handle(ns), true)),
            Err(error) if error.errno() == Some(libc::EEXIST) => {}
            Err(error) => {
                let mut error = error.explain(format!("creating bridge {name} in {}", place(ns)));
                if vlan_filtering && error.kind == ErrorKind::Unsupported {
                    error.message += "; this kernel has no BRIDGE_VLAN_FILTERING";
                }
                return Err(common.mac.into_iter().fold(error, explain_mac_of_new));
            }
        }
    }
    Err(Error::new(
        ErrorKind::Busy,
        format!("somebody creates and deletes bridge {name} in {} all the time", place(ns)),
    ))
}

/// An intermediate functional block. It gets no address of its own: nobody talks to it, and each address is two or
/// three more routes that the kernel walks past whenever a link of the node comes or goes.
pub(super) fn ifb(kernel: &mut RealKernel, ns: Ns, common: &Common) -> Result<Reply, Error> {
    check_new_name(&common.name)?;
    let mut attributes = attributes(&common.name, common.mtu, common.mac, None);
    attributes.push(LinkAttribute::LinkInfo(vec![LinkInfo::Kind(InfoKind::Ifb)]));
    match create(kernel.route(ns)?, &common.name, attributes) {
        Ok(made) => {
            // What keeps it from that, no IPv6 or an MTU below 1280, keeps it from an address as well.
            let _ = without_link_local(kernel.route(ns)?, made.info.index);
            Ok(Reply::Link(made.handle(ns)))
        }
        Err(error) => {
            let error = error.explain(format!("creating ifb {} in {}", common.name, place(ns)));
            Err(common.mac.into_iter().fold(error, explain_mac_of_new))
        }
    }
}

/// Sets IFLA_INET6_ADDR_GEN_MODE to IN6_ADDR_GEN_MODE_NONE (linux/if_link.h), which the kernel does not look at when it
/// makes a link.
pub(crate) fn without_link_local(socket: &mut Socket, index: u32) -> Result<(), NetlinkError> {
    let inet6 = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
    let spec = LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![inet6])]);
    let request = message(index, vec![spec]);
    socket.request(libc::RTM_SETLINK, 0, |body| {
        body.emit(&request);
    })
}

/// Sends RTM_NEWLINK and answers what came of it: as the kernel echoes it, or by a second look.
fn create(socket: &mut Socket, name: &str, attributes: Vec<LinkAttribute>) -> Result<State, NetlinkError> {
    let request = message(0, attributes);
    let mut made = None;
    socket.request_with(
        libc::RTM_NEWLINK,
        CREATE | EXCL | ECHO,
        |body| {
            body.emit(&request);
        },
        |answer| made = State::read(answer).filter(|state| state.info.name == name),
    )?;
    // From here on it is made, and no error may look like the kernel's refusal to make it.
    match made {
        Some(state) => Ok(state),
        None => select(socket, Selector::Name(name), State::read)
            .ok()
            .flatten()
            .ok_or(NetlinkError::Malformed("the new link is not to be found")),
    }
}

fn attributes(name: &str, mtu: Option<u32>, mac: Option<Mac>, queue: Option<u32>) -> Vec<LinkAttribute> {
    let mut attributes = vec![LinkAttribute::IfName(name.to_owned())];
    attributes.extend(mtu.map(LinkAttribute::Mtu));
    attributes.extend(mac.map(|mac| LinkAttribute::Address(mac.0.to_vec())));
    attributes.extend(queue.map(LinkAttribute::TxQueueLen));
    attributes
}

/// Which of the two names is taken: the kernel does not say.
fn taken(kernel: &mut RealKernel, a: &VethEnd, b: &VethEnd, error: NetlinkError) -> Error {
    let mut names = Vec::new();
    for end in [a, b] {
        if let Ok(Some(_)) = get(kernel, end.ns, &end.name) {
            names.push(format!("{} in {}", end.name, place(end.ns)));
        }
    }
    if a.ns == b.ns && a.name == b.name {
        names = vec![format!("{} for both ends in {}", a.name, place(a.ns))];
    }
    let mut error = error.explain(format!("creating the veth pair of {} and {}", a.name, b.name));
    if !names.is_empty() {
        error.message = format!("the name is taken: {} ({})", names.join(", "), error.message);
    }
    error
}

fn other_kind(ns: Ns, name: &str, kind: &str) -> Error {
    let kind = if kind.is_empty() { "a device without a kind" } else { kind };
    let message =
        format!("{name} in {} is there already, and is no bridge but {kind}: use another name", place(ns));
    Error::new(ErrorKind::Conflict, message)
}

/// Some kernels without VLAN filtering refuse the attribute, others take it and forget it.
fn unfiltered(kernel: &mut RealKernel, ns: Ns, made: State) -> Error {
    let link = made.handle(ns);
    let message =
        format!("bridge {} cannot filter VLANs: this kernel has no BRIDGE_VLAN_FILTERING", link.name);
    match super::remove::delete(kernel, &link) {
        Ok(_) => Error::new(ErrorKind::Unsupported, message),
        Err(error) => {
            Error::new(ErrorKind::Unsupported, format!("{message}; and the new one stays: {error}"))
        }
    }
}

fn explain_mac_of_new(error: Error, mac: Mac) -> Error {
    let usable = mac.0 != [0; 6] && mac.0.first().is_some_and(|first| first & 1 == 0);
    if usable { error } else { explain_mac(error, mac) }
}

#[cfg(test)]
mod tests;

//! What the kernel says about links.

use netlink_packet_route::link::{LinkAttribute, LinkExtentMask};
use wharf_ops::links::Info;
use wharf_ops::{Error, Link, Mac, Ns};

use super::{check_name, message};
use crate::netlink::{Attributes, Message, NetlinkError, Socket};
use crate::real::{RealKernel, place};

/// sizeof(struct ifinfomsg).
pub(crate) const HEADER: usize = 16;

const IFF_UP: u32 = 0x1;
const IFF_PROMISC: u32 = 0x100;
const IF_OPER_UNKNOWN: u8 = 0;
const IF_OPER_UP: u8 = 6;
/// IFLA_BR_STP_STATE.
const STP_STATE: u16 = 5;
/// IFLA_BR_VLAN_FILTERING.
const VLAN_FILTERING: u16 = 7;

/// Which link is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Selector<'a> {
    /// By its index.
    Index(u32),
    /// By its name or an alternative one.
    Name(&'a str),
}

impl<'a> Selector<'a> {
    /// By index if the handle has one.
    pub(crate) fn of(link: &'a Link) -> Result<Self, Error> {
        if link.index != 0 {
            return Ok(Self::Index(link.index));
        }
        check_name(&link.name)?;
        Ok(Self::Name(&link.name))
    }
}

/// What is read of a link; `info` is what is told to others.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The public part.
    pub(crate) info: Info,
    /// IFLA_LINK_NETNSID: where the peer is, if it is in another namespace.
    pub(super) peer_ns: Option<i32>,
    /// IFLA_BR_VLAN_FILTERING.
    pub(super) vlan_filtering: bool,
    /// IFLA_BR_STP_STATE: its ports carry traffic only after two forward delays.
    pub(super) spanning_tree: bool,
    /// IFLA_GROUP.
    pub(super) group: u32,
}

impl State {
    /// From an RTM_NEWLINK.
    pub(crate) fn read(message: &Message<'_>) -> Option<Self> {
        if message.kind != libc::RTM_NEWLINK {
            return None;
        }
        let flags = u32::from_ne_bytes(message.bytes(8)?);
        let mut state = Self {
            info: Info {
                index: u32::from_ne_bytes(message.bytes(4)?),
                name: String::new(),
                kind: String::new(),
                mac: None,
                mtu: 0,
                up: flags & IFF_UP != 0,
                operational: false,
                promiscuous: flags & IFF_PROMISC != 0,
                master: None,
                peer: None,
                alias: None,
            },
            peer_ns: None,
            vlan_filtering: false,
            spanning_tree: false,
            group: 0,
        };
        let info = &mut state.info;
        let (mut operstate, mut carrier) = (None, None);
        for attribute in message.attributes(HEADER) {
            match attribute.kind {
                libc::IFLA_IFNAME => attribute.text()?.clone_into(&mut info.name),
                libc::IFLA_ADDRESS => info.mac = attribute.value.try_into().ok().map(Mac),
                libc::IFLA_GROUP => state.group = attribute.u32()?,
                libc::IFLA_MTU => info.mtu = attribute.u32()?,
                libc::IFLA_MASTER => info.master = attribute.u32(),
                libc::IFLA_LINK => info.peer = attribute.u32().filter(|index| *index != 0),
                libc::IFLA_IFALIAS => info.alias = attribute.text().map(str::to_owned),
                libc::IFLA_LINK_NETNSID => state.peer_ns = attribute.u32().map(u32::cast_signed),
                libc::IFLA_OPERSTATE => operstate = attribute.u8(),
                libc::IFLA_CARRIER => carrier = attribute.u8(),
                libc::IFLA_LINKINFO => {
                    let (kind, data) = link_info(attribute.nested());
                    kind.clone_into(&mut info.kind);
                    if kind == "bridge" {
                        state.vlan_filtering = is_set(data, VLAN_FILTERING);
                        state.spanning_tree = is_set(data, STP_STATE);
                    }
                }
                _ => {}
            }
        }
        info.operational = info.up && is_operational(operstate, carrier, &info.kind);
        Some(state)
    }

    /// Its handle in `ns`.
    pub(crate) fn handle(self, ns: Ns) -> Link {
        Link { ns, index: self.info.index, name: self.info.name }
    }
}

/// Whether a link that is up carries traffic. Many devices never tell, but a veth does: where its state is unknown, the
/// kernel (6.1, for one) has yet to look at its carrier and to start its queues, and what is sent now is lost.
fn is_operational(operstate: Option<u8>, carrier: Option<u8>, kind: &str) -> bool {
    match operstate {
        Some(IF_OPER_UP) => true,
        Some(IF_OPER_UNKNOWN) => carrier != Some(0) && kind != "veth",
        _ => false,
    }
}

fn link_info(attributes: Attributes<'_>) -> (&str, Option<Attributes<'_>>) {
    let kind = attributes.find(libc::IFLA_INFO_KIND).and_then(|kind| kind.text()).unwrap_or_default();
    (kind, attributes.find(libc::IFLA_INFO_DATA).map(|data| data.nested()))
}

fn is_set(data: Option<Attributes<'_>>, attribute: u16) -> bool {
    let value = data.and_then(|data| data.find(attribute));
    value.is_some_and(|value| value.value.iter().any(|byte| *byte != 0))
}

/// What `read` makes of one link, or none if there is no such link.
pub(crate) fn select<T>(
    socket: &mut Socket,
    selector: Selector<'_>,
    read: impl FnOnce(&Message<'_>) -> Option<T>,
) -> Result<Option<T>, NetlinkError> {
    let mut attributes = vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
    let index = match selector {
        Selector::Index(index) => index,
        Selector::Name(name) => {
            attributes.push(LinkAttribute::IfName(name.to_owned()));
            0
        }
    };
    let request = message(index, attributes);
    let answer = socket.get(
        libc::RTM_GETLINK,
        |body| {
            body.emit(&request);
        },
        read,
    );
    match answer {
        Ok(Some(found)) => Ok(Some(found)),
        Ok(None) => Err(NetlinkError::Malformed("an RTM_NEWLINK that lacks what every link has")),
        Err(error) if error.errno() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

/// All links of a namespace.
pub(super) fn all(kernel: &mut RealKernel, ns: Ns) -> Result<Vec<Info>, Error> {
    let states = list(kernel.route(ns)?, None);
    let states = states.map_err(|error| error.explain(format!("listing the links in {}", place(ns))))?;
    Ok(states.into_iter().map(|state| state.info).collect())
}

/// The links of a namespace, or only the ports of `master`.
pub(super) fn list(socket: &mut Socket, master: Option<u32>) -> Result<Vec<State>, NetlinkError> {
    let mut attributes = vec![LinkAttribute::ExtMask(vec![LinkExtentMask::SkipStats])];
    attributes.extend(master.map(LinkAttribute::Controller));
    let request = message(0, attributes);
    socket.dump(
        libc::RTM_GETLINK,
        |body| {
            body.emit(&request);
        },
        // Checked here too: a kernel without strict checking may answer with all.
        |message| State::read(message).filter(|state| master.is_none() || state.info.master == master),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_state_is_enough_for_what_never_tells_and_has_a_carrier() {
        for (operstate, carrier, kind, operational) in [
            (IF_OPER_UP, 1, "veth", true),
            (IF_OPER_UNKNOWN, 1, "", true),
            (IF_OPER_UNKNOWN, 1, "dummy", true),
            (IF_OPER_UNKNOWN, 0, "bridge", false),
            (IF_OPER_UNKNOWN, 0, "veth", false),
            (IF_OPER_UNKNOWN, 1, "veth", false),
            (2, 1, "veth", false),
        ] {
            let seen = is_operational(Some(operstate), Some(carrier), kind);
            assert_eq!(seen, operational, "{kind:?} {operstate} {carrier}");
        }
        assert!(!is_operational(None, None, ""));
    }
}

//! The parameters that rtnetlink tells, and the one that it sets without more or less than the file would do.
//!
//! On the way of every ADD: a socket is there already, and the file wants the namespace entered, folders made for the
//! kernel's cache of paths, and on a node with hundreds of containers a walk past the folders of all of them.
//! Whatever cannot be had here, because of an old kernel or a name that no link has, is left to the file and to what
//! it says. So is what is to change on a link that is up: rtnetlink tells everybody, and IPv6 reports its groups again,
//! which a bridge floods to every port.

use wharf_ops::Ns;

use crate::links::{LINK_HEADER, Selector, check_name, select, without_link_local};
use crate::netlink::Message;
use crate::real::RealKernel;

/// AF_INET and AF_INET6, as they stand in messages.
const INET: u8 = 2;
const INET6: u8 = 10;
/// NETCONFA_IFINDEX and NETCONFA_FORWARDING (linux/netconf.h).
const NETCONF_INDEX: u16 = 1;
const NETCONF_FORWARDING: u16 = 2;
/// NETCONFA_IFINDEX_ALL: what stands below `conf/all`.
const ALL: i32 = -1;
/// sizeof(struct netconfmsg), padded.
const NETCONF_HEADER: usize = 4;
/// IFLA_INET_CONF, IFLA_INET6_CONF and IFLA_INET6_ADDR_GEN_MODE (linux/if_link.h).
const INET_CONF: u16 = 1;
const INET6_CONF: u16 = 2;
const INET6_ADDR_GEN_MODE: u16 = 8;
/// IN6_ADDR_GEN_MODE_NONE. Others give an address at once where they are written to the file.
const NO_ADDRESS: i32 = 1;

/// Where a parameter of a link stands in the kernel's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In IFLA_INET_CONF, at IPV4_DEVCONF_* (linux/ip.h) less one.
    Four(usize),
    /// In IFLA_INET6_CONF, at DEVCONF_* (linux/ipv6.h).
    Six(usize),
    /// IFLA_INET6_ADDR_GEN_MODE.
    GenMode,
}

/// A key that this room knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known<'a> {
    /// `ipv4/ip_forward` and `ipv6/conf/all/forwarding`, by address family.
    Forwarding(u8),
    /// Of one link.
    OfLink { name: &'a str, place: Place },
}

fn known(key: &str) -> Option<Known<'_>> {
    match key {
        "ipv4/ip_forward" => return Some(Known::Forwarding(INET)),
        "ipv6/conf/all/forwarding" => return Some(Known::Forwarding(INET6)),
        _ => {}
    }
    let (family, rest) = key.split_once("/conf/")?;
    let (name, parameter) = rest.split_once('/')?;
    let place = match (family, parameter) {
        ("ipv4", "arp_notify") => Place::Four(21),
        ("ipv4", "route_localnet") => Place::Four(25),
        ("ipv6", "accept_ra") => Place::Six(3),
        ("ipv6", "disable_ipv6") => Place::Six(26),
        ("ipv6", "accept_dad") => Place::Six(27),
        ("ipv6", "ndisc_notify") => Place::Six(29),
        ("ipv6", "addr_gen_mode") => Place::GenMode,
        _ => return None,
    };
    (!matches!(name, "all" | "default") && check_name(name).is_ok()).then_some(Known::OfLink { name, place })
}

/// The value, or none if the file is to be asked.
pub(super) fn read(kernel: &mut RealKernel, ns: Ns, key: &str) -> Option<String> {
    match known(key)? {
        Known::Forwarding(family) => forwarding(kernel, ns, family),
        Known::OfLink { name, place } => of_link(kernel, ns, name, place).map(|told| told.value),
    }
    .map(|value| value.to_string())
}

/// Whether the value is set now; the file is to be written if not. Unlike the file, this needs no /proc/sys that can be
/// written.
pub(super) fn write(kernel: &mut RealKernel, ns: Ns, key: &str, value: &str) -> bool {
    let Some(Known::OfLink { name, place: Place::GenMode }) = known(key) else { return false };
    if value != NO_ADDRESS.to_string() {
        return false;
    }
    match of_link(kernel, ns, name, Place::GenMode) {
        Some(Told { value: NO_ADDRESS, .. }) => true,
        Some(Told { index, up: false, .. }) => {
            kernel.route(ns).is_ok_and(|socket| without_link_local(socket, index).is_ok())
        }
        _ => false,
    }
}

fn forwarding(kernel: &mut RealKernel, ns: Ns, family: u8) -> Option<i32> {
    let answer = kernel.route(ns).ok()?.get(
        libc::RTM_GETNETCONF,
        |body| {
            body.raw(&[family]).attribute(NETCONF_INDEX, &ALL.to_ne_bytes());
        },
        |message| message.attributes(NETCONF_HEADER).find(NETCONF_FORWARDING)?.u32(),
    );
    answer.ok().flatten().map(u32::cast_signed)
}

/// What the kernel says of a link.
#[derive(Clone, Copy, Debug)]
struct Told {
    index: u32,
    up: bool,
    value: i32,
}

/// The kernel finds links by alternative names too, after which no folder is named.
fn of_link(kernel: &mut RealKernel, ns: Ns, name: &str, place: Place) -> Option<Told> {
    select(kernel.route(ns).ok()?, Selector::Name(name), |message| told(message, name, place)).ok().flatten()
}

fn told(message: &Message<'_>, name: &str, place: Place) -> Option<Told> {
    let index = u32::from_ne_bytes(message.bytes(4)?);
    let up = u32::from_ne_bytes(message.bytes(8)?) & libc::IFF_UP.cast_unsigned() != 0;
    let attributes = message.attributes(LINK_HEADER);
    if attributes.find(libc::IFLA_IFNAME)?.text()? != name {
        return None;
    }
    let families = attributes.find(libc::IFLA_AF_SPEC)?.nested();
    let of = |family: u8, kind| families.find(family.into())?.nested().find(kind);
    let value = match place {
        Place::Four(at) => nth(of(INET, INET_CONF)?.value, at)?,
        Place::Six(at) => nth(of(INET6, INET6_CONF)?.value, at)?,
        Place::GenMode => of(INET6, INET6_ADDR_GEN_MODE)?.u8()?.into(),
    };
    Some(Told { index, up, value })
}

fn nth(array: &[u8], at: usize) -> Option<i32> {
    let word = array.chunks_exact(4).nth(at)?;
    word.try_into().ok().map(i32::from_ne_bytes)
}

//! The parameters that rtnetlink tells, and the two that it sets on a link that is down without more or less than the file
//! would do. Of a link that is up each change by rtnetlink is told to everybody, and IPv6 reports its groups again: that a
//! bridge floods to every port.
//!
//! On the way of every ADD: a socket is there already, and the file wants the namespace entered, folders made for the
//! kernel's cache of paths, and on a node with hundreds of containers a walk past the folders of all of them.
//! Whatever cannot be had here, because of an old kernel or a name that no link has, is left to the file and to what
//! it says.

use wharf_ops::{Error, Ns};

use crate::links::{LINK_HEADER, Selector, check_name, select};
use crate::netlink::Message;
use crate::real::RealKernel;

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
const NO_ADDRESS: &str = "1";

/// AF_INET and AF_INET6, as they stand in messages.
const INET: u8 = 2;
const INET6: u8 = 10;
/// IPV4_DEVCONF_ARP_NOTIFY and IPV4_DEVCONF_ROUTE_LOCALNET (linux/ip.h).
const ARP_NOTIFY: u16 = 22;
const ROUTE_LOCALNET: u16 = 26;

/// Where a parameter of a link stands in the kernel's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// In IFLA_INET_CONF, whose numbers begin with one.
    Four(u16),
    /// In IFLA_INET6_CONF: DEVCONF_* (linux/ipv6.h).
    Six(u16),
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
        ("ipv4", "arp_notify") => Place::Four(ARP_NOTIFY),
        ("ipv4", "route_localnet") => Place::Four(ROUTE_LOCALNET),
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

/// Whether the value is set now; the file is to be written if not. Unlike the file, this needs no /proc/sys that can be written.
pub(super) fn write(kernel: &mut RealKernel, ns: Ns, key: &str, value: &str) -> bool {
    let Some(Known::OfLink { name, place }) = known(key) else { return false };
    let number = match (place, value) {
        (Place::Four(ARP_NOTIFY), "0") => 0,
        (Place::Four(ARP_NOTIFY), "1") | (Place::GenMode, NO_ADDRESS) => 1,
        _ => return false,
    };
    let Some(Told { index, up, value }) = of_link(kernel, ns, name, place) else { return false };
    value == i32::from(number) || (!up && set(kernel, ns, index, place, number).is_ok())
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
        Place::Four(number) => nth(of(INET, INET_CONF)?.value, number.checked_sub(1)?)?,
        Place::Six(number) => nth(of(INET6, INET6_CONF)?.value, number)?,
        Place::GenMode => of(INET6, INET6_ADDR_GEN_MODE)?.u8()?.into(),
    };
    Some(Told { index, up, value })
}

fn nth(array: &[u8], number: u16) -> Option<i32> {
    let word = array.chunks_exact(4).nth(number.into())?;
    word.try_into().ok().map(i32::from_ne_bytes)
}

fn set(kernel: &mut RealKernel, ns: Ns, index: u32, place: Place, value: u8) -> Result<(), Error> {
    let outcome = kernel.route(ns)?.request(libc::RTM_SETLINK, 0, |body| {
        body.raw(&[0; 4]).raw(&index.to_ne_bytes()).raw(&[0; LINK_HEADER - 8]);
        body.nested(libc::IFLA_AF_SPEC, |families| match place {
            Place::Four(number) => {
                families.nested(INET.into(), |body| {
                    body.nested(INET_CONF, |body| {
                        body.u32(number, value.into());
                    });
                });
            }
            Place::Six(_) | Place::GenMode => {
                families.nested(INET6.into(), |body| {
                    body.u8(INET6_ADDR_GEN_MODE, value);
                });
            }
        });
    });
    outcome.map_err(|error| error.explain("setting a parameter"))
}

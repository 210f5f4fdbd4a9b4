//! What every kernel does in the same way, the real one and a model of it: checks of arguments, words of errors, the
//! arithmetic of token buckets, names. None of it asks a kernel anything.

mod conditions;

use nix::errno::Errno;
use wharf_ops::bridge_ports::VlanRange;
use wharf_ops::nat::{Backend, ForwardOptions, PortForward, Protocol};
use wharf_ops::routes::Route;
use wharf_ops::shaping::Rate;
use wharf_ops::{Attachment, Error, Link, Ns};

pub use conditions::{Conditions, Packet};

use crate::bridge_ports::vlans;
use crate::netlink::NetlinkError;
use crate::nftables::owner;
use crate::{bridge_ports, filter, iptables, links, nat, nftables, real, routes, shaping, sysctl};

/// A namespace in words.
pub fn place(ns: Ns) -> &'static str {
    real::place(ns)
}

/// A link in words.
pub fn describe(link: &Link) -> String {
    links::describe(link)
}

/// A route in words.
pub fn describe_route(route: &Route) -> String {
    routes::describe(route)
}

/// VLANs in words.
pub fn describe_vlans(range: VlanRange) -> String {
    vlans::words(range)
}

/// The kernel's refusal of a request: `what` says what was asked for, `text` is what it says besides the errno.
pub fn refused(errno: i32, text: Option<&str>, what: impl std::fmt::Display) -> Error {
    NetlinkError::Refused { errno, text: text.map(str::to_owned), sequence: 0 }.explain(what)
}

/// What is answered for the container where there is none.
pub fn no_container() -> Error {
    real::gone()
}

/// What is answered for a port that is none.
pub fn no_port(port: &Link) -> Error {
    bridge_ports::no_port(port)
}

/// What is answered where somebody else's qdisc is in the way.
pub fn foreign_qdisc(on: &Link, at: &str, kind: &str) -> Error {
    shaping::foreign(on, at, kind)
}

/// Refuses what cannot name a link.
pub fn check_name(name: &str) -> Result<(), Error> {
    links::check_name(name)
}

/// Refuses what cannot name a guarded bridge port.
pub fn check_port_name(name: &str) -> Result<(), Error> {
    filter::check_name(name)
}

/// Refuses VLANs that cannot be.
pub fn check_vlans(range: VlanRange) -> Result<(), Error> {
    vlans::check(range)
}

/// Refuses routes that cannot be.
pub fn check_route(route: &Route) -> Result<(), Error> {
    routes::check(route)
}

/// Refuses what names no sysctl.
pub fn check_sysctl(key: &str) -> Result<(), Error> {
    sysctl::check(key)
}

/// A sysctl that cannot be opened.
pub fn sysctl_failed(errno: i32, ns: Ns, key: &str) -> Error {
    sysctl::failed(Errno::from_raw(errno), ns, key)
}

/// Whether two values of a sysctl mean the same.
pub fn same_value(current: &str, wanted: &str) -> bool {
    sysctl::same(current, wanted)
}

/// The token bucket that the kernel makes of `rate`, as it is read back, and the bytes that it lets through at once.
pub fn token_bucket(rate: Rate) -> Result<(Rate, u64), Error> {
    let bucket = shaping::bucket::Bucket::new(rate)?;
    Ok((bucket.rate(), bucket.at_once()))
}

/// Refuses forwards that no backend can render, and says which one is to; `chosen` answers what `Automatic` means.
pub fn forward_backend(
    rules: &[PortForward],
    options: &ForwardOptions,
    chosen: impl FnOnce(Backend) -> Result<Backend, Error>,
) -> Result<Backend, Error> {
    nat::backend_for(rules, options, chosen)
}

/// The number of a protocol.
pub fn protocol_number(protocol: Protocol) -> u8 {
    nftables::protocol_number(protocol)
}

/// What an attachment's chains are named by in Wharf's own tables.
pub fn owner_key(owner: &Attachment) -> String {
    owner::key(owner)
}

/// What an attachment's rules say of their owner: in Wharf's own tables, or `hidden` in those of iptables.
pub fn told_owner(owner: &Attachment, hidden: bool) -> Option<Attachment> {
    owner::decode(&if hidden { owner::encode_hidden(owner) } else { owner::encode(owner) })
}

/// Whether an owner that rules tell belongs to `network`.
pub fn is_in_network(found: &Attachment, network: &str) -> bool {
    owner::in_network(found, network)
}

/// The chains of a container on a network in iptables' nat table: masquerading, forwarding.
pub fn iptables_chains(owner: &Attachment) -> (String, String) {
    (iptables::names::masquerade(owner), iptables::names::forward(owner))
}

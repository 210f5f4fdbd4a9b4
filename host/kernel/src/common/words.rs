//! Namespaces, links, routes and refusals in the words of error messages.

use std::fmt::Write as _;

use nix::errno::Errno;
use wharf_ops::bridge_ports::VlanRange;
use wharf_ops::routes::Route;
use wharf_ops::{Error, ErrorKind, Link, Ns};

/// A namespace in words.
pub fn place(ns: Ns) -> &'static str {
    match ns {
        Ns::Host => "the host's namespace",
        Ns::Container => "the container's namespace",
    }
}

/// A link in words.
pub fn describe(link: &Link) -> String {
    format!("link {} in {}", link.name, place(link.ns))
}

/// A route in words.
pub fn describe_route(route: &Route) -> String {
    let mut text = format!("the route to {}", route.dst);
    if let Some(gateway) = route.gateway {
        let _ = write!(text, " via {gateway}");
    }
    if let Some(link) = route.link {
        let _ = write!(text, " dev #{link}");
    }
    if let Some(table) = route.table {
        let _ = write!(text, " table {table}");
    }
    text
}

/// VLANs in words.
pub fn describe_vlans(range: VlanRange) -> String {
    if range.first == range.last {
        range.first.to_string()
    } else {
        format!("{} to {}", range.first, range.last)
    }
}

/// An errno in the words of the C library.
pub(crate) fn errno_in_words(errno: i32) -> &'static str {
    Errno::from_raw(errno).desc()
}

/// Why the kernel refuses; `text` is what it says besides the errno.
pub(crate) fn refusal(errno: i32, text: Option<&str>) -> String {
    match text {
        Some(text) => format!("{} ({text})", errno_in_words(errno)),
        None => errno_in_words(errno).to_owned(),
    }
}

/// The kernel's refusal of a request: `what` says what was asked for, `text` is what it says besides the errno.
pub fn refused(errno: i32, text: Option<&str>, what: impl std::fmt::Display) -> Error {
    Error::from_errno(errno, format!("{what}: {}", refusal(errno, text)))
}

/// What is answered for the container where there is none.
pub fn no_container() -> Error {
    Error::not_found("the container's namespace is not there: the runtime gave none, or it is gone already")
}

/// What is answered for a port that is none.
pub fn no_port(port: &Link) -> Error {
    Error::invalid(format!("{} is no port of a bridge: set its master first", describe(port)))
}

/// As many ports as the kernel gives a bridge: BR_MAX_PORTS (net/bridge/br_private.h) less the number that none has.
pub const BRIDGE_PORTS: usize = 1023;

/// The kernel says EXFULL where a bridge has all the ports that it can have.
pub fn explain_full(error: Error, bridge: &Link) -> Error {
    if error.errno != Some(Errno::EXFULL as i32) {
        return error;
    }
    let reason = format!(
        "{}: {} has {BRIDGE_PORTS} ports, and the kernel gives a bridge no more: give other containers another bridge",
        error.message,
        describe(bridge)
    );
    Error { message: reason, ..error }
}

/// What is answered where somebody else's qdisc is in the way.
pub fn foreign_qdisc(on: &Link, at: &str, kind: &str) -> Error {
    let article = if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" };
    let message = format!(
        "{} has {article} {kind} qdisc at its {at} that is not Wharf's: remove it or do not shape this link",
        describe(on)
    );
    Error::new(ErrorKind::Conflict, message)
}

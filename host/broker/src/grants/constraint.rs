//! The constraints of a grant file, and the check of one operation against them.

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::Deserialize;
use wharf_ops::{Attachment, Error, ErrorKind, Ns, Op};

use super::claim::{Claim, claims};
use super::key::Key;
use super::pattern::{Cidr, Destination, Name, Ports, SysctlKey, Vlans};
use crate::guests::check_name;

/// The longest name of a link, in bytes (IFNAMSIZ without its NUL).
const LINK_NAME: usize = 15;
/// The longest sysctl key that the kernel crate opens, in bytes.
const SYSCTL_KEY: usize = 255;
/// How much of a guest's text a message repeats, in characters.
const SHOWN: usize = 80;

/// The tables of constraints. A key that is not there allows nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Constraints {
    pub(super) links: Names,
    pub(super) bridge_ports: BridgePorts,
    pub(super) addresses: Cidrs,
    pub(super) routes: Destinations,
    pub(super) neighbours: Cidrs,
    pub(super) sysctl: Sysctls,
    pub(super) nat: Nat,
    pub(super) shaping: Names,
    pub(super) leases: Leases,
    pub(super) delegate: Delegates,
}

/// A table of the file.
macro_rules! tables {
    ($($name:ident { $($field:ident: $of:ty),* })*) => {
        $(
            #[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
            #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
            pub(crate) struct $name {
                $($field: List<$of>),*
            }
        )*
    };
}

tables! {
    Names { names: Name, container_names: Name }
    BridgePorts { vlans: Vlans }
    Cidrs { cidrs: Cidr, container_cidrs: Cidr }
    Destinations { cidrs: Destination, container_cidrs: Destination }
    Sysctls { keys: SysctlKey, container_keys: SysctlKey }
    Nat { host_ports: Ports, cidrs: Cidr }
    Leases { cidrs: Cidr }
    Delegates { plugins: Name }
}

impl Constraints {
    /// What the file has at `key`, as texts.
    pub(crate) fn get(&self, key: Key) -> Option<Vec<String>> {
        match key {
            Key::LinkNames => texts(&self.links.names),
            Key::LinkContainerNames => texts(&self.links.container_names),
            Key::Vlans => texts(&self.bridge_ports.vlans),
            Key::AddressCidrs => texts(&self.addresses.cidrs),
            Key::AddressContainerCidrs => texts(&self.addresses.container_cidrs),
            Key::RouteCidrs => texts(&self.routes.cidrs),
            Key::RouteContainerCidrs => texts(&self.routes.container_cidrs),
            Key::NeighbourCidrs => texts(&self.neighbours.cidrs),
            Key::NeighbourContainerCidrs => texts(&self.neighbours.container_cidrs),
            Key::SysctlKeys => texts(&self.sysctl.keys),
            Key::SysctlContainerKeys => texts(&self.sysctl.container_keys),
            Key::HostPorts => texts(&self.nat.host_ports),
            Key::NatCidrs => texts(&self.nat.cidrs),
            Key::ShapingNames => texts(&self.shaping.names),
            Key::ShapingContainerNames => texts(&self.shaping.container_names),
            Key::LeaseCidrs => texts(&self.leases.cidrs),
            Key::DelegatePlugins => texts(&self.delegate.plugins),
        }
    }

    /// Whether the operation stays inside.
    pub(crate) fn confine(&self, op: &Op, attachment: &Attachment) -> Result<(), Refusal> {
        for claim in claims(op) {
            check(&claim)?;
            match self.allows(&claim, &attachment.ifname) {
                Some(true) => {}
                Some(false) => return Err(Refusal::outside(op.operation().name, &claim, "outside")),
                None => return Err(Refusal::outside(op.operation().name, &claim, "the grant has no")),
            }
        }
        Ok(())
    }

    /// Whether the key that bounds `claim` covers it; none if the file does not have the key.
    fn allows(&self, claim: &Claim<'_>, ifname: &str) -> Option<bool> {
        let named = |list, name| any(list, |glob: &Name| glob.matches(name, ifname));
        let set = |list, key| any(list, |glob: &SysctlKey| glob.matches(key, ifname));
        match *claim {
            Claim::Link(Ns::Host, name) => named(&self.links.names, name),
            Claim::Link(Ns::Container, name) => named(&self.links.container_names, name),
            Claim::Shaped(Ns::Host, name) => named(&self.shaping.names, name),
            Claim::Shaped(Ns::Container, name) => named(&self.shaping.container_names, name),
            Claim::Vlans(first, last) => any(&self.bridge_ports.vlans, |range| range.covers(first, last)),
            Claim::Address(ns, address) => any(self.addresses.of(ns), |cidr| cidr.covers(address)),
            Claim::Route(Ns::Host, dst) => any(&self.routes.cidrs, |to| to.covers(dst)),
            Claim::Route(Ns::Container, dst) => any(&self.routes.container_cidrs, |to| to.covers(dst)),
            Claim::Neighbour(ns, address) => any(self.neighbours.of(ns), |cidr| cidr.contains(address)),
            Claim::Sysctl(Ns::Host, key) => set(&self.sysctl.keys, key),
            Claim::Sysctl(Ns::Container, key) => set(&self.sysctl.container_keys, key),
            Claim::HostPort(port) => any(&self.nat.host_ports, |range| range.covers(port, port)),
            Claim::Translated(address) => any(&self.nat.cidrs, |cidr| cidr.contains(address)),
            Claim::Leased(first, last) => {
                any(&self.leases.cidrs, |cidr| cidr.contains(first) && cidr.contains(last))
            }
            Claim::Delegate(plugin) => named(&self.delegate.plugins, plugin),
        }
    }
}

impl Cidrs {
    fn of(&self, ns: Ns) -> &List<Cidr> {
        match ns {
            Ns::Host => &self.cidrs,
            Ns::Container => &self.container_cidrs,
        }
    }
}

/// An absent list and an empty one both allow nothing, but a message tells them apart.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Vec<T>", bound = "T: Deserialize<'de>")]
pub(crate) struct List<T>(Option<Vec<T>>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> From<Vec<T>> for List<T> {
    fn from(list: Vec<T>) -> Self {
        Self(Some(list))
    }
}

fn any<T>(list: &List<T>, covers: impl FnMut(&T) -> bool) -> Option<bool> {
    list.0.as_ref().map(|list| list.iter().any(covers))
}

fn texts<T: fmt::Display>(list: &List<T>) -> Option<Vec<String>> {
    list.0.as_ref().map(|list| list.iter().map(ToString::to_string).collect())
}

/// What cannot be a name is refused whatever the grant has: a `*` must not be the way to it.
fn check(claim: &Claim<'_>) -> Result<(), Refusal> {
    let odd = |text: &str| text.contains(|c: char| c.is_whitespace() || c.is_control());
    match *claim {
        Claim::Link(_, name) | Claim::Shaped(_, name) => {
            let plain = (1..=LINK_NAME).contains(&name.len())
                && !matches!(name, "." | "..")
                && !name.contains(['/', ':'])
                && !odd(name);
            plain.then_some(()).ok_or_else(|| {
                Refusal::invalid(format!(
                    "{} cannot be the name of a link: give 1 to 15 bytes without '/', ':' and white space",
                    shown(name)
                ))
            })
        }
        Claim::Sysctl(_, key) => {
            let straight = key.split('/').all(|part| !part.is_empty() && !part.starts_with('.'));
            (straight && key.len() <= SYSCTL_KEY && !odd(key)).then_some(()).ok_or_else(|| {
                Refusal::invalid(format!(
                    "{} names no sysctl: give the path below /proc/sys/net, as in ipv4/conf/eth0/forwarding",
                    shown(key)
                ))
            })
        }
        // Plugins' names are checked where they are looked up; the rest are numbers.
        Claim::Delegate(_)
        | Claim::Vlans(..)
        | Claim::Address(..)
        | Claim::Route(..)
        | Claim::Neighbour(..)
        | Claim::HostPort(_)
        | Claim::Translated(_)
        | Claim::Leased(..) => Ok(()),
    }
}

fn shown(text: &str) -> String {
    let head: String = text.chars().take(SHOWN).collect();
    if head.len() < text.len() { format!("{head:?}...") } else { format!("{head:?}") }
}

/// Why an operation is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    error: Error,
    cure: Option<String>,
}

impl Refusal {
    fn invalid(message: String) -> Self {
        Self { error: Error::invalid(message), cure: None }
    }

    fn outside(operation: &str, claim: &Claim<'_>, how: &str) -> Self {
        let key = claim.key();
        let what = Subject(claim);
        let message = format!("{operation} {what}: {how} {key}");
        let line = match claim {
            Claim::HostPort(port) => format!("{} = [{port}]", key.name()),
            Claim::Leased(first, last) => format!("{} = [\"{}\"]", key.name(), around(*first, *last)),
            _ => format!("{} = [{}]", key.name(), shown(&what.plain())),
        };
        let cure = match claim {
            Claim::Delegate(plugin) if check_name(plugin).is_err() => {
                "no grant would allow it: it is not the name of a plugin".to_owned()
            }
            _ => format!("`{line}` below `[{}]` of its grant would allow it", key.table()),
        };
        Self { error: Error::new(ErrorKind::Denied, message), cure: Some(cure) }
    }

    /// The error that the guest hears.
    pub(crate) fn into_error(self) -> Error {
        self.error
    }
}

/// For the log: with the line that would allow it, which is nothing for the guest.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error.message)?;
        self.cure.as_ref().map_or(Ok(()), |cure| write!(f, "; {cure}"))
    }
}

/// The smallest network that has both addresses.
fn around(first: IpAddr, last: IpAddr) -> String {
    let longest = if first.is_ipv4() { 32 } else { 128 };
    let networks = (0..=longest).rev().filter_map(|prefix| IpNetwork::new(first, prefix).ok());
    let network = networks.into_iter().find(|network| network.contains(last));
    network.map_or_else(|| first.to_string(), |network| format!("{}/{}", network.network(), network.prefix()))
}

/// What a claim is about, as a message has it.
struct Subject<'a>(&'a Claim<'a>);

impl Subject<'_> {
    /// As the grant file would have it.
    fn plain(&self) -> String {
        match *self.0 {
            Claim::Link(_, name) | Claim::Shaped(_, name) => name.to_string(),
            Claim::Sysctl(_, key) => key.to_string(),
            Claim::Delegate(plugin) => plugin.to_string(),
            Claim::Vlans(first, last) if first == last => first.to_string(),
            Claim::Vlans(first, last) => format!("{first}-{last}"),
            // The network, for a file has no bits behind the prefix.
            Claim::Address(_, network) | Claim::Route(_, network) => {
                format!("{}/{}", network.network(), network.prefix())
            }
            Claim::Neighbour(_, address) | Claim::Translated(address) => address.to_string(),
            Claim::HostPort(port) => port.to_string(),
            Claim::Leased(first, last) if first == last => first.to_string(),
            Claim::Leased(first, last) => format!("{first} to {last}"),
        }
    }
}

impl fmt::Display for Subject<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self.0 {
            Claim::Link(_, text)
            | Claim::Shaped(_, text)
            | Claim::Sysctl(_, text)
            | Claim::Delegate(text) => f.write_str(&shown(text)),
            Claim::Address(_, address) => address.fmt(f),
            Claim::HostPort(port) => write!(f, "port {port}"),
            Claim::Vlans(..) => write!(f, "VLAN {}", self.plain()),
            Claim::Route(..) | Claim::Neighbour(..) | Claim::Translated(_) | Claim::Leased(..) => {
                f.write_str(&self.plain())
            }
        }
    }
}

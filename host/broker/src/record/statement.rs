//! Statements about the host: what they are about, and what they say.

use std::collections::BTreeMap;
use std::fmt::{Display, Formatter, Result};
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use wharf_ops::nat::Protocol;
use wharf_ops::routes::Route;
use wharf_ops::shaping::Rate;
use wharf_ops::{Link, Mac, Ns};

/// One statement of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Statement {
    pub(crate) key: Key,
    pub(crate) value: Value,
    /// The operation that made it so.
    pub(crate) operation: &'static str,
}

/// A link by its name, which is unique in its namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) ns: Ns,
    pub(crate) name: String,
}

impl Named {
    pub(crate) fn new(ns: Ns, name: &str) -> Self {
        Self { ns, name: name.to_owned() }
    }
}

impl From<&Link> for Named {
    fn from(link: &Link) -> Self {
        Self::new(link.ns, &link.name)
    }
}

/// What a statement is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Namespace,
    Link(Named),
    /// The other end of a veth, which is in this namespace.
    Peer(Named, Ns),
    Up(Named),
    Mtu(Named),
    Mac(Named),
    Master(Named),
    Promiscuous(Named),
    Alias(Named),
    Hairpin(Named),
    Isolated(Named),
    Vlans(Named),
    Pvid(Named),
    Address(Named, IpNetwork),
    Route(Ns, Route),
    Neighbour(Named, IpAddr),
    Sysctl(Ns, String),
    Egress(Named),
    Redirect(Named),
    /// By the container's address.
    Masquerade(IpAddr),
    /// By what is forwarded, and whether it is IPv6.
    Forward {
        protocol: Protocol,
        host: Option<IpAddr>,
        port: u16,
        v6: bool,
    },
    /// By the name of the port.
    AntiSpoof(String),
    /// By the configuration's dataDir.
    Lease(Option<String>, IpAddr),
}

impl Key {
    /// The link that goes together with what this is about.
    pub(crate) fn link(&self) -> Option<Named> {
        match self {
            Self::Link(link)
            | Self::Peer(link, _)
            | Self::Up(link)
            | Self::Mtu(link)
            | Self::Mac(link)
            | Self::Master(link)
            | Self::Promiscuous(link)
            | Self::Alias(link)
            | Self::Hairpin(link)
            | Self::Isolated(link)
            | Self::Vlans(link)
            | Self::Pvid(link)
            | Self::Address(link, _)
            | Self::Neighbour(link, _)
            | Self::Egress(link)
            | Self::Redirect(link) => Some(link.clone()),
            Self::AntiSpoof(name) => Some(Named::new(Ns::Host, name)),
            // `ipv4/conf/<link>/...`
            Self::Sysctl(ns, key) => match key.split('/').collect::<Vec<_>>().as_slice() {
                [_, "conf" | "neigh", name, _] if !["all", "default"].contains(name) => {
                    Some(Named::new(*ns, name))
                }
                _ => None,
            },
            Self::Namespace
            | Self::Route(..)
            | Self::Masquerade(_)
            | Self::Forward { .. }
            | Self::Lease(..) => None,
        }
    }

    /// Where it is; none for what is in no namespace.
    pub(crate) fn ns(&self) -> Option<Ns> {
        match self {
            Self::Route(ns, _) | Self::Sysctl(ns, _) => Some(*ns),
            Self::Masquerade(_) | Self::Forward { .. } => Some(Ns::Host),
            Self::Namespace | Self::Lease(..) => None,
            other => other.link().map(|link| link.ns),
        }
    }
}

/// What a statement says, or what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// It is not there. In a record: nobody wants it any more, which is nothing to check.
    Absent,
    Present,
    /// It is there and does not tell, as what can only be written. Never in a record.
    Untold,
    Namespace(u64, u64),
    /// Of any kind where none is said, and any of that name where no index is.
    Link {
        kind: Option<String>,
        index: Option<u32>,
    },
    On(bool),
    Number(u32),
    Mac(Mac),
    Name(String),
    Text(String),
    /// Whether each leaves without its tag.
    Vlans(BTreeMap<u16, bool>),
    /// A route that differs in something else.
    Route(Route),
    Rate(Rate),
    /// Of a masquerade: destinations that see the real source, sorted.
    Except(Vec<IpNetwork>),
    To(IpAddr, u16),
}

fn place(ns: Ns) -> &'static str {
    match ns {
        Ns::Host => "on the host",
        Ns::Container => "in the container",
    }
}

impl Display for Named {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "link {:?} {}", self.name, place(self.ns))
    }
}

impl Display for Key {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Namespace => f.write_str("the container's namespace"),
            Self::Link(link) => write!(f, "{link}"),
            Self::Peer(link, ns) => write!(f, "the peer {} of {link}", place(*ns)),
            Self::Up(link) => write!(f, "state of {link}"),
            Self::Mtu(link) => write!(f, "MTU of {link}"),
            Self::Mac(link) => write!(f, "MAC address of {link}"),
            Self::Master(link) => write!(f, "master of {link}"),
            Self::Promiscuous(link) => write!(f, "promiscuous mode of {link}"),
            Self::Alias(link) => write!(f, "alias of {link}"),
            Self::Hairpin(link) => write!(f, "hairpin mode of port {link}"),
            Self::Isolated(link) => write!(f, "isolation of port {link}"),
            Self::Vlans(link) => write!(f, "VLANs of port {link}"),
            Self::Pvid(link) => write!(f, "PVID of port {link}"),
            Self::Address(link, address) => write!(f, "address {address} on {link}"),
            Self::Route(ns, route) => write!(f, "route {} {}", RouteText(route), place(*ns)),
            Self::Neighbour(link, address) => write!(f, "neighbour {address} on {link}"),
            Self::Sysctl(ns, key) => write!(f, "sysctl {key} {}", place(*ns)),
            Self::Egress(link) => write!(f, "rate limit of {link}"),
            Self::Redirect(link) => write!(f, "redirection of what {link} receives"),
            Self::Masquerade(source) => write!(f, "masquerade of {source}"),
            Self::Forward { protocol, host, port, v6 } => {
                let protocol = match protocol {
                    Protocol::Tcp => "tcp",
                    Protocol::Udp => "udp",
                    Protocol::Sctp => "sctp",
                };
                let any = if *v6 { "any IPv6 address" } else { "any IPv4 address" };
                let host = host.map_or_else(|| any.to_owned(), |host| host.to_string());
                write!(f, "forward of {protocol} port {port} of {host}")
            }
            Self::AntiSpoof(link) => write!(f, "anti-spoofing rule of port {link:?}"),
            Self::Lease(_, address) => write!(f, "lease of {address}"),
        }
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Untold => f.write_str("what cannot be read"),
            Self::Absent => f.write_str("none"),
            Self::Present => f.write_str("one"),
            Self::Namespace(device, inode) => write!(f, "{device}:{inode}"),
            Self::Link { kind, index } => {
                let kind = kind.as_deref().filter(|kind| !kind.is_empty()).unwrap_or("any kind");
                write!(f, "{kind}")?;
                index.map_or(Ok(()), |index| write!(f, " with index {index}"))
            }
            Self::On(on) => f.write_str(if *on { "on" } else { "off" }),
            Self::Number(number) => write!(f, "{number}"),
            Self::Mac(mac) => write!(f, "{mac}"),
            Self::Name(text) | Self::Text(text) => write!(f, "{text:?}"),
            Self::Vlans(vlans) => write!(f, "{}", VlanText(vlans)),
            Self::Route(route) => write!(f, "{}", RouteText(route)),
            Self::Rate(rate) => {
                let Rate { bits_per_second, burst_bits, .. } = rate;
                write!(f, "{bits_per_second} bit/s with a burst of {burst_bits} bit")
            }
            Self::Except(except) if except.is_empty() => f.write_str("one without exceptions"),
            Self::Except(except) => {
                let except: Vec<String> = except.iter().map(ToString::to_string).collect();
                write!(f, "one except to {}", except.join(", "))
            }
            Self::To(address, port) => write!(f, "one to {address} port {port}"),
        }
    }
}

struct RouteText<'a>(&'a Route);

impl Display for RouteText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let Route { dst, gateway, link, source, metric, table, mtu, advmss, scope } = self.0;
        write!(f, "{dst}")?;
        for (word, value) in [
            ("via", gateway.map(|gateway| gateway.to_string())),
            ("by link", link.map(|link| link.to_string())),
            ("source", source.map(|source| source.to_string())),
            ("metric", metric.map(|metric| metric.to_string())),
            ("table", table.map(|table| table.to_string())),
            ("mtu", mtu.map(|mtu| mtu.to_string())),
            ("advmss", advmss.map(|advmss| advmss.to_string())),
            ("scope", scope.map(|scope| scope.to_string())),
        ] {
            if let Some(value) = value {
                write!(f, " {word} {value}")?;
            }
        }
        Ok(())
    }
}

/// In runs, for a trunk can have thousands.
struct VlanText<'a>(&'a BTreeMap<u16, bool>);

impl Display for VlanText<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let mut runs: Vec<(u16, u16, bool)> = Vec::new();
        for (vlan, untagged) in self.0 {
            match runs.last_mut() {
                Some((_, last, same)) if last.checked_add(1) == Some(*vlan) && same == untagged => {
                    *last = *vlan;
                }
                _ => runs.push((*vlan, *vlan, *untagged)),
            }
        }
        if runs.is_empty() {
            return f.write_str("none");
        }
        let text = runs.iter().map(|(first, last, untagged)| {
            let run = if first == last { first.to_string() } else { format!("{first}-{last}") };
            format!("{run}{}", if *untagged { " untagged" } else { "" })
        });
        f.write_str(&text.collect::<Vec<_>>().join(", "))
    }
}

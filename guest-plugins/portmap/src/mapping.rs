//! `runtimeConfig.portMappings`: what runtimes send, checked, and the forwards it amounts to.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use wharf_sdk::firewall::nat::{PortForward, Protocol};
use wharf_sdk::{Error, IpNetwork, Result};

/// A port of the host that leads to one of the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mapping {
    pub(crate) protocol: Protocol,
    /// None is every local address of either family, an unspecified one every local address of its family.
    pub(crate) host_address: Option<IpAddr>,
    pub(crate) host_port: u16,
    pub(crate) container_port: u16,
}

/// An entry as it is written. Its keys match in any case: containerd sends the names of its Go fields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct RawMapping {
    host_port: Option<i64>,
    container_port: Option<i64>,
    protocol: Option<String>,
    host_ip: Option<String>,
}

impl<'de> Deserialize<'de> for RawMapping {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = RawMapping;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with hostPort, containerPort, protocol and hostIP")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawMapping, A::Error> {
                let mut raw = RawMapping::default();
                while let Some(key) = map.next_key::<String>()? {
                    match key.to_ascii_lowercase().as_str() {
                        "hostport" => raw.host_port = map.next_value()?,
                        "containerport" => raw.container_port = map.next_value()?,
                        "protocol" => raw.protocol = map.next_value()?,
                        "hostip" => raw.host_ip = map.next_value()?,
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(raw)
            }
        }
        from.deserialize_map(Keys)
    }
}

/// Checks every entry. A mapping that is there twice counts once; two that send one host port to different
/// container ports contradict each other.
pub(crate) fn parse(entries: &[RawMapping]) -> Result<Vec<Mapping>> {
    let mut taken = BTreeMap::new();
    let mut mappings = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let mut mapping = entry.check(index)?;
        let wanted: Vec<bool> = [true, false].into_iter().filter(|v4| mapping.serves(*v4)).collect();
        let mut fresh = Vec::with_capacity(wanted.len());
        for &v4 in &wanted {
            let listener = (v4, mapping.protocol, mapping.host_port, mapping.listen_address());
            match taken.entry(listener) {
                Entry::Vacant(free) => {
                    free.insert((mapping.container_port, index));
                    fresh.push(v4);
                }
                Entry::Occupied(other) if other.get().0 != mapping.container_port => {
                    let (port, first) = other.get();
                    let reason =
                        format!("{} leads to {port} already, by portMappings[{first}]", mapping.host_port);
                    return Err(Error::config(path(index, "hostPort"), reason));
                }
                Entry::Occupied(_) => {}
            }
        }
        if fresh.len() < wanted.len() {
            let Some(v4) = fresh.first() else { continue };
            mapping.host_address = Some(unspecified(*v4));
        }
        mappings.push(mapping);
    }
    Ok(mappings)
}

impl RawMapping {
    fn check(&self, index: usize) -> Result<Mapping> {
        let host_address = match self.host_ip.as_deref() {
            None | Some("") => None,
            Some(text) => {
                Some(text.parse::<IpAddr>().map(|address| address.to_canonical()).map_err(|_| {
                    Error::config(path(index, "hostIP"), format_args!("{text:?} is no IP address"))
                })?)
            }
        };
        Ok(Mapping {
            protocol: protocol(self.protocol.as_deref(), index)?,
            host_address,
            host_port: port(self.host_port, index, "hostPort")?,
            container_port: port(self.container_port, index, "containerPort")?,
        })
    }
}

impl Mapping {
    /// Whether it is meant for IPv4, or else for IPv6.
    pub(crate) fn serves(&self, v4: bool) -> bool {
        self.host_address.is_none_or(|address| address.is_ipv4() == v4)
    }

    /// Whether a process of the host may use it through 127.0.0.1.
    pub(crate) fn serves_localhost(&self) -> bool {
        self.serves(true) && self.listen_address().is_none_or(|address| address.is_loopback())
    }

    /// The one address that it listens on, if it is one.
    fn listen_address(&self) -> Option<IpAddr> {
        self.host_address.filter(|address| !address.is_unspecified())
    }

    fn to(&self, container: IpNetwork) -> Option<PortForward> {
        self.serves(container.is_ipv4()).then(|| PortForward {
            protocol: self.protocol,
            host_address: self.listen_address(),
            host_port: self.host_port,
            container_address: container.ip(),
            container_port: self.container_port,
        })
    }
}

/// The forwards to each of the container's addresses, without repetition.
pub(crate) fn forwards(mappings: &[Mapping], containers: &[IpNetwork]) -> Vec<PortForward> {
    let mut forwards = Vec::with_capacity(mappings.len() * containers.len());
    for container in containers {
        forwards.extend(mappings.iter().filter_map(|mapping| mapping.to(*container)));
    }
    forwards
}

/// Every local address of a family.
fn unspecified(v4: bool) -> IpAddr {
    if v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// The UDP flows that forwards concern: whether IPv4, and the port of the host.
pub(crate) fn forwarded_flows(forwards: &[PortForward]) -> BTreeSet<(bool, u16)> {
    let udp = forwards.iter().filter(|forward| forward.protocol == Protocol::Udp);
    inserted(udp.map(|forward| (forward.container_address.is_ipv4(), forward.host_port)))
}

/// The UDP flows that mappings concern, whichever addresses the container had.
pub(crate) fn flows(mappings: &[Mapping]) -> BTreeSet<(bool, u16)> {
    let udp = mappings.iter().filter(|mapping| mapping.protocol == Protocol::Udp);
    let both = udp.flat_map(|mapping| [true, false].map(|v4| (mapping, v4)));
    inserted(both.filter(|(mapping, v4)| mapping.serves(*v4)).map(|(mapping, v4)| (v4, mapping.host_port)))
}

/// CHECK: the kernel forwards what is configured, nothing less and nothing else. Order means nothing.
pub(crate) fn compare(present: &[PortForward], wanted: &[PortForward]) -> Result<()> {
    let (have, want) = (inserted(present.iter().map(key)), inserted(wanted.iter().map(key)));
    let describe = |(protocol, host, port, container): &Key| {
        let host = host.map_or_else(|| "any".to_owned(), |host| host.to_string());
        format!("{} port {port} of address {host} to {container}", name(*protocol))
    };
    if let Some(missing) = want.iter().find(|key| !have.contains(key)) {
        return Err(Error::check(format!("the forward of {} is missing", describe(missing))));
    }
    if let Some(surplus) = have.iter().find(|key| !want.contains(key)) {
        return Err(Error::check(format!("the forward of {} is not configured", describe(surplus))));
    }
    Ok(())
}

/// As `collect` does, without the code that it needs for sorting first: a guest is to be small.
fn inserted<T: Ord>(items: impl Iterator<Item = T>) -> BTreeSet<T> {
    let mut set = BTreeSet::new();
    for item in items {
        set.insert(item);
    }
    set
}

/// A forward in an order of its own; an unspecified address of the host is none.
type Key = (Protocol, Option<IpAddr>, u16, SocketAddr);

fn key(forward: &PortForward) -> Key {
    let container = SocketAddr::new(forward.container_address, forward.container_port);
    let host = forward.host_address.filter(|address| !address.is_unspecified());
    (forward.protocol, host, forward.host_port, container)
}

pub(crate) fn name(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Tcp => "tcp",
        Protocol::Udp => "udp",
        Protocol::Sctp => "sctp",
    }
}

fn path(index: usize, member: &str) -> String {
    format!("runtimeConfig.portMappings[{index}].{member}")
}

fn port(value: Option<i64>, index: usize, member: &str) -> Result<u16> {
    let Some(value) = value else {
        return Err(Error::config(path(index, member), "is missing: give a port from 1 to 65535"));
    };
    let valid = u16::try_from(value).ok().filter(|port| *port != 0);
    valid.ok_or_else(|| {
        Error::config(path(index, member), format_args!("{value} is no port: give 1 to 65535"))
    })
}

/// None is TCP, as the CRI has it.
fn protocol(name: Option<&str>, index: usize) -> Result<Protocol> {
    match name.map(str::to_ascii_lowercase).as_deref() {
        None | Some("" | "tcp") => Ok(Protocol::Tcp),
        Some("udp") => Ok(Protocol::Udp),
        Some("sctp") => Ok(Protocol::Sctp),
        Some(_) => {
            let reason = format!("{:?} is unknown: give tcp, udp or sctp", name.unwrap_or_default());
            Err(Error::config(path(index, "protocol"), reason))
        }
    }
}

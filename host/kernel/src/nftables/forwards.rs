//! Port forwarding: a chain per attachment that translates, reached by port, and one that rewrites the source of
//! what was forwarded, reached by the container's address.

use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::{IpNetwork, Ipv4Network};
use wharf_ops::nat::{ForwardOptions, PortForward, Protocol};
use wharf_ops::{Attachment, Error};

use crate::netlink::Socket;

use super::base::forwards::{hostports, ports, replies};
use super::conditions::compile;
use super::expr::{
    Comparison, Expr, MetaKey, REG_1, REG_2, Side, address, bytes, equal, family_is, load_address, load_port,
    network_is, nfproto, protocol_is,
};
use super::in_force::{in_force, is_whole};
use super::masquerades::{exact_address, network};
use super::parts::{Entry, Kind, Part, remove, replace};

const WHAT: &str = "forwarding ports";
const KINDS: [Kind; 2] = [Kind::Forwards, Kind::Replies];

/// Replaces what the attachment has.
pub(crate) fn forward(
    socket: &mut Socket,
    owner: &Attachment,
    forwards: &[PortForward],
    options: &ForwardOptions,
) -> Result<(), Error> {
    let parts = [forward_part(forwards, options)?, reply_part(forwards, options)];
    replace(socket, owner, &KINDS, &parts, WHAT)
}

/// What the attachment has in force.
pub(crate) fn get_forwards(socket: &mut Socket, owner: &Attachment) -> Result<Vec<PortForward>, Error> {
    let mut found = Vec::new();
    if !is_whole(socket, owner, Kind::Replies)? {
        // Where sources are to be rewritten and are not, no answer comes back.
        return Ok(found);
    }
    for rule in in_force(socket, owner, Kind::Forwards)? {
        // Alternatives of a condition are several rules of one mapping.
        if let Some(forward) = read(&rule.exprs).filter(|forward| !found.contains(forward)) {
            found.push(forward);
        }
    }
    Ok(found)
}

/// Absent is success.
pub(crate) fn remove_forwards(socket: &mut Socket, owner: &Attachment) -> Result<(), Error> {
    remove(socket, owner, &KINDS, WHAT)
}

fn forward_part(forwards: &[PortForward], options: &ForwardOptions) -> Result<Part, Error> {
    let conditions = (compile(&options.conditions_v4, true)?, compile(&options.conditions_v6, false)?);
    let mut part = Part::new(Kind::Forwards);
    for forward in forwards {
        let v4 = forward.container_address.is_ipv4();
        part.enter(entry(forward));
        for condition in if v4 { &conditions.0 } else { &conditions.1 } {
            part.rules.push([selector(forward), condition.clone(), translation(forward)].concat());
        }
    }
    Ok(part)
}

fn reply_part(forwards: &[PortForward], options: &ForwardOptions) -> Part {
    let mut part = Part::new(Kind::Replies);
    if !options.snat && !options.masquerade_all {
        return part;
    }
    for container in forwards.iter().map(|forward| forward.container_address) {
        let entry = reply_entry(container);
        if part.entries.contains(&entry) {
            continue;
        }
        for source in rewritten(container, options) {
            let from = match source {
                Some(network) => network_is(Side::Source, Comparison::Equal, network),
                None => Vec::new(),
            };
            part.rules.push([entry.selector.clone(), from, vec![Expr::Masquerade]].concat());
        }
        part.enter(entry);
    }
    part
}

/// Whose source is rewritten on the way to a container; none is everybody.
fn rewritten(container: IpAddr, options: &ForwardOptions) -> Vec<Option<IpNetwork>> {
    if options.masquerade_all {
        return vec![None];
    }
    let v4 = container.is_ipv4();
    let mut sources: Vec<IpNetwork> =
        options.subnets.iter().copied().filter(|subnet| subnet.is_ipv4() == v4).collect();
    if sources.is_empty() {
        sources.push(IpNetwork::from(container));
    }
    if v4 {
        sources.extend(Ipv4Network::new(Ipv4Addr::LOCALHOST, 8).map(IpNetwork::V4));
    }
    sources.into_iter().map(Some).collect()
}

pub(crate) fn protocol(number: u8) -> Option<Protocol> {
    match number {
        6 => Some(Protocol::Tcp),
        17 => Some(Protocol::Udp),
        132 => Some(Protocol::Sctp),
        _ => None,
    }
}

/// Family, protocol, the host's address if one is given, port: always in this order, so that it can be told from
/// the conditions that follow.
fn selector(forward: &PortForward) -> Vec<Expr> {
    let v4 = forward.container_address.is_ipv4();
    let mut exprs = family_is(v4).to_vec();
    exprs.extend(protocol_is(super::protocol_number(forward.protocol)));
    match forward.host_address {
        // Always true: only there to be read back as it was written.
        Some(host) if host.is_unspecified() => {
            exprs.extend(
                IpNetwork::new(host, 0)
                    .map(|any| network_is(Side::Destination, Comparison::Equal, any))
                    .unwrap_or_default(),
            );
        }
        Some(host) => exprs.extend([load_address(v4, Side::Destination), equal(bytes(host))]),
        None => {}
    }
    exprs.extend([load_port(Side::Destination, REG_1), equal(forward.host_port.to_be_bytes())]);
    exprs
}

fn translation(forward: &PortForward) -> Vec<Expr> {
    vec![
        Expr::Load { register: REG_1, data: bytes(forward.container_address) },
        Expr::Load { register: REG_2, data: forward.container_port.to_be_bytes().to_vec() },
        Expr::Dnat { nfproto: nfproto(forward.container_address.is_ipv4()) },
    ]
}

fn entry(forward: &PortForward) -> Entry {
    let v4 = forward.container_address.is_ipv4();
    let mut key = vec![super::protocol_number(forward.protocol), 0, 0, 0];
    let map = match forward.host_address {
        Some(host) if !host.is_unspecified() => {
            key.extend(bytes(host));
            hostports(v4)
        }
        _ => ports(v4),
    };
    key.extend(forward.host_port.to_be_bytes());
    key.extend([0, 0]);
    Entry { map, key, selector: selector(forward) }
}

/// The way to a chain with this rule.
pub(super) fn entry_of(exprs: &[Expr]) -> Option<Entry> {
    read(exprs).map(|forward| entry(&forward))
}

fn reply_entry(container: IpAddr) -> Entry {
    let v4 = container.is_ipv4();
    let to = vec![load_address(v4, Side::Destination), equal(bytes(container))];
    Entry { map: replies(v4), key: bytes(container), selector: [family_is(v4).to_vec(), to].concat() }
}

/// The way to a chain of rewritten sources with this rule.
pub(super) fn reply_entry_of(exprs: &[Expr]) -> Option<Entry> {
    exact_address(exprs.get(2..)?, Side::Destination).map(|(container, _)| reply_entry(container))
}

fn read(exprs: &[Expr]) -> Option<PortForward> {
    let [
        Expr::Meta { key: MetaKey::NfProto, .. },
        _,
        Expr::Meta { key: MetaKey::L4Proto, .. },
        Expr::Compare(_, number),
        rest @ ..,
    ] = exprs
    else {
        return None;
    };
    let (host, rest) = match network(rest, Side::Destination) {
        Some((host, rest)) => (Some(host.ip()), rest),
        None => (None, rest),
    };
    let [Expr::Payload { .. }, Expr::Compare(_, port), ..] = rest else { return None };
    let [.., Expr::Load { data: to, .. }, Expr::Load { data: to_port, .. }, Expr::Dnat { .. }] = rest else {
        return None;
    };
    Some(PortForward {
        protocol: protocol(*number.first()?)?,
        host_address: host,
        host_port: u16::from_be_bytes(port.as_slice().try_into().ok()?),
        container_address: address(to)?,
        container_port: u16::from_be_bytes(to_port.as_slice().try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_ops::nat::Backend;

    fn options() -> ForwardOptions {
        ForwardOptions {
            backend: Backend::Nftables,
            snat: true,
            masquerade_all: false,
            subnets: vec!["10.1.0.0/16".parse().unwrap()],
            mark_bit: 13,
            external_mark_chain: None,
            conditions_v4: Vec::new(),
            conditions_v6: Vec::new(),
        }
    }

    fn to(host: Option<&str>, container: &str) -> PortForward {
        PortForward {
            protocol: Protocol::Udp,
            host_address: host.map(|host| host.parse().unwrap()),
            host_port: 8080,
            container_address: container.parse().unwrap(),
            container_port: 80,
        }
    }

    #[test]
    fn every_kind_of_forward_is_read_back_whatever_the_conditions() {
        let forwards = [
            to(None, "10.1.0.2"),
            to(Some("0.0.0.0"), "10.1.0.2"),
            to(Some("192.0.2.1"), "10.1.0.2"),
            to(None, "fd00::2"),
            to(Some("::"), "fd00::2"),
            to(Some("2001:db8::1"), "fd00::2"),
        ];
        let conditions = ForwardOptions {
            conditions_v4: vec!["ip daddr { 192.0.2.1, 10.0.0.0/8 } udp dport 8080".into()],
            conditions_v6: vec!["ip6 saddr != fd00::/8".into()],
            ..options()
        };
        for options in [options(), conditions] {
            let part = forward_part(&forwards, &options).unwrap();
            let mut read: Vec<PortForward> = part.rules.iter().map(|rule| read(rule).unwrap()).collect();
            read.dedup();
            assert_eq!(read, forwards);
            for rule in &part.rules {
                assert!(part.entries.contains(&entry_of(rule).unwrap()));
            }
        }
    }

    #[test]
    fn sources_are_rewritten_per_container_address() {
        let forwards = [to(None, "10.1.0.2"), to(Some("192.0.2.1"), "10.1.0.2"), to(None, "fd00::2")];
        let part = reply_part(&forwards, &options());
        assert_eq!(part.entries.len(), 2);
        assert_eq!(part.rules.len(), 3, "subnet and loopback for IPv4, the address itself for IPv6");
        assert_eq!(reply_entry_of(&part.rules[0]).unwrap(), part.entries[0]);
        let all = reply_part(&forwards, &ForwardOptions { masquerade_all: true, snat: false, ..options() });
        assert_eq!(all.rules.len(), 2);
        let none = reply_part(&forwards, &ForwardOptions { snat: false, ..options() });
        assert!(none.rules.is_empty() && none.entries.is_empty());
    }
}

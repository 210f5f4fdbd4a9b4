//! Conditions of a configuration as a backend compiles them, and whether a packet meets them.

use std::net::{IpAddr, Ipv4Addr};

use wharf_ops::nat::Backend;
use wharf_ops::{Error, Mac};

use super::iptables::rule::{Match, PortsOf};
use super::iptables::words;
use super::nftables::conditions::compile;
use super::nftables::expr::{Comparison, CtKey, Expr, Header, MetaKey, Side, bytes};

/// What is known of a packet that opens a connection.
#[derive(Clone, Debug)]
pub struct Packet<'a> {
    /// From where.
    pub source: IpAddr,
    /// To where.
    pub destination: IpAddr,
    /// The number of its protocol.
    pub protocol: u8,
    /// 0 for a protocol without ports.
    pub source_port: u16,
    /// 0 for a protocol without ports.
    pub destination_port: u16,
    /// The link that it came by; empty for one that is sent here.
    pub input: &'a str,
    /// The link that it leaves by, where that is known.
    pub output: &'a str,
    /// The hardware address that sent it.
    pub mac: Option<Mac>,
    /// Its mark.
    pub mark: u32,
    /// Whether source and destination are addresses of this namespace.
    pub local: (bool, bool),
}

/// Compiled conditions.
#[derive(Clone, Debug)]
pub struct Conditions(Kind);

#[derive(Clone, Debug)]
enum Kind {
    /// Rows, of which one must hold.
    Nftables(Vec<Vec<Expr>>),
    /// The same.
    Iptables(Vec<Vec<Match>>),
}

impl Conditions {
    /// As `backend` understands `words`.
    pub fn compile(words: &[String], v4: bool, backend: Backend) -> Result<Self, Error> {
        Ok(Self(match backend {
            Backend::Automatic | Backend::Nftables => Kind::Nftables(compile(words, v4)?),
            Backend::Iptables => Kind::Iptables(words::conditions(words, v4)?),
        }))
    }

    /// Whether packets of a protocol can meet them. If not, iptables has no way to the rules of that protocol.
    pub fn admit(&self, protocol: u8) -> bool {
        match &self.0 {
            Kind::Nftables(_) => true,
            Kind::Iptables(rows) => rows.iter().flatten().all(|one| match one {
                Match::Protocol { number, negated } => (*number == protocol) != *negated,
                _ => true,
            }),
        }
    }

    /// Whether the packet meets them.
    pub fn hold(&self, packet: &Packet<'_>) -> bool {
        match &self.0 {
            Kind::Nftables(rows) => rows.iter().any(|row| row_holds(row, packet)),
            Kind::Iptables(rows) => rows.iter().any(|row| row.iter().all(|one| match_holds(one, packet))),
        }
    }
}

fn row_holds(row: &[Expr], packet: &Packet<'_>) -> bool {
    let mut register = Vec::new();
    row.iter().all(|expr| match expr {
        Expr::Meta { .. } | Expr::Ct(_) | Expr::Payload { .. } | Expr::AddressType(_) => {
            register = load(expr, packet);
            !register.is_empty()
        }
        Expr::Mask(mask) => {
            register.iter_mut().zip(mask).for_each(|(byte, mask)| *byte &= mask);
            true
        }
        Expr::Compare(comparison, data) => {
            let equal = register.get(..data.len()) == Some(data.as_slice());
            equal == (*comparison == Comparison::Equal)
        }
        Expr::Range { comparison, from, to } => {
            let inside = (from..=to).contains(&&register);
            inside == (*comparison == Comparison::Equal)
        }
        // Conditions have no others.
        _ => false,
    })
}

/// What an expression loads; nothing if the packet does not have it, which ends the rule.
fn load(expr: &Expr, packet: &Packet<'_>) -> Vec<u8> {
    /// ARPHRD_ETHER.
    const ETHERNET: u16 = 1;
    /// NF_CT_STATE_BIT of IP_CT_NEW.
    const NEW: u32 = 1 << 3;
    /// What a packet leaves its machine with.
    const TTL: u8 = 64;
    let port = |port: u16| if port == 0 { Vec::new() } else { port.to_be_bytes().to_vec() };
    match expr {
        Expr::Meta { key, .. } => match key {
            MetaKey::Mark => packet.mark.to_ne_bytes().to_vec(),
            MetaKey::IifName => name(packet.input),
            MetaKey::OifName => name(packet.output),
            MetaKey::IifType => ETHERNET.to_ne_bytes().to_vec(),
            MetaKey::NfProto => vec![super::nftables::expr::nfproto(packet.source.is_ipv4())],
            MetaKey::L4Proto => vec![packet.protocol],
            // Nobody here puts a link into another group than the first.
            MetaKey::IifGroup if packet.input.is_empty() => Vec::new(),
            MetaKey::IifGroup => 0_u32.to_ne_bytes().to_vec(),
        },
        Expr::Ct(CtKey::State) => NEW.to_ne_bytes().to_vec(),
        Expr::Payload { header: Header::Transport, offset: 0, .. } => port(packet.source_port),
        Expr::Payload { header: Header::Transport, .. } => port(packet.destination_port),
        Expr::Payload { header: Header::Link, .. } => packet.mac.map_or(Vec::new(), |mac| mac.0.to_vec()),
        // Fields other than addresses: the hop limit at 8 or 7, the DSCP before.
        Expr::Payload { header: Header::Network, offset: 7 | 8, len: 1, .. } => vec![TTL],
        Expr::Payload { header: Header::Network, len: len @ (1 | 2), .. } => vec![0; *len as usize],
        Expr::Payload { header: Header::Network, offset: 12 | 8, .. } => bytes(packet.source),
        Expr::Payload { header: Header::Network, .. } => bytes(packet.destination),
        Expr::AddressType(side) => {
            let (address, local) = match side {
                Side::Source => (packet.source, packet.local.0),
                Side::Destination => (packet.destination, packet.local.1),
            };
            address_type(address, local).to_ne_bytes().to_vec()
        }
        _ => Vec::new(),
    }
}

/// RTN_LOCAL, RTN_MULTICAST, RTN_BROADCAST or RTN_UNICAST.
fn address_type(address: IpAddr, local: bool) -> u32 {
    match address {
        _ if local => 2,
        address if address.is_multicast() => 5,
        IpAddr::V4(Ipv4Addr::BROADCAST) => 3,
        _ => 1,
    }
}

fn name(name: &str) -> Vec<u8> {
    let mut bytes = name.as_bytes().to_vec();
    bytes.resize(libc::IFNAMSIZ, 0);
    bytes
}

fn match_holds(one: &Match, packet: &Packet<'_>) -> bool {
    /// NEW among the states of `-m conntrack`.
    const NEW: u16 = 1 << 3;
    let of = |side: Side| match side {
        Side::Source => (packet.source, packet.source_port, packet.local.0),
        Side::Destination => (packet.destination, packet.destination_port, packet.local.1),
    };
    match one {
        Match::Interface { input, name, negated } => {
            let link = if *input { packet.input } else { packet.output };
            let same = name.strip_suffix('+').map_or(link == name, |start| link.starts_with(start));
            same != *negated
        }
        Match::Protocol { number, negated } => (packet.protocol == *number) != *negated,
        Match::Address { side, network, negated } => network.contains(of(*side).0) != *negated,
        Match::Ports { side, from, to, negated } => (*from..=*to).contains(&of(*side).1) != *negated,
        Match::Multiport { of, ranges, negated } => {
            let has = |port: u16| ranges.iter().any(|(from, to)| (*from..=*to).contains(&port));
            let found = match of {
                PortsOf::Source => has(packet.source_port),
                PortsOf::Destination => has(packet.destination_port),
                PortsOf::Either => has(packet.source_port) || has(packet.destination_port),
            };
            found != *negated
        }
        Match::Range { side, from, to, negated } => (*from..=*to).contains(&of(*side).0) != *negated,
        Match::State { bits, negated } => (bits & NEW != 0) != *negated,
        Match::Mark { value, mask, negated } => (packet.mark & mask == *value) != *negated,
        Match::Local { side, negated } => of(*side).2 != *negated,
        Match::Comment(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet() -> Packet<'static> {
        Packet {
            source: "192.0.2.7".parse().unwrap(),
            destination: "10.1.2.3".parse().unwrap(),
            protocol: 6,
            source_port: 40_000,
            destination_port: 80,
            input: "eth0",
            output: "",
            mac: Some(Mac([2, 0, 0, 0, 0, 1])),
            mark: 0x13,
            local: (false, true),
        }
    }

    fn holds(text: &str, backend: Backend) -> bool {
        Conditions::compile(&[text.to_owned()], true, backend).unwrap().hold(&packet())
    }

    #[test]
    fn the_words_of_nftables() {
        for (text, wanted) in [
            ("", true),
            ("ip saddr 192.0.2.0/24", true),
            ("ip saddr != 192.0.2.0/24", false),
            ("ip saddr { 198.51.100.1, 192.0.2.7 } tcp dport 80", true),
            ("ip saddr { 198.51.100.1, 198.51.100.2 }", false),
            ("ip daddr 10.1.2.1-10.1.2.4", true),
            ("tcp dport != 80-90", false),
            ("udp dport 80", false),
            ("iifname eth0", true),
            ("iifname et*", true),
            ("oifname eth0", false),
            ("meta mark 0x3/0xf", true),
            ("meta mark and 0xf != 0x3", false),
            ("meta l4proto { udp, sctp }", false),
            ("ether saddr 02:00:00:00:00:01", true),
            ("ct state new,related", true),
            ("ct state established", false),
            ("fib saddr type local", false),
            ("fib daddr type local", true),
            ("fib saddr type != { local, multicast }", true),
            ("ip ttl > 4", true),
            ("ip ttl < 64", false),
            ("ip dscp cs1", false),
            ("ip dscp != cs1", true),
        ] {
            assert_eq!(holds(text, Backend::Nftables), wanted, "{text}");
        }
    }

    #[test]
    fn the_words_of_iptables() {
        for (text, wanted) in [
            ("-s 192.0.2.0/24 ! -d 10.1.2.3", false),
            ("-s 192.0.2.0/24 -d 10.0.0.0/8", true),
            ("-i et+ -p tcp --dport 80:90", true),
            ("! -i eth0", false),
            ("-p udp", false),
            ("-m mark --mark 0x3/0xf", true),
            ("-m addrtype --dst-type LOCAL", true),
            ("-m addrtype --src-type LOCAL", false),
            ("-m comment --comment why", true),
            ("-s 10.0.0.0/8,192.0.2.0/24", true),
            ("-s 10.0.0.0/8,198.51.100.0/24", false),
            ("-m conntrack --ctstate NEW,RELATED", true),
            ("-m conntrack --ctstate ESTABLISHED", false),
            ("-m conntrack ! --ctstate NEW", false),
            ("-m iprange --src-range 192.0.2.1-192.0.2.9", true),
            ("-m iprange ! --dst-range 10.1.2.3", false),
            ("-p tcp -m multiport --sports 1:9,40000", true),
            ("-p tcp -m multiport ! --sports 1:9", true),
            ("-p tcp -m multiport --ports 80", true),
        ] {
            assert_eq!(holds(text, Backend::Iptables), wanted, "{text}");
        }
    }
}

//! A rule of iptables' nat table as a value, and in iptables' own words.

use std::fmt::Write as _;
use std::net::IpAddr;

use ipnetwork::IpNetwork;

use crate::common::nftables::expr::Side;

/// One thing that a packet must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Match {
    /// `+` at the end of the name is any ending.
    Interface {
        input: bool,
        name: String,
        negated: bool,
    },
    Protocol {
        number: u8,
        negated: bool,
    },
    Address {
        side: Side,
        network: IpNetwork,
        negated: bool,
    },
    /// Of the rule's protocol.
    Ports {
        side: Side,
        from: u16,
        to: u16,
        negated: bool,
    },
    /// First and last port of each range: at most fifteen numbers, of which a single port is one.
    Multiport {
        of: PortsOf,
        ranges: Vec<(u16, u16)>,
        negated: bool,
    },
    /// An address from the first to the last.
    Range {
        side: Side,
        from: IpAddr,
        to: IpAddr,
        negated: bool,
    },
    /// A state of the connection, as bits of [`STATES`].
    State {
        bits: u16,
        negated: bool,
    },
    Mark {
        value: u32,
        mask: u32,
        negated: bool,
    },
    /// An address that is LOCAL.
    Local {
        side: Side,
        negated: bool,
    },
    Comment(String),
}

/// Whose ports `-m multiport` looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum PortsOf {
    Source = 0,
    Destination = 1,
    Either = 2,
}

/// As many numbers as `-m multiport` takes.
pub(crate) const MULTIPORT_NUMBERS: usize = 15;

/// The states of `-m conntrack`, by the bits of its `state_mask`.
pub(crate) const STATES: [(&str, u16); 7] = [
    ("INVALID", 1),
    ("NEW", 1 << 3),
    ("RELATED", 1 << 2),
    ("ESTABLISHED", 1 << 1),
    ("UNTRACKED", 1 << 8),
    ("SNAT", 1 << 6),
    ("DNAT", 1 << 7),
];

impl Match {
    /// Any of these destination ports.
    pub(crate) fn destination_ports(ports: &[u16]) -> Self {
        let ranges = ports.iter().map(|port| (*port, *port)).collect();
        Self::Multiport { of: PortsOf::Destination, ranges, negated: false }
    }
}

/// What happens to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Accept,
    Masquerade,
    Jump(String),
    /// Sets these bits of the mark.
    Mark(u32),
    Dnat(IpAddr, u16),
}

/// A rule; the chain is said beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) matches: Vec<Match>,
    pub(crate) target: Target,
}

impl Rule {
    pub(crate) fn new(matches: Vec<Match>, target: Target) -> Self {
        Self { matches, target }
    }

    /// The protocol that it is about.
    pub(crate) fn protocol(&self) -> Option<u8> {
        self.matches.iter().find_map(|one| match one {
            Match::Protocol { number, negated: false } => Some(*number),
            _ => None,
        })
    }

    /// The only port of that side.
    pub(crate) fn port(&self, side: Side) -> Option<u16> {
        self.matches.iter().find_map(|one| match one {
            Match::Ports { side: s, from, to, negated: false } if *s == side && from == to => Some(*from),
            _ => None,
        })
    }

    /// The network of that side, unless the rule is about everything else.
    pub(crate) fn network(&self, side: Side) -> Option<IpNetwork> {
        self.matches.iter().find_map(|one| match one {
            Match::Address { side: s, network, negated: false } if *s == side => Some(*network),
            _ => None,
        })
    }

    /// As an argument of iptables-restore behind `-A chain`.
    pub(crate) fn words(&self) -> String {
        let mut text = String::new();
        let protocol = self.protocol().map_or("tcp", protocol_name);
        // Extensions ask for the protocol when they are read, so it comes first.
        let (first, rest): (Vec<&Match>, Vec<&Match>) =
            self.matches.iter().partition(|one| matches!(one, Match::Protocol { .. }));
        for one in first.into_iter().chain(rest) {
            write_match(&mut text, one, protocol);
        }
        let _ = match &self.target {
            Target::Accept => write!(text, " -j ACCEPT"),
            Target::Masquerade => write!(text, " -j MASQUERADE"),
            Target::Jump(chain) => write!(text, " -j {chain}"),
            Target::Mark(bits) => write!(text, " -j MARK --set-xmark {bits:#x}/{bits:#x}"),
            Target::Dnat(IpAddr::V4(to), port) => write!(text, " -j DNAT --to-destination {to}:{port}"),
            Target::Dnat(IpAddr::V6(to), port) => write!(text, " -j DNAT --to-destination [{to}]:{port}"),
        };
        text
    }
}

fn write_match(text: &mut String, one: &Match, protocol: &str) {
    let not = |negated: bool| if negated { " !" } else { "" };
    let _ = match one {
        Match::Interface { input, name, negated } => {
            write!(text, "{} -{} {name}", not(*negated), if *input { 'i' } else { 'o' })
        }
        Match::Protocol { number, negated } => {
            write!(text, "{} -p {}", not(*negated), protocol_name(*number))
        }
        Match::Address { network, .. } if network.prefix() == 0 => Ok(()),
        Match::Address { side, network, negated } => {
            write!(text, "{} -{} {network}", not(*negated), if *side == Side::Source { 's' } else { 'd' })
        }
        Match::Ports { side, from, to, negated } => {
            let option = if *side == Side::Source { "sport" } else { "dport" };
            write!(text, " -m {protocol}{} --{option} {}", not(*negated), port_range(*from, *to))
        }
        Match::Multiport { of, ranges, negated } => {
            let option = match of {
                PortsOf::Source => "sports",
                PortsOf::Destination => "dports",
                PortsOf::Either => "ports",
            };
            let ranges: Vec<String> = ranges.iter().map(|(from, to)| port_range(*from, *to)).collect();
            write!(text, " -m multiport{} --{option} {}", not(*negated), ranges.join(","))
        }
        Match::Range { side, from, to, negated } => {
            let option = if *side == Side::Source { "src" } else { "dst" };
            write!(text, " -m iprange{} --{option}-range {from}-{to}", not(*negated))
        }
        Match::State { bits, negated } => {
            let states = STATES.iter().filter(|(_, bit)| bits & bit != 0).map(|(name, _)| *name);
            let states = states.collect::<Vec<_>>().join(",");
            write!(text, " -m conntrack{} --ctstate {states}", not(*negated))
        }
        Match::Mark { value, mask, negated } => {
            write!(text, " -m mark{} --mark {value:#x}/{mask:#x}", not(*negated))
        }
        Match::Local { side, negated } => {
            let option = if *side == Side::Source { "src" } else { "dst" };
            write!(text, " -m addrtype{} --{option}-type LOCAL", not(*negated))
        }
        Match::Comment(comment) => write!(text, " -m comment --comment {}", quoted(comment)),
    };
}

fn port_range(from: u16, to: u16) -> String {
    if from == to { from.to_string() } else { format!("{from}:{to}") }
}

/// As iptables-restore reads it: quotes and backslashes escaped, and no way out of the line.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' | '\r' | '\0' => quoted.push(' '),
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// As `-p` takes it.
pub(crate) fn protocol_name(number: u8) -> &'static str {
    match number {
        6 => "tcp",
        17 => "udp",
        132 => "sctp",
        1 => "icmp",
        58 => "ipv6-icmp",
        _ => "all",
    }
}

/// The number of a protocol in iptables' words.
pub(crate) fn protocol_number(name: &str) -> Option<u8> {
    match name {
        "tcp" => Some(6),
        "udp" => Some(17),
        "sctp" => Some(132),
        "icmp" => Some(1),
        "ipv6-icmp" | "icmpv6" => Some(58),
        _ => name.parse().ok().filter(|number| protocol_name(*number) != "all"),
    }
}

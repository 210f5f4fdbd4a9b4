//! What stands behind the options of iptables' words.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use wharf_ops::Error;

use crate::common::grammar::bad;
use crate::common::nftables::conditions::name_bytes;
use crate::common::nftables::expr::Side;

use super::rule::{MULTIPORT_NUMBERS, Match, PortsOf, STATES};

pub(super) fn comment(text: &str) -> Result<String, Error> {
    if text.len() < 256 { Ok(text.to_owned()) } else { Err(Error::invalid("a comment of over 255 bytes")) }
}

/// Of a list with commas each is a rule of its own, which a negation cannot be.
pub(super) fn addresses(side: Side, text: &str, negated: bool, v4: bool) -> Result<Vec<Match>, Error> {
    if negated && text.contains(',') {
        return Err(Error::invalid(format!(
            "\"!\" is not allowed with a list of addresses, as {text:?} is one: repeat the option"
        )));
    }
    text.split(',').map(|text| address(side, text, negated, v4)).collect()
}

fn address(side: Side, text: &str, negated: bool, v4: bool) -> Result<Match, Error> {
    let network: IpNetwork = text.parse().map_err(|_| bad("address", text))?;
    if network.is_ipv4() != v4 {
        return Err(bad("address of this family", text));
    }
    let network = IpNetwork::new(network.network(), network.prefix()).map_err(|_| bad("address", text))?;
    Ok(Match::Address { side, network, negated })
}

/// `address-address`, or one address.
pub(super) fn address_range(side: Side, text: &str, negated: bool, v4: bool) -> Result<Match, Error> {
    let parse = |text: &str| {
        let address: IpAddr = text.parse().map_err(|_| bad("address", text))?;
        if address.is_ipv4() == v4 { Ok(address) } else { Err(bad("address of this family", text)) }
    };
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (parse(from)?, parse(to)?);
    if from > to { Err(bad("address range", text)) } else { Ok(Match::Range { side, from, to, negated }) }
}

pub(super) fn interface(input: bool, text: &str, negated: bool) -> Result<Match, Error> {
    name_bytes(text, '+')?;
    Ok(Match::Interface { input, name: text.to_owned(), negated })
}

pub(super) fn ports(side: Side, text: &str, negated: bool) -> Result<Match, Error> {
    let (from, to) = port_range(text)?;
    Ok(Match::Ports { side, from, to, negated })
}

/// Ports and ranges of them, with commas.
pub(super) fn multiport(of: PortsOf, text: &str, negated: bool) -> Result<Match, Error> {
    let ranges: Vec<(u16, u16)> = text.split(',').map(port_range).collect::<Result<_, _>>()?;
    let numbers: usize = ranges.iter().map(|(from, to)| if from == to { 1 } else { 2 }).sum();
    if numbers > MULTIPORT_NUMBERS {
        return Err(Error::invalid(format!(
            "{text:?} has more than {MULTIPORT_NUMBERS} ports, of which a range is two"
        )));
    }
    Ok(Match::Multiport { of, ranges, negated })
}

fn port_range(text: &str) -> Result<(u16, u16), Error> {
    let parse = |text: &str| text.parse::<u16>().map_err(|_| bad("port", text));
    let (from, to) = match text.split_once(':') {
        Some((from, to)) => (parse(from)?, parse(to)?),
        None => (parse(text)?, parse(text)?),
    };
    if from > to { Err(bad("port range", text)) } else { Ok((from, to)) }
}

/// Names of states, with commas.
pub(super) fn state(text: &str, negated: bool) -> Result<Match, Error> {
    let mut bits = 0;
    for word in text.split(',') {
        let known = STATES.iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        bits |= known.ok_or_else(|| bad("connection state", word))?.1;
    }
    Ok(Match::State { bits, negated })
}

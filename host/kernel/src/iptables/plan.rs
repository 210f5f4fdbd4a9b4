//! What the reference plugins would have put into the nat table, and how it comes and goes.
//!
//! Their chains are per container and network, so that two interfaces of one container share them. Here each rule
//! has an owner, an interface's end takes only its own, and the chain goes with the last one.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use ipnetwork::IpNetwork;
use wharf_ops::nat::{ForwardOptions, MasqueradeRule, PortForward};
use wharf_ops::{Attachment, Error};

use crate::nftables::expr::Side;
use crate::nftables::{multicast, owner};

use super::names::{
    HOSTPORT_DNAT, HOSTPORT_MASQ, HOSTPORT_SETMARK, OUTPUT, POSTROUTING, PREROUTING, forward,
    forward_comment, masquerade, masquerade_comment, tag,
};
use super::rule::{MULTIPORT_NUMBERS, Match, Rule, Target};
use super::tables::{Found, Step, Tables};
use super::words::conditions;

/// Steps that put these masquerades in place of what the attachment has. All are of the table's family.
pub(super) fn masquerades(
    tables: &mut Tables<'_>,
    owner: &Attachment,
    rules: &[&MasqueradeRule],
) -> Result<Vec<Step>, Error> {
    let chain = masquerade(owner);
    if rules.is_empty() {
        return removal(tables, owner, &chain, POSTROUTING);
    }
    let (mut steps, alone) = make_room(tables, owner, &chain, POSTROUTING)?;
    let comment = || Match::Comment(masquerade_comment(owner));
    let of = |network, negated| Match::Address { side: Side::Destination, network, negated };
    // Only a chain with one source in it can do without naming it, as the reference does.
    let named = !alone || rules.len() > 1 || !tables.hides_owner();
    let mut inner = Vec::new();
    for rule in rules {
        let from = Match::Address { side: Side::Source, network: rule.source.into(), negated: false };
        let from = || if named { vec![from.clone()] } else { Vec::new() };
        for network in rule.except.iter().filter(|network| network.is_ipv4() == tables.v4()) {
            let network = IpNetwork::new(network.network(), network.prefix()).unwrap_or(*network);
            inner.push(Rule::new([from(), vec![of(network, false), comment()]].concat(), Target::Accept));
        }
        let elsewhere = of(multicast(tables.v4()), true);
        inner.push(Rule::new([from(), vec![elsewhere, comment()]].concat(), Target::Masquerade));
    }
    if !tables.hides_owner() {
        for rule in &mut inner {
            rule.matches.push(Match::Comment(tag(owner)));
        }
    }
    if alone {
        steps.extend(inner.into_iter().map(|rule| Step::Append(chain.clone(), rule)));
    } else {
        // In front: the first interface's rules may not name their source.
        steps.extend(inner.into_iter().rev().map(|rule| Step::Insert(chain.clone(), rule)));
    }
    for rule in rules {
        let from = Match::Address { side: Side::Source, network: rule.source.into(), negated: false };
        steps.push(Step::Append(
            POSTROUTING.into(),
            Rule::new(vec![from, comment()], Target::Jump(chain.clone())),
        ));
    }
    Ok(steps)
}

/// Steps that put these forwards in place of what the attachment has. All are of the table's family.
pub(super) fn forwards(
    tables: &mut Tables<'_>,
    owner: &Attachment,
    rules: &[&PortForward],
    options: &ForwardOptions,
) -> Result<Vec<Step>, Error> {
    let chain = forward(owner);
    if rules.is_empty() {
        return removal(tables, owner, &chain, HOSTPORT_DNAT);
    }
    let v4 = tables.v4();
    let conditions = conditions(if v4 { &options.conditions_v4 } else { &options.conditions_v6 }, v4)?;
    let mut steps = shared(tables, options)?;
    steps.extend(make_room(tables, owner, &chain, HOSTPORT_DNAT)?.0);
    let mut ports: BTreeMap<&str, (u8, Vec<u16>)> = BTreeMap::new();
    for rule in rules {
        let number = crate::nftables::protocol_number(rule.protocol);
        let name = super::rule::protocol_name(number);
        ports.entry(name).or_insert((number, Vec::new())).1.push(rule.host_port);
    }
    for (number, ports) in ports.into_values() {
        let own = Match::Protocol { number, negated: false };
        let rows: Vec<Vec<Match>> = conditions.iter().filter_map(|row| for_protocol(row, number)).collect();
        for ports in ports.chunks(MULTIPORT_NUMBERS) {
            let matches =
                [Match::Comment(forward_comment(owner)), Match::destination_ports(ports), own.clone()];
            for row in &rows {
                let matches = matches.iter().chain(row).cloned().collect();
                let rule = Rule::new(matches, Target::Jump(chain.clone()));
                steps.push(Step::Append(HOSTPORT_DNAT.into(), rule));
            }
        }
    }
    for forward in rules {
        for mut rule in translations(forward, options, v4) {
            if !tables.hides_owner() {
                rule.matches.push(Match::Comment(tag(owner)));
            }
            steps.push(Step::Append(chain.clone(), rule));
        }
    }
    Ok(steps)
}

/// Conditions on the protocol decide which of the entries they are for; none if not for this one.
fn for_protocol(conditions: &[Match], number: u8) -> Option<Vec<Match>> {
    let mut rest = Vec::new();
    for one in conditions {
        match one {
            Match::Protocol { number: wanted, negated } if (*wanted == number) == *negated => return None,
            Match::Protocol { .. } => {}
            other => rest.push(other.clone()),
        }
    }
    Some(rest)
}

/// Marks the traffic whose source is to be rewritten, and translates the destination.
fn translations(forward: &PortForward, options: &ForwardOptions, v4: bool) -> Vec<Rule> {
    let mut base = vec![
        Match::Protocol { number: crate::nftables::protocol_number(forward.protocol), negated: false },
        Match::Ports {
            side: Side::Destination,
            from: forward.host_port,
            to: forward.host_port,
            negated: false,
        },
    ];
    if let Some(host) = forward.host_address.filter(|host| !host.is_unspecified()) {
        base.push(Match::Address { side: Side::Destination, network: host.into(), negated: false });
    }
    let mut rules = Vec::new();
    let setmark = options.external_mark_chain.as_deref().unwrap_or(HOSTPORT_SETMARK);
    let mut mark = |source: Option<IpNetwork>| {
        let from = source.map(|network| Match::Address { side: Side::Source, network, negated: false });
        let matches = base.iter().cloned().chain(from).collect();
        rules.push(Rule::new(matches, Target::Jump(setmark.into())));
    };
    if options.masquerade_all {
        mark(None);
    } else if options.snat {
        let mut subnets: Vec<IpNetwork> = options
            .subnets
            .iter()
            .filter(|subnet| subnet.is_ipv4() == v4)
            .filter_map(|subnet| IpNetwork::new(subnet.network(), subnet.prefix()).ok())
            .collect();
        if subnets.is_empty() {
            subnets.push(forward.container_address.into());
        }
        for subnet in subnets {
            mark(Some(subnet));
        }
        if v4 {
            mark(Some(IpAddr::V4(Ipv4Addr::LOCALHOST).into()));
        }
    }
    rules.push(Rule::new(base, Target::Dnat(forward.container_address, forward.container_port)));
    rules
}

/// The chains that all containers share and the ways to them, as far as they are missing or were flushed.
fn shared(tables: &mut Tables<'_>, options: &ForwardOptions) -> Result<Vec<Step>, Error> {
    let mut steps = Vec::new();
    make(tables, HOSTPORT_DNAT, &mut steps)?;
    let local = Match::Local { side: Side::Destination, negated: false };
    for chain in [PREROUTING, OUTPUT] {
        let rule = Rule::new(vec![local.clone()], Target::Jump(HOSTPORT_DNAT.into()));
        let jump = Step::Append(chain.into(), rule);
        want(tables, &mut steps, jump, |tables| leads(tables, chain, HOSTPORT_DNAT))?;
    }
    if !options.snat && !options.masquerade_all {
        return Ok(steps);
    }
    if let Some(chain) = &options.external_mark_chain {
        if tables.chain_use(chain)?.is_none() {
            return Err(Error::not_found(format!(
                "there is no chain {chain} in iptables' nat table: whoever makes it has to run first"
            )));
        }
        return Ok(steps);
    }
    let bit = 1_u32
        .checked_shl(options.mark_bit.into())
        .ok_or_else(|| Error::invalid(format!("the mark bit {} is not one of 0 to 31", options.mark_bit)))?;
    let marks = Match::Comment("CNI portfwd masquerade mark".into());
    let marked = Match::Mark { value: bit, mask: bit, negated: false };
    for (chain, rule) in [
        (HOSTPORT_SETMARK, Rule::new(vec![marks], Target::Mark(bit))),
        (HOSTPORT_MASQ, Rule::new(vec![marked], Target::Masquerade)),
    ] {
        make(tables, chain, &mut steps)?;
        let rule = Step::Append(chain.into(), rule);
        want(tables, &mut steps, rule, |tables| Ok(!tables.found(chain)?.is_empty()))?;
    }
    let comment = Match::Comment("CNI portfwd requiring masquerade".into());
    let rule = Rule::new(vec![comment], Target::Jump(HOSTPORT_MASQ.into()));
    want(tables, &mut steps, Step::Insert(POSTROUTING.into(), rule), leads_to_masquerade)?;
    Ok(steps)
}

/// Makes the chain if it is not there.
fn make(tables: &mut Tables<'_>, chain: &str, steps: &mut Vec<Step>) -> Result<(), Error> {
    if tables.chain_use(chain)?.is_none() {
        steps.push(Step::NewChain(chain.into()));
    }
    Ok(())
}

/// Does a step unless it `was` done. A table that was not read yet is to have its rule; if not, it will be read.
fn want(
    tables: &mut Tables<'_>,
    steps: &mut Vec<Step>,
    step: Step,
    was: impl FnOnce(&mut Tables<'_>) -> Result<bool, Error>,
) -> Result<(), Error> {
    match step {
        Step::Append(chain, rule) | Step::Insert(chain, rule) if tables.is_unread() => {
            steps.push(Step::Expect(chain, rule));
        }
        step => {
            if !was(tables)? {
                steps.push(step);
            }
        }
    }
    Ok(())
}

/// Whether a rule of `from` jumps to `to`.
fn leads(tables: &mut Tables<'_>, from: &str, to: &str) -> Result<bool, Error> {
    Ok(tables.found(from)?.iter().any(|found| found.target.as_deref() == Some(to)))
}

/// POSTROUTING may have a rule for each container, so it is read only where the number of uses does not tell.
fn leads_to_masquerade(tables: &mut Tables<'_>) -> Result<bool, Error> {
    let Some(used) = tables.chain_use(HOSTPORT_MASQ)? else { return Ok(false) };
    if tables.found(HOSTPORT_MASQ)?.len() < usize::try_from(used).unwrap_or(usize::MAX) {
        return Ok(true);
    }
    leads(tables, POSTROUTING, HOSTPORT_MASQ)
}

/// Whether packets get to a container's chain, and what they are marked by is masqueraded: a flush of what all share
/// leaves the chain as it is.
pub(super) fn is_reached(tables: &mut Tables<'_>, chain: &str) -> Result<bool, Error> {
    for (from, to) in [(PREROUTING, HOSTPORT_DNAT), (OUTPUT, HOSTPORT_DNAT), (HOSTPORT_DNAT, chain)] {
        if !leads(tables, from, to)? {
            return Ok(false);
        }
    }
    if !leads(tables, chain, HOSTPORT_SETMARK)? {
        return Ok(true);
    }
    Ok(!tables.found(HOSTPORT_SETMARK)?.is_empty()
        && !tables.found(HOSTPORT_MASQ)?.is_empty()
        && leads_to_masquerade(tables)?)
}

/// Makes the chain, or takes the attachment's rules out of it. True if nobody else's are left in it.
fn make_room(
    tables: &mut Tables<'_>,
    owner: &Attachment,
    chain: &str,
    entry: &str,
) -> Result<(Vec<Step>, bool), Error> {
    if tables.chain_use(chain)?.is_none() {
        return Ok((vec![Step::NewChain(chain.into())], true));
    }
    let (mine, others) = split(tables, owner, chain, entry)?;
    Ok((mine.into_iter().map(Step::Delete).collect(), !others))
}

/// Steps that take away what the attachment has; the chain goes with the last one.
pub(super) fn removal(
    tables: &mut Tables<'_>,
    owner: &Attachment,
    chain: &str,
    entry: &str,
) -> Result<Vec<Step>, Error> {
    if tables.chain_use(chain)?.is_none() {
        return Ok(Vec::new());
    }
    let (mine, others) = split(tables, owner, chain, entry)?;
    let last = (!others).then(|| Step::DeleteChain(chain.into()));
    // The chain takes its own rules along.
    let mine = mine.into_iter().filter(|found| others || found.chain != chain);
    Ok(mine.map(Step::Delete).chain(last).collect())
}

/// The attachment's rules in the chain and on the way to it, and whether there are others'. Rules that nobody's
/// name is on were made by the reference plugins, which do not tell interfaces apart: they go as they would there.
fn split(
    tables: &mut Tables<'_>,
    owner: &Attachment,
    chain: &str,
    entry: &str,
) -> Result<(Vec<Found>, bool), Error> {
    let ways = tables.found(entry)?;
    let ways = ways.iter().filter(|found| found.target.as_deref() == Some(chain));
    let mut mine: Vec<Found> = ways.cloned().collect();
    mine.extend(tables.found(chain)?.iter().cloned());
    let total = mine.len();
    mine.retain(|found| found.owner.as_ref().is_none_or(|found| owner::same(found, owner)));
    let others = mine.len() < total;
    Ok((mine, others))
}

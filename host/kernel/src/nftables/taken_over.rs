//! What an attachment has in the tables of the reference plugins, where they made it and Wharf has to check and delete it.
//!
//! ipMasq's rules name network, container and interface by a hash. portmap's name the container alone: whether one is of
//! an attachment, its destination has to tell. macspoofchk's chains are named after container and interface.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use wharf_ops::nat::{MasqueradeRule, PortForward};
use wharf_ops::{Attachment, Error, Mac};

use crate::netlink::Socket;

use super::expr::{Comparison, Expr, Header, MetaKey, Side, address, address_offset};
use super::forwards::protocol;
use super::owner;
use super::query::{Installed, rules};
use super::reference::{HOSTPORT, HOSTPORT_CHAINS, MASQUERADE, MASQUERADE_CHAIN, destination, hash};
use super::reference_guards;
use super::transaction::{Change, Table, Transaction};

const WHAT: &str = "removing what a reference plugin made";

/// A rule of portmap for a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostportRule {
    table: Table,
    chain: String,
    handle: u64,
    /// The container's address.
    pub(crate) to: Option<IpAddr>,
    /// What it forwards, if it does.
    pub(crate) forward: Option<PortForward>,
}

/// Masquerades of the attachment.
pub(crate) fn masquerades(socket: &mut Socket, owner: &Attachment) -> Result<Vec<MasqueradeRule>, Error> {
    let own = own_masquerades(socket, owner)?;
    Ok(own.iter().filter_map(|rule| read_masquerade(&rule.exprs)).collect())
}

/// Removes them. Absent is success.
pub(crate) fn remove_masquerades(socket: &mut Socket, owner: &Attachment) -> Result<(), Error> {
    let mut transaction = Transaction::new(MASQUERADE);
    for Installed { chain, handle, .. } in own_masquerades(socket, owner)? {
        transaction.push(Change::DeleteRule { chain, handle });
    }
    commit(socket, transaction)
}

fn own_masquerades(socket: &mut Socket, owner: &Attachment) -> Result<Vec<Installed>, Error> {
    let Attachment { network, container, ifname } = owner;
    let prefix = format!("{}-{}", hash(network), hash(&format!("{ifname}:{container}")));
    let mut found = rules(socket, MASQUERADE, Some(MASQUERADE_CHAIN))?;
    found.retain(|rule| owner::comment(&rule.userdata).is_some_and(|comment| comment.starts_with(&prefix)));
    Ok(found)
}

/// `ip saddr == 10.1.0.2 ip daddr != 10.1.0.0/24 masquerade`.
fn read_masquerade(exprs: &[Expr]) -> Option<MasqueradeRule> {
    let (mut source, mut except) = (None, Vec::new());
    for (load, compared) in compared(exprs) {
        let Expr::Payload { header: Header::Network, offset, .. } = load else { continue };
        let (v4, side) = address_at(*offset)?;
        match (side, compared.comparison) {
            (Side::Source, Comparison::Equal) => source = Some(address(compared.data)?),
            (Side::Destination, Comparison::NotEqual) => except.push(compared.network(v4)?),
            _ => return None,
        }
    }
    exprs.last().filter(|last| **last == Expr::Masquerade)?;
    Some(MasqueradeRule { source: source?, except })
}

/// The rules of a container, of whichever network and interface.
pub(crate) fn hostports(socket: &mut Socket, container: &str) -> Result<Vec<HostportRule>, Error> {
    let mut found = Vec::new();
    for table in HOSTPORT {
        for chain in HOSTPORT_CHAINS {
            for Installed { chain, handle, exprs, userdata } in rules(socket, table, Some(chain))? {
                if owner::comment(&userdata) == Some(container) {
                    let (to, forward) = (destination(&exprs), read_forward(&exprs));
                    found.push(HostportRule { table, chain, handle, to, forward });
                }
            }
        }
    }
    Ok(found)
}

/// Removes such rules. Absent is success.
pub(crate) fn remove_hostports(socket: &mut Socket, all: &[HostportRule]) -> Result<(), Error> {
    for table in HOSTPORT {
        let mut transaction = Transaction::new(table);
        for HostportRule { chain, handle, .. } in all.iter().filter(|rule| rule.table == table) {
            transaction.push(Change::DeleteRule { chain: chain.clone(), handle: *handle });
        }
        commit(socket, transaction)?;
    }
    Ok(())
}

/// `ip daddr 192.0.2.1 tcp dport 8080 dnat to 10.1.0.2:80`, the first of it if a host address is given.
fn read_forward(exprs: &[Expr]) -> Option<PortForward> {
    let [.., Expr::Load { data: to, .. }, Expr::Load { data: to_port, .. }, Expr::Dnat { .. }] = exprs else {
        return None;
    };
    let (mut number, mut host_address, mut host_port) = (None, None, None);
    for (load, compared) in compared(exprs).filter(|(_, compared)| compared.comparison == Comparison::Equal) {
        match load {
            Expr::Meta { key: MetaKey::L4Proto, .. } => number = compared.data.first().copied(),
            Expr::Payload { header: Header::Network, .. } => host_address = address(compared.data),
            Expr::Payload { header: Header::Transport, .. } => host_port = port(compared.data),
            _ => {}
        }
    }
    Some(PortForward {
        protocol: protocol(number?)?,
        host_address,
        host_port: host_port?,
        container_address: address(to)?,
        container_port: port(to_port)?,
    })
}

/// The hardware address that macspoofchk lets in for the attachment, if it guards this link.
pub(crate) fn guard(socket: &mut Socket, owner: &Attachment, link: &str) -> Result<Option<Mac>, Error> {
    let Some(rules) = reference_guards::chain_of(socket, &owner.container, &owner.ifname, link)? else {
        return Ok(None);
    };
    let mac = |rule: &Installed| {
        compared(&rule.exprs).find_map(|(load, compared)| match load {
            Expr::Payload { header: Header::Link, offset: 6, len: 6, .. } => {
                compared.data.try_into().ok().map(Mac)
            }
            _ => None,
        })
    };
    Ok(rules.iter().find_map(mac))
}

/// Removes macspoofchk's chains of the attachment. Absent is success.
pub(crate) fn remove_guards(socket: &mut Socket, owner: &Attachment) -> Result<(), Error> {
    let id = reference_guards::id_of(&owner.container, &owner.ifname);
    reference_guards::remove_reference_guard(socket, &id)
}

/// What something that was loaded is compared with.
struct Compared<'a> {
    comparison: Comparison,
    mask: Option<&'a [u8]>,
    data: &'a [u8],
}

/// Each load of a rule that is compared with something.
fn compared(exprs: &[Expr]) -> impl Iterator<Item = (&Expr, Compared<'_>)> {
    exprs.iter().enumerate().filter_map(|(place, load)| {
        let (mask, compare) = match exprs.get(place + 1..)? {
            [Expr::Mask(mask), compare @ Expr::Compare(..), ..] => (Some(mask.as_slice()), compare),
            [compare @ Expr::Compare(..), ..] => (None, compare),
            _ => return None,
        };
        let Expr::Compare(comparison, data) = compare else { return None };
        let is_load = matches!(load, Expr::Meta { .. } | Expr::Payload { .. });
        is_load.then_some((load, Compared { comparison: *comparison, mask, data }))
    })
}

impl Compared<'_> {
    /// As a network. nft loads no more bytes than the prefix has, and needs a mask only if the last one is not whole.
    fn network(&self, v4: bool) -> Option<IpNetwork> {
        let mut whole = self.data.to_vec();
        whole.resize(if v4 { 4 } else { 16 }, 0);
        let bits = match self.mask {
            Some(mask) => mask.iter().map(|byte| byte.count_ones()).sum(),
            None => u32::try_from(self.data.len() * 8).ok()?,
        };
        IpNetwork::new(address(&whole)?, u8::try_from(bits).ok()?).ok()
    }
}

/// Whose address is at that place of the network header.
fn address_at(offset: u32) -> Option<(bool, Side)> {
    let all = [true, false].into_iter().flat_map(|v4| [(v4, Side::Source), (v4, Side::Destination)]);
    let mut all = all.filter(|(v4, side)| address_offset(*v4, *side) == offset);
    all.next()
}

fn port(data: &[u8]) -> Option<u16> {
    data.try_into().ok().map(u16::from_be_bytes)
}

fn commit(socket: &mut Socket, transaction: Transaction) -> Result<(), Error> {
    if transaction.changes.is_empty() {
        return Ok(());
    }
    transaction.commit_removals(socket).map_err(|(transaction, failure)| failure.explain(&transaction, WHAT))
}

#[cfg(test)]
mod tests;

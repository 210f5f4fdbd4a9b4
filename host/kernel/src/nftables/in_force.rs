//! What of an attachment's rules packets reach: the chains that the kernel calls lead to the maps, and these to the
//! attachment's chain. A flush of what all share leaves the rules where they are, and nothing comes by.

use std::slice;

use wharf_ops::{Attachment, Error};

use crate::netlink::Socket;

use super::expr::Verdict;
use super::parts::{Entry, Kind, installed};
use super::query::{Installed, chain_use, element, rules};
use super::{base, spoof};

/// Whether all that the attachment has of that kind is in force.
pub(super) fn is_whole(socket: &mut Socket, owner: &Attachment, kind: Kind) -> Result<bool, Error> {
    Ok(in_force(socket, owner, kind)?.len() == installed(socket, owner, kind)?.len())
}

/// The rules of an attachment's chain that are in force.
pub(super) fn in_force(socket: &mut Socket, owner: &Attachment, kind: Kind) -> Result<Vec<Installed>, Error> {
    let mut inside = installed(socket, owner, kind)?;
    if inside.is_empty() || !is_reached(socket, kind)? {
        return Ok(Vec::new());
    }
    let (table, chain) = (kind.table(), kind.chain(owner));
    let entries = kind.entries(&inside);
    let used = chain_use(socket, table, &chain)?.unwrap_or_default();
    if usize::try_from(used).is_ok_and(|used| used >= inside.len() + entries.len()) {
        return Ok(inside);
    }
    let overflow = kind.overflow().map(|overflow| rules(socket, table, Some(overflow))).transpose()?;
    let mut overflow = overflow.unwrap_or_default();
    overflow.retain(|rule| rule.target() == Some(&chain));
    let lead = Verdict::Jump(chain);
    let mut open: Vec<Entry> = Vec::new();
    for entry in entries {
        if overflow.iter().any(|rule| rule.exprs.starts_with(&entry.selector))
            || element(socket, table, entry.map, &entry.key)?.is_some_and(|verdict| verdict == lead)
        {
            open.push(entry);
        }
    }
    inside.retain(|rule| kind.entries(slice::from_ref(rule)).iter().all(|entry| open.contains(entry)));
    Ok(inside)
}

/// Whether packets get to the maps of that kind.
fn is_reached(socket: &mut Socket, kind: Kind) -> Result<bool, Error> {
    match kind {
        Kind::Forwards => base::forwards::leads_to_forwards(socket),
        Kind::Replies => base::forwards::leads_to_replies(socket),
        Kind::Sources => base::masquerades::present(socket),
        Kind::Spoof => spoof::present(socket),
    }
}

//! What all attachments share: the tables of address translation, each with its maps and the chains that the kernel
//! calls.
//!
//! Made once, in the batch of the first ADD that misses it. Every packet that opens a connection is looked up by
//! address or port in a map, however many attachments there are; the value is a jump to a chain of one attachment.
//! Keys that two attachments want stand in the `more-` chains behind the maps.
//!
//! Ports and masquerades have a table each: with a batch that adds a jump, the kernel validates every chain of its
//! table, and newer kernels only of that. Whose `postrouting` comes first is of no importance: neither keeps a packet
//! from the other, and both rewrite a source in the same way.

pub(super) mod forwards;
pub(super) mod masquerades;

use wharf_ops::Error;

use crate::netlink::Socket;

use super::expr::{Expr, Verdict};
use super::query::chain_use;
use super::transaction::{Change, KeyOrder, Table, Transaction};

const POSTROUTING: &str = "postrouting";

/// `ipv4_addr`, `ipv6_addr`, `inet_proto` and `inet_service` in nft's numbering; a concatenation shifts by six.
const IPV4: u32 = 7;
const IPV6: u32 = 8;
const PROTOCOL: u32 = 12;
const SERVICE: u32 = 13;

/// A map's name for one family.
fn by_family(v4: bool, four: &'static str, six: &'static str) -> &'static str {
    if v4 { four } else { six }
}

/// An address in nft's numbering, and its length.
fn address_type(v4: bool) -> (u32, u32) {
    if v4 { (IPV4, 4) } else { (IPV6, 16) }
}

/// A chain that somebody flushed has fewer rules than it should, and the one behind it is led to less often.
fn is_whole(socket: &mut Socket, table: Table, chain: &str, least: usize) -> Result<bool, Error> {
    let used = chain_use(socket, table, chain)?;
    Ok(used.is_some_and(|used| usize::try_from(used).is_ok_and(|used| used >= least)))
}

fn declare_map(transaction: &mut Transaction, name: &'static str, key_type: u32, key_len: u32) {
    transaction.push(Change::Map { name, key_type, key_len, key_order: KeyOrder::Network });
}

/// A chain's rules, instead of what is there.
fn declare_rules(transaction: &mut Transaction, chain: &str, rules: Vec<Vec<Expr>>) {
    transaction.push(Change::Flush(chain.into()));
    transaction.changes.extend(rules.into_iter().map(|rule| Change::rule(chain, rule)));
}

fn jump(chain: &str) -> Vec<Expr> {
    vec![Expr::Verdict(Verdict::Jump(chain.into()))]
}

//! Rules that the reference plugins left in their own nftables tables.

use std::collections::HashSet;
use std::net::IpAddr;

use sha2::{Digest, Sha512};
use wharf_ops::Error;

use crate::netlink::Socket;
use crate::reference::{Known, Leftover, Place};

use super::expr::{Comparison, Expr, Side, address, address_offset};
use super::owner::{self, hex};
use super::query::rules;
use super::transaction::{Change, Table, Transaction};

/// ipMasq's.
pub(super) const MASQUERADE: Table = Table { family: 1, name: "cni_plugins_masquerade" };
/// portmap's, one per family.
pub(super) const HOSTPORT: [Table; 2] =
    [Table { family: 2, name: "cni_hostport" }, Table { family: 10, name: "cni_hostport" }];
pub(super) const MASQUERADE_CHAIN: &str = "masq_checks";
pub(super) const HOSTPORT_CHAINS: [&str; 3] = ["hostports", "hostip_hostports", "masquerading"];
/// Digits of each of the two hashes that begin ipMasq's comment.
const HASH_LEN: usize = 16;
const WHAT: &str = "removing what a reference plugin left";

/// The rules of containers that are not in use.
pub(crate) fn reference_leftovers(socket: &mut Socket, known: Known<'_>) -> Result<Vec<Leftover>, Error> {
    let mut found = Vec::new();
    let network = format!("{}-", hash(known.network));
    let valid: HashSet<String> =
        known.valid.iter().map(|(container, ifname)| hash(&format!("{ifname}:{container}"))).collect();
    for rule in rules(socket, MASQUERADE, Some(MASQUERADE_CHAIN))? {
        let Some(comment) = owner::comment(&rule.userdata) else { continue };
        let Some(rest) = comment.strip_prefix(&network) else { continue };
        if !rest.get(..HASH_LEN).is_some_and(|instance| valid.contains(instance)) {
            let container = rest.split_once(", id: ").map_or("", |(_, container)| container);
            found.push(leftover(MASQUERADE, rule.chain, rule.handle, container, true));
        }
    }
    for table in HOSTPORT {
        for chain in HOSTPORT_CHAINS {
            for rule in rules(socket, table, Some(chain))? {
                let Some(container) = owner::comment(&rule.userdata) else { continue };
                if known.is_valid(container) {
                    continue;
                }
                // The comment does not say the network: that the address is leased to the container on it does.
                let leased = |to: IpAddr| {
                    known.leases.iter().any(|lease| lease.address == to && lease.owner.container == container)
                };
                let certain = destination(&rule.exprs).is_some_and(leased);
                found.push(leftover(table, rule.chain, rule.handle, container, certain));
            }
        }
    }
    Ok(found)
}

/// Removes such a rule.
pub(crate) fn remove_reference_rule(
    socket: &mut Socket,
    (family, name): (u8, &'static str),
    chain: &str,
    handle: u64,
) -> Result<(), Error> {
    let mut transaction = Transaction::new(Table { family, name });
    transaction.push(Change::DeleteRule { chain: chain.to_owned(), handle });
    transaction.commit_removals(socket).map_err(|(transaction, failure)| failure.explain(&transaction, WHAT))
}

fn leftover(table: Table, chain: String, handle: u64, container: &str, certain: bool) -> Leftover {
    Leftover {
        container: container.to_owned(),
        what: format!("nft rule {table} {chain} handle {handle}"),
        certain,
        place: Place::Rule { family: table.family, table: table.name, chain, handle },
    }
}

/// The container's address: where a rule translates to, or the destination that it masquerades for.
pub(super) fn destination(exprs: &[Expr]) -> Option<IpAddr> {
    let translated = exprs.iter().find_map(|expr| match expr {
        Expr::Load { data, .. } => address(data),
        _ => None,
    });
    translated.or_else(|| {
        exprs.windows(2).find_map(|pair| match pair {
            [Expr::Payload { offset, .. }, Expr::Compare(Comparison::Equal, data)] => address(data)
                .filter(|address| *offset == address_offset(address.is_ipv4(), Side::Destination)),
            _ => None,
        })
    })
}

/// The hash in ipMasq's comments.
pub(crate) fn hash(text: &str) -> String {
    hex(&Sha512::digest(text.as_bytes()), HASH_LEN)
}

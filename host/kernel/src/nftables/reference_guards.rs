//! What the reference's bridge leaves of macspoofchk: two chains in `table bridge nat`, named after container and
//! interface, and the way to them by the host's end of a veth that is gone by then.
//!
//! Their network stands nowhere. That the container has a lease on it by that very interface does say it.

use std::collections::BTreeSet;

use wharf_ops::Error;

use crate::netlink::Socket;
use crate::reference::{Known, Leftover, Place};

use super::conditions::name_bytes;
use super::expr::Expr;
use super::owner;
use super::query::{Installed, chain_use, rules};
use super::transaction::{Change, Table, Transaction};

/// NFPROTO_BRIDGE.
const TABLE: Table = Table { family: 7, name: "nat" };
const PREROUTING: &str = "PREROUTING";
const COMMENT: &str = "macspoofchk-";
const WHAT: &str = "removing what the reference's macspoofchk left";

/// The guards of attachments that are not in use.
pub(crate) fn reference_guards(socket: &mut Socket, known: Known<'_>) -> Result<Vec<Leftover>, Error> {
    let all = rules(socket, TABLE, None)?;
    let mut ids: BTreeSet<String> =
        all.iter().filter_map(|rule| id(&rule.userdata)).map(Into::into).collect();
    // The reference makes the chains first, and what goes into them with another call.
    let any = chain_use(socket, TABLE, PREROUTING)?.is_some();
    for lease in known.leases.iter().filter(|_| any) {
        let id = id_of(&lease.owner.container, &lease.owner.ifname);
        if !ids.contains(&id) && chain_use(socket, TABLE, &chains(&id)[0])?.is_some() {
            ids.insert(id);
        }
    }
    let valid = |id: &str| known.valid.iter().any(|(container, ifname)| id == id_of(container, ifname));
    ids.retain(|id| !valid(id));
    Ok(ids.into_iter().map(|id| leftover(id, known)).collect())
}

/// Removes one. Absent is success.
pub(crate) fn remove_reference_guard(socket: &mut Socket, id: &str) -> Result<(), Error> {
    let mut transaction = Transaction::new(TABLE);
    for rule in rules(socket, TABLE, Some(PREROUTING))? {
        if self::id(&rule.userdata) == Some(id) {
            transaction.push(Change::DeleteRule { chain: rule.chain, handle: rule.handle });
        }
    }
    for chain in chains(id) {
        // It takes its rules along.
        if chain_use(socket, TABLE, &chain)?.is_some() {
            transaction.push(Change::DeleteChain(chain));
        }
    }
    if transaction.changes.is_empty() {
        return Ok(());
    }
    transaction.commit_removals(socket).map_err(|(transaction, failure)| failure.explain(&transaction, WHAT))
}

fn id(userdata: &[u8]) -> Option<&str> {
    owner::comment(userdata)?.strip_prefix(COMMENT)
}

pub(super) fn id_of(container: &str, ifname: &str) -> String {
    format!("{container}-{ifname}")
}

/// The rules that say which addresses may enter by a link, if the attachment's guard is of that link.
pub(super) fn chain_of(
    socket: &mut Socket,
    container: &str,
    ifname: &str,
    link: &str,
) -> Result<Option<Vec<Installed>>, Error> {
    let id = id_of(container, ifname);
    let name = name_bytes(link, '\0')?;
    let leads = |rule: &Installed| {
        let of_link = rule.exprs.iter().any(|expr| matches!(expr, Expr::Compare(_, data) if *data == name));
        of_link && self::id(&rule.userdata) == Some(&id)
    };
    if !rules(socket, TABLE, Some(PREROUTING))?.iter().any(leads) {
        return Ok(None);
    }
    let [_, second] = chains(&id);
    rules(socket, TABLE, Some(&second)).map(Some)
}

/// In the order in which they can go: the first leads to the second.
fn chains(id: &str) -> [String; 2] {
    let first = format!("cni-br-iface-{id}");
    let second = format!("{first}-mac");
    [first, second]
}

fn leftover(id: String, known: Known<'_>) -> Leftover {
    let lease = known.leases.iter().find(|lease| id == id_of(&lease.owner.container, &lease.owner.ifname));
    // An interface's name may have a dash as well, but few do.
    let container = match lease {
        Some(lease) => lease.owner.container.clone(),
        None => id.rsplit_once('-').map_or_else(String::new, |(container, _)| container.to_owned()),
    };
    let [chain, _] = chains(&id);
    let what = format!("nft chain {TABLE} {chain}");
    Leftover { container, what, certain: lease.is_some(), place: Place::Guard { id } }
}

//! Anti-spoofing: `table bridge wharf`, where frames are looked up by the bridge port that they enter by.

use wharf_ops::{Attachment, Error, ErrorKind, Mac};

use crate::netlink::Socket;

use super::conditions::name_bytes;
use super::expr::{Comparison, Expr, Header, MetaKey, REG_1, Verdict, equal};
use super::in_force::in_force;
use super::parts::{Entry, Kind, Part, installed, remove, replace};
use super::query::{Installed, chain_use};
use super::transaction::{Change, Hook, KeyOrder, Table, Transaction};

/// NFPROTO_BRIDGE.
pub(crate) const TABLE: Table = Table { family: 7, name: "wharf" };
/// Bridge ports that are guarded.
pub(super) const PORTS: &str = "ports";
const PREROUTING: &str = "prerouting";
/// `ifname` in nft's numbering.
const IFNAME: u32 = 41;
const WHAT: &str = "guarding a bridge port against forged hardware addresses";

/// Whether the base is there.
pub(super) fn present(socket: &mut Socket) -> Result<bool, Error> {
    Ok(chain_use(socket, TABLE, PREROUTING)?.is_some_and(|rules| rules > 0))
}

/// Declares it.
pub(super) fn declare(transaction: &mut Transaction) {
    transaction.push(Change::Table);
    transaction.push(Change::Map { name: PORTS, key_type: IFNAME, key_len: 16, key_order: KeyOrder::Host });
    let hook = Hook { kind: "filter", number: 0, priority: -300 };
    transaction.push(Change::BaseChain { name: PREROUTING, hook });
    transaction.push(Change::Flush(PREROUTING.into()));
    let look = vec![Expr::Meta { key: MetaKey::IifName, register: REG_1 }, Expr::VerdictMap(PORTS.into())];
    transaction.push(Change::rule(PREROUTING, look));
}

/// Lets only frames from `allowed` enter by `link`. What the attachment guards by other links stays.
pub(crate) fn guard(socket: &mut Socket, owner: &Attachment, link: &str, allowed: Mac) -> Result<(), Error> {
    let mut guards = read(&installed(socket, owner, Kind::Spoof)?);
    guards.retain(|(name, _)| name != link);
    guards.push((link.to_owned(), allowed));
    let mut part = Part::new(Kind::Spoof);
    for (link, allowed) in &guards {
        let name = name_bytes(link, '\0')?;
        let selector = selector(&name);
        let from = vec![
            Expr::Payload { header: Header::Link, offset: 6, len: 6, register: REG_1 },
            equal(allowed.0),
            Expr::Verdict(Verdict::Return),
        ];
        part.rules.push([selector.clone(), from].concat());
        part.rules.push([selector.clone(), vec![Expr::Verdict(Verdict::Drop)]].concat());
        part.enter(Entry { map: PORTS, key: name, selector });
    }
    replace(socket, owner, &[Kind::Spoof], &[part], WHAT).map_err(|mut error| {
        if error.errno == Some(libc::ENOENT) || error.kind == ErrorKind::Unsupported {
            error.kind = ErrorKind::Unsupported;
            error.message = format!(
                "{}; this needs a kernel with nf_tables for bridges (CONFIG_NF_TABLES_BRIDGE)",
                error.message
            );
        }
        error
    })
}

/// What is in force for `link`, if the attachment guards it.
pub(crate) fn get_guard(socket: &mut Socket, owner: &Attachment, link: &str) -> Result<Option<Mac>, Error> {
    let guards = read(&in_force(socket, owner, Kind::Spoof)?);
    Ok(guards.into_iter().find(|(name, _)| name == link).map(|(_, allowed)| allowed))
}

/// Absent is success.
pub(crate) fn remove_guards(socket: &mut Socket, owner: &Attachment) -> Result<(), Error> {
    remove(socket, owner, &[Kind::Spoof], WHAT)
}

/// The links that rules guard, and what may enter by them.
fn read(rules: &[Installed]) -> Vec<(String, Mac)> {
    let guard = |rule: &Installed| match rule.exprs.get(2..)? {
        [Expr::Payload { header: Header::Link, .. }, Expr::Compare(_, mac), ..] => {
            let name = String::from_utf8(entry_of(&rule.exprs)?.key).ok()?;
            Some((name.trim_end_matches('\0').to_owned(), Mac(mac.as_slice().try_into().ok()?)))
        }
        _ => None,
    };
    rules.iter().filter_map(guard).collect()
}

fn selector(name: &[u8]) -> Vec<Expr> {
    vec![Expr::Meta { key: MetaKey::IifName, register: REG_1 }, equal(name)]
}

/// The way to a chain with this rule.
pub(super) fn entry_of(exprs: &[Expr]) -> Option<Entry> {
    match exprs {
        [Expr::Meta { key: MetaKey::IifName, .. }, Expr::Compare(Comparison::Equal, name), ..] => {
            Some(Entry { map: PORTS, key: name.clone(), selector: selector(name) })
        }
        _ => None,
    }
}

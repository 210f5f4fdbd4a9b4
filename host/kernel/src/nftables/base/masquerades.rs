//! `table inet wharf-masquerade`: the sources of what containers send.

use wharf_ops::Error;

use crate::netlink::Socket;

use super::super::expr::{Comparison, Expr, Side, Verdict, family_is, load_address, network_is};
use super::super::multicast;
use super::super::transaction::{Change, Hook, Table, Transaction};
use super::{POSTROUTING, address_type, by_family, declare_map, declare_rules, is_whole, jump};

pub(crate) const TABLE: Table = Table { family: 1, name: "wharf-masquerade" };

/// Behind the maps of masqueraded sources.
pub(in super::super) const MORE_SOURCES: &str = "more-sources";

/// `sources4`, `sources6`: the container's address as source.
pub(in super::super) fn sources(v4: bool) -> &'static str {
    by_family(v4, "sources4", "sources6")
}

/// Whether packets are looked up in the maps of sources.
pub(in super::super) fn present(socket: &mut Socket) -> Result<bool, Error> {
    is_whole(socket, TABLE, POSTROUTING, postrouting().len())
}

/// Declares everything. Whoever comes second in a race replaces it by the same.
pub(in super::super) fn declare(transaction: &mut Transaction) {
    transaction.push(Change::Table);
    for v4 in [true, false] {
        let (address, len) = address_type(v4);
        declare_map(transaction, sources(v4), address, len);
    }
    transaction.push(Change::Chain { name: MORE_SOURCES.into(), exclusive: false });
    let hook = Hook { kind: "nat", number: 4, priority: 100 };
    transaction.push(Change::BaseChain { name: POSTROUTING, hook });
    declare_rules(transaction, POSTROUTING, postrouting());
}

/// Containers' own traffic, but never multicast.
fn postrouting() -> Vec<Vec<Expr>> {
    let mut rules = Vec::new();
    for (v4, network) in [(true, multicast(true)), (false, multicast(false))] {
        let to = network_is(Side::Destination, Comparison::Equal, network);
        rules.push([family_is(v4).to_vec(), to, vec![Expr::Verdict(Verdict::Return)]].concat());
    }
    for v4 in [true, false] {
        let look = vec![load_address(v4, Side::Source), Expr::VerdictMap(sources(v4).into())];
        rules.push([family_is(v4).to_vec(), look].concat());
    }
    rules.push(jump(MORE_SOURCES));
    rules
}

//! The nft flavour: `table ip nat` and `table ip6 nat` by native netlink, in the expressions of iptables-nft.

use std::sync::Arc;

use wharf_ops::{Attachment, Error};

use crate::netlink::Socket;
use crate::nftables::owner;
use crate::nftables::query::{self, Installed};
use crate::nftables::transaction::{Change, Hook, Table, Transaction};

use super::memory::Memory;
use super::names::{OUTPUT, POSTROUTING, PREROUTING};
use super::rule::Rule;
use super::tables::{Found, Place, Refusal, Step};
use super::xt::{decode, encode};

/// The nat table of one family.
pub(crate) struct Nft<'a> {
    socket: &'a mut Socket,
    table: Table,
    memory: Option<&'a mut Memory>,
}

impl<'a> Nft<'a> {
    pub(crate) fn new(socket: &'a mut Socket, v4: bool, memory: Option<&'a mut Memory>) -> Self {
        Self { socket, table: table(v4), memory }
    }

    pub(super) fn v4(&self) -> bool {
        self.table == table(true)
    }

    pub(super) fn chain_use(&mut self, chain: &str) -> Result<Option<u32>, Error> {
        query::chain_use(self.socket, self.table, chain)
    }

    pub(super) fn found(&mut self, chain: Option<&str>) -> Result<Arc<[Found]>, Error> {
        let (v4, table) = (self.v4(), self.table);
        let read = |socket: &mut Socket| {
            let rules = query::rules(socket, table, chain)?;
            Ok(rules.into_iter().map(|rule| found(rule, v4)).collect())
        };
        match (chain, &mut self.memory) {
            (Some(chain), Some(memory)) => memory.found(self.socket, v4, chain, read),
            _ => read(self.socket),
        }
    }

    pub(super) fn commit(&mut self, owner: &Attachment, steps: &[Step], what: &str) -> Result<(), Refusal> {
        let v4 = self.v4();
        let userdata = owner::encode_hidden(owner);
        let mut transaction = Transaction::new(self.table);
        self.builtin(steps, &mut transaction).map_err(Refusal::Other)?;
        for step in steps {
            let (chain, rule, first) = match step {
                Step::NewChain(name) => {
                    transaction.push(Change::Chain { name: name.clone(), exclusive: true });
                    continue;
                }
                Step::DeleteChain(name) => {
                    transaction.push(Change::DeleteChain(name.clone()));
                    continue;
                }
                Step::Delete(Found { chain, place: Place::Handle(handle), .. }) => {
                    transaction.push(Change::DeleteRule { chain: chain.clone(), handle: *handle });
                    continue;
                }
                // Of the other flavour.
                Step::Delete(Found { place: Place::Words(_), .. }) | Step::Expect(..) => continue,
                Step::Append(chain, rule) => (chain, rule, false),
                Step::Insert(chain, rule) => (chain, rule, true),
            };
            let (exprs, compat) = encode(rule, v4);
            let userdata = if shared(chain, rule) { Vec::new() } else { userdata.clone() };
            transaction.push(Change::Rule { chain: chain.clone(), exprs, userdata, compat, first });
        }
        transaction.commit(self.socket).map_err(|failure| {
            if let Some(memory) = &mut self.memory {
                memory.forget();
            }
            let changed = failure.only(&[libc::EEXIST, libc::ENOENT, libc::EBUSY]);
            let error = failure.explain(&transaction, what);
            if changed { Refusal::Changed(error) } else { Refusal::Other(error) }
        })
    }

    /// iptables' own chains, as far as the steps add to them and they are not there: iptables-nft makes them when
    /// it first needs them, too.
    fn builtin(&mut self, steps: &[Step], transaction: &mut Transaction) -> Result<(), Error> {
        for (name, number, priority) in [(PREROUTING, 0, -100), (OUTPUT, 3, -100), (POSTROUTING, 4, 100)] {
            let wanted = steps
                .iter()
                .any(|step| matches!(step, Step::Append(chain, _) | Step::Insert(chain, _) if chain == name));
            if wanted && self.chain_use(name)?.is_none() {
                if transaction.changes.is_empty() {
                    transaction.push(Change::Table);
                }
                transaction.push(Change::BaseChain { name, hook: Hook { kind: "nat", number, priority } });
            }
        }
        Ok(())
    }
}

fn table(v4: bool) -> Table {
    Table { family: if v4 { 2 } else { 10 }, name: "nat" }
}

/// What stands between iptables' own chains and the shared ones is nobody's.
fn shared(chain: &str, rule: &Rule) -> bool {
    use super::names::{HOSTPORT_DNAT, HOSTPORT_MASQ, HOSTPORT_SETMARK};
    let target = match &rule.target {
        super::rule::Target::Jump(target) => target.as_str(),
        _ => "",
    };
    [HOSTPORT_MASQ, HOSTPORT_SETMARK].contains(&chain) || [HOSTPORT_DNAT, HOSTPORT_MASQ].contains(&target)
}

fn found(rule: Installed, v4: bool) -> Found {
    Found {
        rule: decode(&rule.exprs, v4),
        owner: owner::decode(&rule.userdata),
        target: rule.target().map(str::to_owned),
        place: Place::Handle(rule.handle),
        chain: rule.chain,
    }
}

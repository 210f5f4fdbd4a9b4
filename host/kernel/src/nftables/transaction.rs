//! Changes to one table as values, and their commit: one atomic nf_tables batch, one send.

use wharf_ops::Error;

use crate::netlink::{Builder, Message, Messages, NetlinkError, Socket};

use super::encode::{DATA_VALUE, ELEMENT, put, put_verdict};
use super::expr::{Expr, Verdict};

/// NFNL_SUBSYS_NFTABLES.
const SUBSYSTEM: u16 = 10;
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
const NEWTABLE: u16 = SUBSYSTEM << 8;
const NEWCHAIN: u16 = NEWTABLE + 3;
const DELCHAIN: u16 = NEWTABLE + 5;
const NEWRULE: u16 = NEWTABLE + 6;
const DELRULE: u16 = NEWTABLE + 8;
const NEWSET: u16 = NEWTABLE + 9;
const NEWSETELEM: u16 = NEWTABLE + 12;
const DELSETELEM: u16 = NEWTABLE + 14;
const NLMSG_ERROR: u16 = 2;
const REQUEST: u16 = 1;
const ACK: u16 = 4;
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
/// NFT_SET_MAP, and the key type of a map to verdicts.
const SET_MAP: u32 = 8;
const VERDICT_TYPE: u32 = 0xffff_ff00;
const VERDICT_LEN: u32 = 16;
const POLICY_ACCEPT: u32 = 1;

/// A table and its family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    /// NFPROTO_*.
    pub(crate) family: u8,
    /// Its name.
    pub(crate) name: &'static str,
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let family = match self.family {
            1 => "inet",
            2 => "ip",
            7 => "bridge",
            10 => "ip6",
            _ => "?",
        };
        write!(f, "{family} {}", self.name)
    }
}

/// A chain that the kernel calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    /// `nat` or `filter`.
    pub(crate) kind: &'static str,
    /// NF_INET_* or NF_BR_*.
    pub(crate) number: u32,
    /// Lower is earlier.
    pub(crate) priority: i32,
}

/// One change to a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    Table,
    BaseChain {
        name: &'static str,
        hook: Hook,
    },
    /// Fails if it is there, or declares it again.
    Chain {
        name: String,
        exclusive: bool,
    },
    Flush(String),
    /// With the rules in it. None if it is absent.
    DeleteChain(String),
    Map {
        name: &'static str,
        key_type: u32,
        key_len: u32,
        key_order: KeyOrder,
    },
    Rule {
        chain: String,
        exprs: Vec<Expr>,
        userdata: Vec<u8>,
        compat: Option<Compat>,
        first: bool,
    },
    /// None if it is absent.
    DeleteRule {
        chain: String,
        handle: u64,
    },
    /// Fails if the key is taken.
    Element {
        map: &'static str,
        key: Vec<u8>,
        verdict: Verdict,
    },
    /// None if it is absent.
    DeleteElement {
        map: &'static str,
        key: Vec<u8>,
    },
}

/// How nft prints the keys of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum KeyOrder {
    Host = 1,
    Network = 2,
}

/// NFTA_RULE_COMPAT: what xtables extensions ask of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Compat {
    pub(crate) protocol: u8,
    pub(crate) inverted: bool,
}

impl Change {
    /// A rule at the end of a chain.
    pub(crate) fn rule(chain: impl Into<String>, exprs: Vec<Expr>) -> Self {
        Self::Rule { chain: chain.into(), exprs, userdata: Vec::new(), compat: None, first: false }
    }

    /// A rule at the end of a chain that says whose the chain is.
    pub(crate) fn marked(chain: impl Into<String>, exprs: Vec<Expr>, userdata: &[u8]) -> Self {
        Self::Rule { chain: chain.into(), exprs, userdata: userdata.to_vec(), compat: None, first: false }
    }

    /// Whether the change has come true if the kernel says that there is nothing.
    fn removes(&self) -> bool {
        matches!(self, Self::DeleteChain(_) | Self::DeleteRule { .. } | Self::DeleteElement { .. })
    }

    fn push(&self, messages: &mut Messages, table: Table, ack: u16) {
        let (kind, flags) = match self {
            Self::Table => (NEWTABLE, CREATE),
            Self::BaseChain { .. } => (NEWCHAIN, CREATE),
            Self::Chain { exclusive, .. } => (NEWCHAIN, if *exclusive { CREATE | EXCLUSIVE } else { CREATE }),
            Self::DeleteChain(_) => (DELCHAIN, 0),
            Self::Map { .. } => (NEWSET, CREATE),
            Self::Rule { first, .. } => (NEWRULE, if *first { CREATE } else { CREATE | APPEND }),
            Self::DeleteRule { .. } | Self::Flush(_) => (DELRULE, 0),
            Self::Element { .. } => (NEWSETELEM, CREATE | EXCLUSIVE),
            Self::DeleteElement { .. } => (DELSETELEM, 0),
        };
        messages.push(kind, REQUEST | flags | ack, |b| {
            b.raw(&[table.family, 0, 0, 0]).text(1, table.name);
            self.body(b);
        });
    }

    fn body(&self, b: &mut Builder) {
        match self {
            Self::Table => {
                b.be32(2, 0);
            }
            Self::BaseChain { name, hook } => {
                b.text(3, name);
                b.nested(4, |b| {
                    // The kernel reads the priority as signed.
                    b.be32(1, hook.number).be32(2, hook.priority.cast_unsigned());
                });
                b.be32(5, POLICY_ACCEPT).text(7, hook.kind);
            }
            Self::Chain { name, .. } | Self::DeleteChain(name) => {
                b.text(3, name);
            }
            Self::Flush(chain) => {
                b.text(2, chain);
            }
            Self::Map { name, key_type, key_len, key_order } => {
                b.text(2, name).be32(3, SET_MAP).be32(4, *key_type).be32(5, *key_len);
                // The id is only a name within the batch, but older kernels insist on one.
                b.be32(6, VERDICT_TYPE).be32(7, VERDICT_LEN).be32(10, 1);
                // NFTNL_UDATA_SET_KEYBYTEORDER: only nft reads it, to print keys.
                let order = (*key_order as u32).to_ne_bytes();
                b.attribute(13, &[&[0, 4], &order[..]].concat());
            }
            Self::Rule { chain, exprs, userdata, compat, .. } => {
                b.text(2, chain);
                b.nested(4, |b| put(b, exprs));
                if let Some(compat) = compat {
                    b.nested(5, |b| {
                        b.be32(1, u32::from(compat.protocol)).be32(2, if compat.inverted { 2 } else { 0 });
                    });
                }
                if !userdata.is_empty() {
                    b.attribute(7, userdata);
                }
            }
            Self::DeleteRule { chain, handle } => {
                b.text(2, chain).be64(3, *handle);
            }
            Self::Element { map, key, verdict } => {
                b.text(2, map);
                Self::element(b, key, Some(verdict));
            }
            Self::DeleteElement { map, key } => {
                b.text(2, map);
                Self::element(b, key, None);
            }
        }
    }

    fn element(b: &mut Builder, key: &[u8], verdict: Option<&Verdict>) {
        b.nested(3, |b| {
            b.nested(ELEMENT, |b| put_element(b, key, verdict));
        });
    }
}

/// The inside of an element: NFTA_SET_ELEM_KEY and NFTA_SET_ELEM_DATA.
pub(super) fn put_element(b: &mut Builder, key: &[u8], verdict: Option<&Verdict>) {
    b.nested(1, |b| {
        b.attribute(DATA_VALUE, key);
    });
    if let Some(verdict) = verdict {
        b.nested(2, |b| put_verdict(b, verdict));
    }
}

/// Why a batch was not carried out: nothing of it was.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The kernel refused these changes, by their place in the transaction.
    Refused(Vec<(usize, NetlinkError)>),
    /// Anything else.
    Other(NetlinkError),
}

impl Failure {
    /// Places of the changes refused with `errno`, if nothing was refused for another reason.
    pub(crate) fn all(&self, errno: i32) -> Option<Vec<usize>> {
        let Self::Refused(refused) = self else { return None };
        let places = refused.iter().map(|(place, error)| (error.errno() == Some(errno)).then_some(*place));
        places.collect()
    }

    /// Whether nothing was refused for another reason than these.
    pub(crate) fn only(&self, errnos: &[i32]) -> bool {
        let Self::Refused(refused) = self else { return false };
        refused.iter().all(|(_, error)| error.errno().is_some_and(|errno| errnos.contains(&errno)))
    }

    /// As the answer to an operation.
    pub(crate) fn explain(self, transaction: &Transaction, what: &str) -> Error {
        match self {
            Self::Other(error) => error.explain(format!("{what} in table {}", transaction.table)),
            Self::Refused(refused) => match refused.into_iter().next() {
                Some((place, error)) => {
                    let change = transaction.changes.get(place).map_or_else(String::new, describe);
                    error.explain(format!("{what} in table {}: {change}", transaction.table))
                }
                None => Error::internal(format!("{what} in table {}: refused", transaction.table)),
            },
        }
    }
}

fn describe(change: &Change) -> String {
    match change {
        Change::Table => "creating the table".into(),
        Change::BaseChain { name, hook } => format!("creating the {} chain {name}", hook.kind),
        Change::Chain { name, .. } => format!("creating chain {name}"),
        Change::Flush(chain) => format!("flushing chain {chain}"),
        Change::DeleteChain(chain) => format!("deleting chain {chain}"),
        Change::Map { name, .. } => format!("creating map {name}"),
        Change::Rule { chain, .. } => format!("adding a rule to chain {chain}"),
        Change::DeleteRule { chain, .. } => format!("deleting a rule of chain {chain}"),
        Change::Element { map, .. } => format!("adding an element to map {map}"),
        Change::DeleteElement { map, .. } => format!("deleting an element of map {map}"),
    }
}

/// Changes that come true together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Transaction {
    pub(crate) table: Table,
    pub(crate) changes: Vec<Change>,
}

impl Transaction {
    pub(crate) fn new(table: Table) -> Self {
        Self { table, changes: Vec::new() }
    }

    pub(crate) fn push(&mut self, change: Change) {
        self.changes.push(change);
    }

    /// As messages, the last real one acknowledged: kernels before 6.10 do not acknowledge the batch's own.
    fn write(&self, messages: &mut Messages) {
        let boundary = [0, 0, 0, 10];
        messages.push(BATCH_BEGIN, REQUEST, |b| {
            b.raw(&boundary);
        });
        for (place, change) in self.changes.iter().enumerate() {
            change.push(messages, self.table, if place + 1 == self.changes.len() { ACK } else { 0 });
        }
        messages.push(BATCH_END, REQUEST, |b| {
            b.raw(&boundary);
        });
    }

    /// Carries all changes out, or none.
    pub(crate) fn commit(&self, socket: &mut Socket) -> Result<(), Failure> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let mut messages = socket.messages();
        self.write(&mut messages);
        let (first, count) = (messages.first(), messages.count());
        socket.send(messages).map_err(Failure::Other)?;
        // The kernel worked the batch off inside send(2): every answer is queued.
        let mut refused = Vec::new();
        let mut acknowledged = false;
        let mut on_message = |message: &Message<'_>| {
            let place = message.sequence.wrapping_sub(first);
            if message.kind == NLMSG_ERROR && place < count {
                match message.acknowledgement() {
                    Ok(()) => acknowledged |= place + 2 == count,
                    Err(error) => refused.push((place, error)),
                }
            }
            Ok(())
        };
        while socket.receive_now(&mut on_message).map_err(Failure::Other)? {}
        if refused.is_empty() {
            let lost = NetlinkError::Malformed("no acknowledgement of a batch of nf_tables");
            return if acknowledged { Ok(()) } else { Err(Failure::Other(lost)) };
        }
        let mut places = Vec::with_capacity(refused.len());
        for (place, error) in refused {
            // What is wrong with the batch's own messages is wrong with all.
            match usize::try_from(place).ok().and_then(|place| place.checked_sub(1)) {
                Some(place) if place < self.changes.len() => places.push((place, error)),
                _ => return Err(Failure::Other(error)),
            }
        }
        Err(Failure::Refused(places))
    }

    /// As `commit`; removals of what is gone meanwhile are left out, as often as it takes.
    pub(crate) fn commit_removals(mut self, socket: &mut Socket) -> Result<(), (Self, Failure)> {
        loop {
            let failure = match self.commit(socket) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            let Some(gone) = failure.all(libc::ENOENT) else { return Err((self, failure)) };
            let all_removals = gone.iter().all(|place| self.changes.get(*place).is_some_and(Change::removes));
            if gone.is_empty() || !all_removals {
                return Err((self, failure));
            }
            let mut place = 0;
            self.changes.retain(|_| {
                place += 1;
                !gone.contains(&(place - 1))
            });
        }
    }
}

//! The chains of one attachment and the ways to them: put in place in one batch, found again, taken away.

use std::collections::HashSet;

use wharf_ops::{Attachment, Error};

use crate::netlink::Socket;

use super::base;
use super::expr::{Expr, Verdict};
use super::query::{Installed, chain_use, element, elements, rules};
use super::transaction::{Change, Failure, Table, Transaction};
use super::{forwards, masquerades, owner, spoof};

/// A batch can lose a race against another process; after this many something else is wrong.
const ATTEMPTS: usize = 16;

/// Every table that Wharf has.
const TABLES: [Table; 3] = [base::forwards::TABLE, base::masquerades::TABLE, spoof::TABLE];

/// What a chain is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Masquerades the attachment's addresses.
    Sources,
    /// Translates the destination of its ports.
    Forwards,
    /// Rewrites the source of what was forwarded to it.
    Replies,
    /// Drops frames with another's source.
    Spoof,
}

impl Kind {
    /// The attachment's chain: 26 bytes, so that kernels and tools of any age take it.
    pub(crate) fn chain(self, owner: &Attachment) -> String {
        let prefix = match self {
            Self::Sources => 'm',
            Self::Forwards => 'f',
            Self::Replies => 'r',
            Self::Spoof => 's',
        };
        format!("{prefix}-{}", owner::key(owner))
    }

    pub(super) fn table(self) -> Table {
        match self {
            Self::Sources => base::masquerades::TABLE,
            Self::Forwards | Self::Replies => base::forwards::TABLE,
            Self::Spoof => spoof::TABLE,
        }
    }

    /// Whether the base of its table is there.
    fn is_led_to(self, socket: &mut Socket) -> Result<bool, Error> {
        match self {
            Self::Sources => base::masquerades::present(socket),
            Self::Forwards | Self::Replies => base::forwards::present(socket),
            Self::Spoof => spoof::present(socket),
        }
    }

    /// Declares the base of its table.
    fn declare(self, transaction: &mut Transaction) {
        match self {
            Self::Sources => base::masquerades::declare(transaction),
            Self::Forwards | Self::Replies => base::forwards::declare(transaction),
            Self::Spoof => spoof::declare(transaction),
        }
    }

    /// Where keys go that somebody else has. None: they are taken over, for only one link can have a name, and
    /// whoever had it before is gone.
    pub(super) fn overflow(self) -> Option<&'static str> {
        match self {
            Self::Sources => Some(base::masquerades::MORE_SOURCES),
            Self::Forwards => Some(base::forwards::MORE_FORWARDS),
            Self::Replies => Some(base::forwards::MORE_REPLIES),
            Self::Spoof => None,
        }
    }

    /// Every map that can lead to such a chain.
    fn maps(self) -> &'static [&'static str] {
        match self {
            Self::Sources => &["sources4", "sources6"],
            Self::Forwards => &["ports4", "ports6", "hostports4", "hostports6"],
            Self::Replies => &["replies4", "replies6"],
            Self::Spoof => &[spoof::PORTS],
        }
    }

    /// The ways that lead to a chain with these rules.
    pub(super) fn entries(self, rules: &[Installed]) -> Vec<Entry> {
        let mut entries: Vec<Entry> = Vec::new();
        for rule in rules {
            let entry = match self {
                Self::Sources => masquerades::entry_of(&rule.exprs),
                Self::Forwards => forwards::entry_of(&rule.exprs),
                Self::Replies => forwards::reply_entry_of(&rule.exprs),
                Self::Spoof => spoof::entry_of(&rule.exprs),
            };
            if let Some(entry) = entry.filter(|entry| !entries.contains(entry)) {
                entries.push(entry);
            }
        }
        entries
    }
}

/// One way to an attachment's chain: a key of a map, and the same as a match for the chain behind the map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) map: &'static str,
    pub(crate) key: Vec<u8>,
    pub(crate) selector: Vec<Expr>,
}

/// One chain that is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) kind: Kind,
    pub(crate) entries: Vec<Entry>,
    pub(crate) rules: Vec<Vec<Expr>>,
}

impl Part {
    pub(crate) fn new(kind: Kind) -> Self {
        Self { kind, entries: Vec::new(), rules: Vec::new() }
    }

    pub(crate) fn enter(&mut self, entry: Entry) {
        if !self.entries.contains(&entry) {
            self.entries.push(entry);
        }
    }

    fn push(&self, transaction: &mut Transaction, owner: &Attachment, taken: &HashSet<Vec<u8>>) {
        let chain = self.kind.chain(owner);
        transaction.push(Change::Chain { name: chain.clone(), exclusive: true });
        let mut userdata = owner::encode(owner);
        for rule in &self.rules {
            transaction.push(Change::marked(chain.clone(), rule.clone(), &userdata));
            userdata.clear();
        }
        for entry in &self.entries {
            let verdict = Verdict::Jump(chain.clone());
            let Entry { map, key, selector } = entry.clone();
            if taken.contains(&taken_key(map, &key)) {
                if let Some(overflow) = self.kind.overflow() {
                    let rule = selector.into_iter().chain([Expr::Verdict(verdict)]).collect();
                    transaction.push(Change::rule(overflow, rule));
                    continue;
                }
                transaction.push(Change::DeleteElement { map, key: key.clone() });
            }
            transaction.push(Change::Element { map, key, verdict });
        }
    }
}

fn taken_key(map: &str, key: &[u8]) -> Vec<u8> {
    [map.as_bytes(), b"\0", key].concat()
}

/// Puts the parts in place of what the attachment has of `kinds`, in one batch. All are of one table.
///
/// The usual case, an attachment that has nothing yet and keys that nobody has, is one question and one batch that
/// only adds. Everything else shows in the kernel's refusal, and is looked into only then.
pub(crate) fn replace(
    socket: &mut Socket,
    owner: &Attachment,
    kinds: &[Kind],
    parts: &[Part],
    what: &str,
) -> Result<(), Error> {
    let parts: Vec<&Part> = parts.iter().filter(|part| !part.rules.is_empty()).collect();
    let missing: Vec<Kind> =
        kinds.iter().copied().filter(|kind| parts.iter().all(|part| part.kind != *kind)).collect();
    let Some(first) = parts.first().map(|part| part.kind) else {
        return remove(socket, owner, kinds, what);
    };
    let table = first.table();
    let mut declare = !first.is_led_to(socket)?;
    // A part that is not wanted any more is noticed by its name; a wanted one by the refusal.
    let mut old: Vec<Kind> = Vec::new();
    for kind in missing {
        if chain_use(socket, table, &kind.chain(owner))?.is_some() {
            old.push(kind);
        }
    }
    let mut taken = HashSet::new();
    let mut last = Error::internal(format!("{what}: not tried"));
    for _ in 0..ATTEMPTS {
        let mut transaction = Transaction::new(table);
        if declare {
            first.declare(&mut transaction);
        }
        for kind in &old {
            removal(socket, owner, *kind, Heirs::Stay, &mut transaction)?;
        }
        for part in &parts {
            part.push(&mut transaction, owner, &taken);
        }
        let Err(failure) = transaction.commit(socket) else { return Ok(()) };
        let Failure::Refused(refused) = &failure else { return Err(failure.explain(&transaction, what)) };
        let mut understood = true;
        let mut exists = false;
        let mut keys = Vec::new();
        for (place, error) in refused {
            match (error.errno(), transaction.changes.get(*place)) {
                (Some(libc::EEXIST), Some(Change::Chain { name, .. })) => {
                    exists = true;
                    old.extend(
                        parts
                            .iter()
                            .map(|part| part.kind)
                            .filter(|kind| kind.chain(owner) == *name && !old.contains(kind))
                            .collect::<Vec<_>>(),
                    );
                }
                (Some(libc::EEXIST), Some(Change::Element { map, key, .. })) => {
                    keys.push(taken_key(map, key));
                }
                // The base or what was to be replaced went away meanwhile.
                (Some(libc::ENOENT), Some(gone)) => {
                    if let Change::DeleteElement { map, key } = gone {
                        taken.remove(&taken_key(map, key));
                    }
                    declare = declare || !first.is_led_to(socket)?;
                }
                _ => understood = false,
            }
        }
        // While the attachment's own chain is in the way, so are its own keys.
        if !exists {
            taken.extend(keys);
        }
        let explained = failure.explain(&transaction, what);
        if !understood {
            return Err(explained);
        }
        last = explained;
    }
    Err(last)
}

/// Takes away what the attachment has of `kinds`, in one batch per table. Absent is success, and costs one question each.
pub(crate) fn remove(
    socket: &mut Socket,
    owner: &Attachment,
    kinds: &[Kind],
    what: &str,
) -> Result<(), Error> {
    for table in TABLES {
        let mut heirs = Heirs::Move;
        loop {
            let mut transaction = Transaction::new(table);
            for kind in kinds.iter().filter(|kind| kind.table() == table) {
                removal(socket, owner, *kind, heirs, &mut transaction)?;
            }
            let Err((transaction, failure)) = transaction.commit_removals(socket) else { break };
            let moves = transaction.changes.iter().any(|change| matches!(change, Change::Element { .. }));
            if !moves {
                return Err(failure.explain(&transaction, what));
            }
            // An heir may be gone by now. Where it is, it has its keys all the same.
            heirs = Heirs::Stay;
        }
    }
    Ok(())
}

/// Takes away everything that the attachment has here.
pub(crate) fn remove_all(socket: &mut Socket, owner: &Attachment) -> Result<(), Error> {
    remove(
        socket,
        owner,
        &[Kind::Sources, Kind::Forwards, Kind::Replies, Kind::Spoof],
        "removing what an attachment has",
    )
}

/// The rules of an attachment's chain.
pub(crate) fn installed(
    socket: &mut Socket,
    owner: &Attachment,
    kind: Kind,
) -> Result<Vec<Installed>, Error> {
    rules(socket, kind.table(), Some(&kind.chain(owner)))
}

/// Whether who waits for a key behind the map gets its place in it. Else the next who asks for the key would, before those
/// who have had it for longer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Heirs {
    Move,
    Stay,
}

/// Ways first, then the chain. A key that leads elsewhere is somebody else's.
fn removal(
    socket: &mut Socket,
    owner: &Attachment,
    kind: Kind,
    heirs: Heirs,
    transaction: &mut Transaction,
) -> Result<(), Error> {
    let chain = kind.chain(owner);
    let table = kind.table();
    let Some(used) = chain_use(socket, table, &chain)? else { return Ok(()) };
    let lead = Verdict::Jump(chain.clone());
    let inside = installed(socket, owner, kind)?;
    let overflow = kind.overflow().map(|overflow| rules(socket, table, Some(overflow))).transpose()?;
    let (overflow, others): (Vec<Installed>, Vec<Installed>) =
        overflow.unwrap_or_default().into_iter().partition(|rule| rule.target() == Some(&chain));
    let (mut ways, mut inherited) = (Vec::new(), Vec::new());
    for Entry { map, key, selector } in kind.entries(&inside) {
        if element(socket, table, map, &key)?.is_some_and(|verdict| verdict == lead) {
            let heir = others
                .iter()
                .find(|rule| rule.exprs.len() == selector.len() + 1 && rule.exprs.starts_with(&selector));
            if let Some(heir) = heir.filter(|_| heirs == Heirs::Move)
                && let Some(next) = heir.target()
            {
                inherited.push(Change::Element {
                    map,
                    key: key.clone(),
                    verdict: Verdict::Jump(next.to_owned()),
                });
                inherited.push(Change::DeleteRule { chain: heir.chain.clone(), handle: heir.handle });
            }
            ways.push((map, key));
        }
    }
    // Somebody emptied the chain: what led to it can only be found in the maps themselves.
    if usize::try_from(used).is_ok_and(|used| used > inside.len() + ways.len() + overflow.len()) {
        ways.clear();
        inherited.clear();
        for map in kind.maps() {
            let leading = elements(socket, table, map)?.into_iter().filter(|(_, verdict)| *verdict == lead);
            ways.extend(leading.map(|(key, _)| (*map, key)));
        }
    }
    let ways = ways.into_iter().map(|(map, key)| Change::DeleteElement { map, key });
    transaction.changes.extend(ways);
    let behind =
        overflow.into_iter().map(|rule| Change::DeleteRule { chain: rule.chain, handle: rule.handle });
    transaction.changes.extend(behind);
    transaction.changes.extend(inherited);
    transaction.push(Change::DeleteChain(chain));
    Ok(())
}

/// Everybody who has chains of Wharf's.
pub(crate) fn owners(socket: &mut Socket) -> Result<Vec<Attachment>, Error> {
    let mut found = Vec::new();
    for table in TABLES {
        for rule in rules(socket, table, None)? {
            found.extend(owner::decode(&rule.userdata));
        }
    }
    Ok(found)
}

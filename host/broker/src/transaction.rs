//! One ADD as a whole: what it did so far, and how that is undone.
//!
//! An entry is recorded before its operation is carried out and taken back when the operation failed. The entries are
//! plain values, so that they can be written to disk as they are.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wharf_ops::leases::LeaseOwner;
use wharf_ops::{KernelOp, Link, Ns};

/// How one thing is undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Undo {
    /// By an operation on the kernel.
    Kernel {
        /// Which.
        op: KernelOp,
        /// A bridge that others may have joined since: while it has ports, it stays as it is.
        unless_used: Option<Link>,
    },
    /// By giving an address back.
    Lease {
        /// The configuration's dataDir.
        directory: Option<String>,
        /// Which address.
        address: IpAddr,
        /// Whose it was.
        owner: LeaseOwner,
    },
    /// By a native plugin's DEL.
    Native {
        /// Its type.
        plugin: String,
        /// What its standard input is.
        config: String,
    },
}

/// An entry of the transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The operation that it undoes.
    pub(crate) operation: &'static str,
    /// How.
    pub(crate) undo: Undo,
}

/// The entries, oldest first, and the links that came into being.
#[derive(Debug, Default)]
pub(crate) struct Transaction {
    entries: Vec<Entry>,
    created: Vec<Link>,
}

impl Transaction {
    /// How many entries there are: a point to go back to.
    pub(crate) fn mark(&self) -> usize {
        self.entries.len()
    }

    /// Records how an operation will be undone.
    pub(crate) fn record(&mut self, operation: &'static str, undo: Undo) {
        self.entries.push(Entry { operation, undo });
    }

    /// Forgets what was recorded since `mark`: the operation did nothing.
    pub(crate) fn forget(&mut self, mark: usize) {
        self.entries.truncate(mark);
    }

    /// Notes a link that this ADD created: what is done to it needs no undo, for it will be deleted.
    pub(crate) fn created(&mut self, link: &Link) {
        self.created.push(link.clone());
    }

    /// Whether this ADD created the link.
    pub(crate) fn owns(&self, link: &Link) -> bool {
        self.created.iter().any(|own| own.ns == link.ns && own.index == link.index)
    }

    /// Whether this ADD created the link with that index.
    pub(crate) fn owns_index(&self, ns: Ns, index: u32) -> bool {
        self.created.iter().any(|own| own.ns == ns && own.index == index)
    }

    /// Whether this ADD created the link with that name.
    pub(crate) fn owns_name(&self, ns: Ns, name: &str) -> bool {
        self.created.iter().any(|own| own.ns == ns && own.name == name)
    }

    /// The links that this ADD created.
    pub(crate) fn links(&self) -> &[Link] {
        &self.created
    }

    /// The entries in the order in which they are to be undone.
    pub(crate) fn into_undo(self) -> impl Iterator<Item = Entry> {
        self.entries.into_iter().rev()
    }
}

#[cfg(test)]
mod tests {
    use wharf_ops::nat::NatOp;

    use super::*;

    fn undo() -> Undo {
        Undo::Kernel { op: KernelOp::Nat(NatOp::RemoveForwards), unless_used: None }
    }

    #[test]
    fn undo_runs_backwards_and_without_what_was_forgotten() {
        let mut transaction = Transaction::default();
        transaction.record("a", undo());
        let mark = transaction.mark();
        transaction.record("b", undo());
        transaction.forget(mark);
        transaction.record("c", undo());
        let order: Vec<_> = transaction.into_undo().map(|entry| entry.operation).collect();
        assert_eq!(order, ["c", "a"]);
    }

    #[test]
    fn a_link_is_known_by_namespace_and_index() {
        let mut transaction = Transaction::default();
        let link = Link { ns: Ns::Host, index: 7, name: "v".into() };
        transaction.created(&link);
        assert!(transaction.owns(&link) && transaction.owns_name(Ns::Host, "v"));
        assert!(!transaction.owns(&Link { ns: Ns::Container, ..link }));
    }
}

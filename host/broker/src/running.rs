//! One ADD while it runs: what it did so far, in memory and in its journal.
//!
//! A step is recorded before its operation is carried out, and what came of it afterwards.

use wharf_ops::call::NetworkResult;
use wharf_ops::{Error, KernelOp, Link, Ns};

use crate::bridges::{Bridges, HeldBridge};
use crate::flock::Patience;
use crate::journal::{
    Begin, Commit, ConfigChange, Effect, GuestRun, Held, JournalError, Outcome, Step, Transaction, unix_time,
};
use crate::spent::{Safeguard, Safeguards};

/// The running transaction and the file that it is written to.
#[derive(Debug)]
pub(crate) struct Running {
    journal: Held,
    safeguards: Safeguards,
    bridges: Bridges,
    /// Those that this ADD relies on.
    shared: Vec<HeldBridge>,
    transaction: Transaction,
    created: Vec<Link>,
    /// Those of them that go when the attachment goes. A bridge stays, and so does a veth between two ends of the host.
    private: Vec<Link>,
}

impl Running {
    /// Starts one in a journal that holds nothing unfinished.
    pub(crate) fn begin(
        mut journal: Held,
        begin: Begin,
        bridges: Bridges,
        safeguards: &Safeguards,
    ) -> Result<Self, JournalError> {
        match safeguards.time(Safeguard::Journal, || journal.begin(&begin)) {
            Ok(()) => Ok(Self {
                journal,
                safeguards: safeguards.clone(),
                bridges,
                shared: Vec::new(),
                transaction: Transaction::new(begin),
                created: Vec::new(),
                private: Vec::new(),
            }),
            Err(error) => {
                // What could not be begun needs no file. If it stays, it is empty and means nothing.
                let _ = journal.close();
                Err(error)
            }
        }
    }

    /// Notes a guest that is about to run.
    pub(crate) fn guest(&mut self, name: &str, digest: &str) -> Result<(), Error> {
        let guest = GuestRun { name: name.to_owned(), digest: digest.to_owned() };
        self.safeguards.time(Safeguard::Journal, || self.journal.guest(&guest))?;
        self.transaction.guests.push(guest);
        Ok(())
    }

    /// Notes a policy that is going to be asked.
    pub(crate) fn policy(&mut self, name: &str, digest: &str) -> Result<(), Error> {
        let policy = GuestRun { name: name.to_owned(), digest: digest.to_owned() };
        self.safeguards.time(Safeguard::Journal, || self.journal.policy(&policy))?;
        self.transaction.policies.push(policy);
        Ok(())
    }

    /// Notes what a policy changed in a configuration. Nothing has been done with it: it may wait.
    pub(crate) fn changed(&mut self, change: ConfigChange) -> Result<(), Error> {
        self.safeguards.time(Safeguard::Journal, || self.journal.changed(&change))?;
        self.transaction.changes.push(change);
        Ok(())
    }

    /// Keeps others from undoing what they did to a bridge of the host, until this ADD ends, or its links are undone: it is
    /// about to rely on it.
    pub(crate) fn share_bridge(&mut self, name: &str, patience: &Patience<'_>) -> Result<(), Error> {
        if self.shared.iter().all(|held| held.name() != name) {
            self.shared.push(self.bridges.share(name, patience)?);
        }
        Ok(())
    }

    /// Records what is about to be done. What has to be undone is in the file when this returns.
    pub(crate) fn intend(&mut self, guest: &str, effect: Effect) -> Result<(), Error> {
        let seq = u32::try_from(self.transaction.steps.len()).unwrap_or(u32::MAX);
        self.safeguards
            .time(Safeguard::Journal, || self.journal.intent(seq, guest, &effect, needs_undo(&effect)))?;
        let step = Step { seq, guest: guest.to_owned(), effect, outcome: Outcome::Pending };
        self.transaction.steps.push(step);
        Ok(())
    }

    /// Records what came of the last step.
    pub(crate) fn ended(&mut self, outcome: Outcome) -> Result<(), Error> {
        let Some(step) = self.transaction.steps.last_mut() else { return Ok(()) };
        step.outcome = outcome;
        self.created.extend_from_slice(step.created());
        if step.creates_private_links() {
            self.private.extend_from_slice(step.created());
        }
        // That it was simply done follows from whatever is written next.
        if step.outcome != Outcome::Done {
            let now = needs_undo(&step.effect) || !step.created().is_empty();
            self.safeguards.time(Safeguard::Journal, || self.journal.done(step.seq, &step.outcome, now))?;
        }
        Ok(())
    }

    /// Notes something that is that way already: it belongs to the record, and nothing undoes it.
    pub(crate) fn found(&mut self, guest: &str, op: &KernelOp) -> Result<(), Error> {
        self.intend(guest, Effect::Kernel { op: op.clone(), undo: Vec::new() })?;
        self.ended(Outcome::AlreadySo)
    }

    /// Makes it a record.
    pub(crate) fn commit(&mut self, result: NetworkResult) -> Result<(), JournalError> {
        let commit = Commit { time: unix_time(), result };
        self.safeguards.time(Safeguard::Journal, || self.journal.commit(&commit))?;
        self.transaction.commit = Some(commit);
        Ok(())
    }

    /// What it did, the journal it is in, and the bridges that it relies on.
    pub(crate) fn into_parts(self) -> (Transaction, Held, Vec<HeldBridge>) {
        (self.transaction, self.journal, self.shared)
    }

    /// The operations of earlier ADDs of this attachment that are in force, newest first.
    pub(crate) fn earlier(&self) -> impl Iterator<Item = &KernelOp> {
        let newest_first = self.journal.record().committed().rev();
        newest_first.flat_map(|transaction| {
            let operations: Vec<&KernelOp> = transaction.operations().map(|(_, op)| op).collect();
            operations.into_iter().rev()
        })
    }

    /// Forgets a link that this ADD deleted: whatever has its name or its index next is somebody else's.
    pub(crate) fn forget(&mut self, link: &Link) {
        for list in [&mut self.created, &mut self.private] {
            list.retain(|own| own.ns != link.ns || own.index != link.index);
        }
    }

    /// Whether this ADD created the link: what is done to it needs no undo, for it will be deleted.
    pub(crate) fn owns(&self, link: &Link) -> bool {
        self.created.iter().any(|own| own.ns == link.ns && own.index == link.index)
    }

    /// Whether an earlier ADD of the attachment made the link for it alone.
    pub(crate) fn made_before(&self, link: &Link) -> bool {
        let here = self.journal.record().committed().filter(|transaction| !transaction.of_earlier_boot());
        let mut steps = here.flat_map(|transaction| &transaction.steps);
        steps.any(|step| {
            let is = |own: &Link| own.ns == link.ns && own.index == link.index;
            step.creates_private_links() && step.created().iter().any(is)
        })
    }

    /// Whether this ADD created the link with that index, and it goes with the attachment: whatever depends on it will.
    pub(crate) fn takes_along(&self, ns: Ns, index: u32) -> bool {
        self.private.iter().any(|own| own.ns == ns && own.index == index)
    }

    /// Whether this ADD created the link with that name.
    pub(crate) fn owns_name(&self, ns: Ns, name: &str) -> bool {
        self.created.iter().any(|own| own.ns == ns && own.name == name)
    }
}

fn needs_undo(effect: &Effect) -> bool {
    match effect {
        Effect::Kernel { undo, .. } => !undo.is_empty(),
        Effect::Lease { .. } | Effect::Native { .. } => true,
    }
}

#[cfg(test)]
mod tests {
    use wharf_ops::Attachment;
    use wharf_ops::nat::{Backend, NatOp};

    use super::*;
    use crate::Paths;
    use crate::journal::{Key, Store, Undo};

    fn running(root: &std::path::Path) -> Running {
        let attachment = Attachment { network: "n".into(), container: "c".into(), ifname: "eth0".into() };
        let key = Key { attachment, entry: "g".into() };
        let journal = Store::of(&Paths::below(root)).create(&key, &Patience::NONE).unwrap();
        let bridges = Bridges::of(&Paths::below(root));
        Running::begin(journal, Begin::of_test(&key), bridges, &Safeguards::default()).unwrap()
    }

    fn rules() -> Effect {
        let op = KernelOp::Nat(NatOp::Masquerade { rules: vec![], backend: Backend::default() });
        let undo = Undo { op: KernelOp::Nat(NatOp::RemoveMasquerades), unless_joined: None };
        Effect::Kernel { op, undo: vec![undo] }
    }

    #[test]
    fn a_link_is_known_by_namespace_and_index() {
        let root = tempfile::tempdir().unwrap();
        let mut running = running(root.path());
        let link = Link { ns: Ns::Host, index: 7, name: "v".into() };
        running.intend("g", rules()).unwrap();
        running.ended(Outcome::Created(vec![link.clone()])).unwrap();
        assert!(running.owns(&link) && running.owns_name(Ns::Host, "v"));
        assert!(!running.takes_along(Ns::Host, 7), "rules make no link of the attachment's");
        assert!(!running.owns(&Link { ns: Ns::Container, ..link.clone() }));
        running.forget(&link);
        assert!(
            !running.owns(&link) && !running.owns_name(Ns::Host, "v"),
            "another may have its name by now"
        );
    }

    #[test]
    fn a_crash_at_any_point_finds_what_must_be_undone_in_the_file() {
        let root = tempfile::tempdir().unwrap();
        let mut running = running(root.path());
        running.guest("g", "sha256:0").unwrap();
        running.found("g", &KernelOp::Nat(NatOp::Detect)).unwrap();
        running.intend("g", rules()).unwrap();
        drop(running);
        let listed = Store::of(&Paths::below(root.path())).list().unwrap();
        let pending = listed[0].record.pending().unwrap();
        let outcomes: Vec<_> = pending.steps.iter().map(|step| &step.outcome).collect();
        assert_eq!(outcomes, [&Outcome::AlreadySo, &Outcome::Pending]);
        assert_eq!(pending.guests.len(), 1);
    }

    #[test]
    fn earlier_operations_are_told_newest_first() {
        let root = tempfile::tempdir().unwrap();
        let mut first = running(root.path());
        first.intend("g", rules()).unwrap();
        first.ended(Outcome::Done).unwrap();
        first.found("g", &KernelOp::Nat(NatOp::Detect)).unwrap();
        first.intend("g", rules()).unwrap();
        first.ended(Outcome::Nothing).unwrap();
        first.commit(NetworkResult::default()).unwrap();
        drop(first);
        let second = running(root.path());
        let names: Vec<_> = second.earlier().map(|op| op.operation().name).collect();
        assert_eq!(names, ["nat/detect", "nat/masquerade"], "what failed is not in force");
    }
}

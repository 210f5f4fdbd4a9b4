//! DEL: in reverse, and none keeps another from being cleaned; then the broker sweeps what the record still owns.

use wharf_cni::CniError;
use wharf_cni::error::code;
use wharf_ops::call::Call;
use wharf_ops::filter::FilterOp;
use wharf_ops::nat::NatOp;
use wharf_ops::{Attachment, KernelOp};

use super::absent;
use super::attachment;
use super::chain::{Stage, request, take_down};
use crate::failure::{self, Fault};
use crate::journal::{Begin, Held};
use crate::launch::Launcher;
use crate::pipeline::Course;
use crate::repair::{Owned, Repair, Unfinished, heal};
use crate::session::Invocation;

/// What is known of the attachment that is deleted.
pub(super) struct Known {
    journals: Vec<Held>,
    /// What ADDs that were cut short left and could not be undone yet.
    unfinished: Vec<Unfinished>,
    damaged: bool,
    begin: Option<Begin>,
}

impl Known {
    /// From the locked journals. An ADD that was cut short is undone first.
    pub(super) fn of<L: Launcher>(
        invocation: &Invocation<'_, L>,
        journals: Vec<Held>,
    ) -> Result<Self, CniError> {
        let damaged = journals.iter().any(|held| held.record().damage.is_some());
        let last = journals.iter().find_map(|held| held.record().transactions.last());
        let begin = last.map(|last| last.begin.clone());
        let mut known = Self { journals, unfinished: Vec::new(), damaged, begin };
        known.heal(invocation)?;
        Ok(known)
    }

    fn heal<L: Launcher>(&mut self, invocation: &Invocation<'_, L>) -> Result<(), CniError> {
        let broker = invocation.broker;
        let start = |command: &mut std::process::Command| broker.start(command);
        self.unfinished.clear();
        for held in &mut self.journals {
            broker.telemetry.residue(held.record().pending().is_some());
            let healed = heal(&broker.tools(&start), held);
            self.unfinished.extend(healed.map_err(|error| attachment::fault(&error))?);
        }
        Ok(())
    }

    /// Whether the journals tell anything. One that was only just made, by a process that was killed, does not.
    fn is_recorded(&self) -> bool {
        self.begin.is_some() || self.damaged
    }

    /// What the committed transactions own.
    pub(super) fn owned<L: Launcher>(&self, invocation: &Invocation<'_, L>) -> Owned {
        let renamed = self.begin.as_ref().is_some_and(|begin| begin.attachment != invocation.attachment);
        Owned::of(self.journals.iter().map(Held::record), renamed)
    }
}

/// Runs it. `unreadable` is why there are no plugins to call: no ADD was made with such a list.
pub(super) fn run<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    stages: &[Stage],
    unreadable: Option<CniError>,
    known: Known,
) -> Result<String, CniError> {
    let (mut errors, mut needless) = (Vec::new(), Vec::from_iter(unreadable));
    // Looked at by the first guest that fails: what makes the attachment comes last in a DEL.
    let mut nothing = None;
    for stage in stages.iter().rev() {
        let call = Call::Del(request(invocation, stage, stage.conf.previous.as_ref()));
        if let Err(error) = invocation.call(&stage.guest, &stage.conf, &call, 0) {
            let nothing = !known.is_recorded()
                && *nothing.get_or_insert_with(|| absent::nothing_is_there(invocation, stages))
                && !absent::has_native(invocation, stage);
            if nothing { &mut needless } else { &mut errors }.push(error);
        }
    }
    attachment::warn(invocation, &needless);
    take_down(invocation, &mut errors);
    if known.is_recorded() {
        return from_record(invocation, known, errors);
    }
    if !needless.is_empty() || !errors.is_empty() {
        // A guest that failed may have left its rules.
        let of = invocation.attachment.clone();
        errors.extend(sweep_rules(invocation, &of));
    }
    if errors.is_empty() {
        errors.extend(end(known.journals));
    }
    failure::together(errors).map_or(Ok(String::new()), Err)
}

/// With a record, what counts is that nothing of it is left.
fn from_record<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    mut known: Known,
    mut errors: Vec<CniError>,
) -> Result<String, CniError> {
    if !known.unfinished.is_empty() {
        known.heal(invocation)?;
    }
    let Known { journals, mut unfinished, damaged, begin } = known;
    if let Some(begin) = &begin {
        unfinished.extend(sweep(invocation, begin));
    }
    let mut failures: Vec<CniError> = unfinished.iter().map(|one| swept(&one.to_string())).collect();
    if damaged {
        // What the record does not tell any more: at least the rules say whose they are.
        let of = begin.as_ref().map_or(&invocation.attachment, |begin| &begin.attachment).clone();
        failures.extend(sweep_rules(invocation, &of));
    }
    if (begin.is_none() || damaged) && !errors.is_empty() {
        // Nothing is known of it, or not everything: only the guests can tell.
        failures.append(&mut errors);
    }
    if failures.is_empty() {
        failures.extend(end(journals));
    }
    if failures.is_empty() {
        attachment::warn(invocation, &errors);
        return Ok(String::new());
    }
    errors.append(&mut failures);
    failure::together(errors).map_or(Ok(String::new()), Err)
}

/// Nothing is left that they could tell of.
fn end(journals: Vec<Held>) -> impl Iterator<Item = CniError> {
    let removed = journals.into_iter().map(Held::remove);
    removed.filter_map(|removed| removed.err().map(|error| attachment::fault(&error)))
}

fn sweep<L: Launcher>(invocation: &mut Invocation<'_, L>, begin: &Begin) -> Vec<Unfinished> {
    let Course::Del(removal) = &mut invocation.course else { return Vec::new() };
    let broker = invocation.broker;
    let start = |command: &mut std::process::Command| broker.start(command);
    let mut repair = Repair {
        tools: broker.tools(&start),
        kernel: invocation.kernel,
        begin,
        netns: invocation.netns_path.as_deref().filter(|_| invocation.container_present),
        plugin_path: &invocation.plugin_path,
        later: true,
    };
    removal.owned.sweep(&mut repair)
}

/// Wharf's rules, by their owner stamps, and those that the reference plugins made for the attachment.
fn sweep_rules<L: Launcher>(invocation: &mut Invocation<'_, L>, of: &Attachment) -> Vec<CniError> {
    let kernel = &mut *invocation.kernel;
    kernel.set_deadline(None);
    let theirs = [
        KernelOp::Nat(NatOp::RemoveForwards),
        KernelOp::Nat(NatOp::RemoveMasquerades),
        KernelOp::Filter(FilterOp::RemoveAntiSpoof),
    ];
    let mut outcomes = vec![kernel.sweep(of)];
    outcomes.extend(theirs.iter().map(|op| kernel.apply(of, op).map(drop)));
    outcomes.into_iter().filter_map(Result::err).map(|error| swept(&error.to_string())).collect()
}

fn swept(reason: &str) -> CniError {
    failure::host(code::INTERNAL, Fault::Host, format!("sweep: {reason}"))
}

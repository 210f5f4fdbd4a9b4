//! Policies: guests that see each change of an ADD before it is made, and may deny it, or that change configurations
//! before anything runs.
//!
//! Each has a sandbox of its own, which lives as long as the ADD and is asked over its socket. What cannot be asked, does
//! not answer in time, traps or answers nonsense has denied. A denial ends the ADD, whatever the guest that asked would
//! make of it: nobody can swallow it. CHECK and STATUS change nothing, and DEL and GC are never held up: what a policy
//! keeps from being removed would leak.

mod admit;
mod error;
mod judge;
mod named;
mod patch;
mod subject;

use std::borrow::Cow;
use std::time::Instant;

use wharf_cni::CniError;
use wharf_ops::Op;
use wharf_ops::call::NetworkResult;
use wharf_ops::policy::Question;

use crate::Paths;
use crate::failure;
use crate::guests::{self, Manifest};
use crate::launch::Launcher;
use crate::session::Invocation;
use crate::signals::Signals;

pub(crate) use admit::reapply;
pub(crate) use judge::Judge;
pub use named::NodePolicies;
pub(crate) use subject::{add_arguments, add_stages, subject};

/// What a guest's world is called in its manifest.
const REVIEWS: &str = "policy";
/// See [`REVIEWS`].
const ADMITS: &str = "admission";

/// The policies of one ADD, in order.
#[derive(Default)]
pub(crate) struct Policies<'a> {
    judges: Vec<Judge<'a>>,
    /// Why the ADD is over.
    veto: Option<CniError>,
}

impl Policies<'_> {
    /// Asks every policy about a change. If one denies it, that is kept as the [veto](Self::veto), with the reasons of all.
    pub(crate) fn review(
        &mut self,
        guest: &str,
        op: &Op,
        until: Option<Instant>,
        signals: &Signals,
    ) -> Result<(), CniError> {
        if self.judges.is_empty() {
            return Ok(());
        }
        let question = Question::Review { guest: Cow::Borrowed(guest), op: Cow::Borrowed(op) };
        self.ask(&question, &format!("{} of {guest}", op.operation().name), until, signals)
    }

    /// Asks every policy about what is to be answered.
    pub(crate) fn review_result(
        &mut self,
        result: &NetworkResult,
        signals: &Signals,
    ) -> Result<(), CniError> {
        if self.judges.is_empty() {
            return Ok(());
        }
        self.ask(&Question::Result(Cow::Borrowed(result)), "the result", None, signals)
    }

    /// What a policy said that ended the ADD.
    pub(crate) fn veto(&self) -> Option<&CniError> {
        self.veto.as_ref()
    }

    fn ask(
        &mut self,
        question: &Question<'_>,
        what: &str,
        until: Option<Instant>,
        signals: &Signals,
    ) -> Result<(), CniError> {
        let reviewing = self.judges.iter_mut().filter(|judge| judge.reviews());
        let denials = reviewing.filter_map(|judge| judge.agree(question, what, until, signals).err());
        match failure::together(denials.collect()) {
            None => Ok(()),
            Some(veto) => Err(self.veto.insert(veto).clone()),
        }
    }

    /// They are asked nothing more.
    pub(crate) fn dismiss<L: Launcher>(&mut self, launcher: &L) {
        for judge in self.judges.drain(..) {
            judge.dismiss(launcher);
        }
    }
}

/// In which order the sandboxes of an ADD are needed: mutating policies come before anything else, the others are asked
/// when the first guest is about to change something, and make themselves ready beside it until then.
pub(crate) fn order<'n, L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    named: &'n [String],
    mut guests: impl Iterator<Item = &'n str>,
) -> Vec<&'n str> {
    let mut admits =
        |name: &&str| invocation.loaded(name).is_ok_and(|loaded| loaded.manifest.world == ADMITS);
    let (mut order, reviewing): (Vec<_>, Vec<_>) =
        named.iter().map(String::as_str).partition(|name| admits(name));
    order.extend(guests.next());
    order.extend(reviewing);
    order.extend(guests);
    order
}

/// The manifest of an installed policy, or why there is none.
pub fn installed(paths: &Paths, name: &str) -> Result<Manifest, String> {
    let manifest = guests::read(paths, name).map_err(|error| error.to_string())?;
    if is_policy(&manifest.world) { Ok(manifest) } else { Err(error::other_world(&manifest.world)) }
}

/// Whether a guest of that world is a policy, of either kind.
pub(crate) fn is_policy(world: &str) -> bool {
    [REVIEWS, ADMITS].contains(&world)
}

/// Whether every policy could be asked; for STATUS.
pub(crate) fn ready<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    named: &[String],
) -> Result<(), CniError> {
    for name in named {
        invocation
            .policy(name)
            .map_err(|error| CniError { code: wharf_cni::error::code::PLUGIN_NOT_AVAILABLE, ..error })?;
    }
    Ok(())
}

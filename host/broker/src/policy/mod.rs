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
use wharf_ops::wire;

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
    /// The changes that were allowed and made, in the order in which they were asked for.
    made: Vec<Asked>,
    /// How long they are together, in bytes.
    kept: usize,
    /// Whether one that was allowed was not made.
    amiss: bool,
    /// Why the ADD is over.
    veto: Option<CniError>,
}

/// A question as it is sent, and what it is about.
struct Asked {
    frame: Vec<u8>,
    what: String,
}

impl Asked {
    fn new(question: &Question<'_>, what: String) -> Result<Self, CniError> {
        let frame = wire::encode(question).map_err(|error| error::untold(&what, &error.to_string()))?;
        Ok(Self { frame, what })
    }
}

/// A change that every policy has allowed, until it is known what came of it.
#[must_use]
pub(crate) struct Allowed {
    asked: Asked,
    /// Its place among those that were made: what a delegate does comes behind its being called.
    place: usize,
}

/// The most that is kept of the changes that were made, in bytes.
const MOST_KEPT: usize = 32 << 20;

impl Policies<'_> {
    /// Whether there is one that sees changes.
    pub(crate) fn review_changes(&self) -> bool {
        self.judges.iter().any(Judge::reviews)
    }

    /// Asks every policy about a change. If one denies it, that is kept as the [veto](Self::veto), with the reasons of all.
    pub(crate) fn review(
        &mut self,
        guest: &str,
        op: &Op,
        until: Option<Instant>,
        signals: &Signals,
    ) -> Result<Option<Allowed>, CniError> {
        if !self.review_changes() {
            return Ok(None);
        }
        let question = Question::Review { guest: Cow::Borrowed(guest), op: Cow::Borrowed(op) };
        let asked = Asked::new(&question, format!("{} of {guest}", op.operation().name));
        let asked = asked.map_err(|veto| self.veto.insert(veto).clone())?;
        self.ask(&asked, until, signals)?;
        Ok(Some(Allowed { asked, place: self.made.len() }))
    }

    /// Notes whether a change that was allowed was made.
    pub(crate) fn came_of(&mut self, allowed: Allowed, made: bool) {
        let Allowed { asked, place } = allowed;
        if !made {
            self.amiss = true;
            return;
        }
        self.kept += asked.frame.len();
        self.made.insert(place.min(self.made.len()), asked);
        if self.kept > MOST_KEPT {
            self.veto = Some(error::untold("the result", "its changes are more than can be kept in mind"));
        }
    }

    /// Asks every policy about what is to be answered. One that was shown a change that then failed may believe that it was
    /// made: a new instance in its place sees those that were, and judges the result.
    pub(crate) fn review_result<L: Launcher>(
        &mut self,
        result: &NetworkResult,
        launcher: &L,
        signals: &Signals,
    ) -> Result<(), CniError> {
        if !self.review_changes() {
            return Ok(());
        }
        if std::mem::take(&mut self.amiss) {
            self.judges.iter_mut().filter(|judge| judge.reviews()).for_each(|judge| judge.renew(launcher));
            for asked in std::mem::take(&mut self.made) {
                self.ask(&asked, None, signals)?;
            }
        }
        let asked = Asked::new(&Question::Result(Cow::Borrowed(result)), "the result".to_owned())?;
        self.ask(&asked, None, signals)
    }

    /// What a policy said that ended the ADD.
    pub(crate) fn veto(&self) -> Option<&CniError> {
        self.veto.as_ref()
    }

    fn ask(&mut self, asked: &Asked, until: Option<Instant>, signals: &Signals) -> Result<(), CniError> {
        let reviewing = self.judges.iter_mut().filter(|judge| judge.reviews());
        let denials = reviewing.filter_map(|judge| judge.agree(asked, until, signals).err());
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
    guests: Vec<&'n str>,
) -> Vec<&'n str> {
    let mut guests = guests.into_iter();
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
    let manifest = guests::read(paths, name)
        .map_err(|error| error.or("`wharfctl add` installs a policy").to_string())?;
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

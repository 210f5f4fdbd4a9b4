//! The same list with settings of the node and without, taking turns: what they add to an ADD.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::contender::{Contender, Side};
use super::field::Field;
use super::scenario::{Backend, Scenario, full};
use super::stats::median;
use crate::netns::Netns;

/// So many routes the container gets, each a change of its own.
const ROUTES: u8 = 13;

/// Wharf in one process on a node of its own.
pub(crate) struct Turns<'a> {
    contender: &'a Contender,
    /// What its paths begin with.
    pub(crate) root: PathBuf,
    scenario: Scenario,
    container: Netns,
}

impl<'a> Turns<'a> {
    /// Moves the calling thread to the node. `None` if nobody runs a list in one process below a root.
    pub(crate) fn new(contenders: &'a [Contender], field: &Field) -> Result<Option<Self>> {
        let contender = contenders.iter().find(|contender| contender.side == Side::OneProcess);
        let Some((contender, root)) = contender.and_then(|it| Some((it, root(it)?))) else { return Ok(None) };
        field.namespace()?.enter()?;
        let scenario = full(Backend::Nftables, 5).with_routes(ROUTES);
        Ok(Some(Self { contender, root, scenario, container: field.namespace()? }))
    }

    /// The milliseconds that these settings add.
    pub(crate) fn added(&self, settings: &str, rounds: usize) -> Result<Option<f64>> {
        let added = difference(rounds, |with| {
            self.with(if with { settings } else { "" }, || self.call(self.contender))
        })?;
        Ok(median(&added))
    }

    /// What one more ADD with these settings writes about its time; `timings` is the file for it.
    pub(crate) fn traced(&self, settings: &str, timings: &Path) -> Result<String> {
        let traced = self.contender.with_timings(timings);
        self.with(settings, || self.call(&traced))?;
        fs::read_to_string(timings).with_context(|| format!("cannot read {}", timings.display()))
    }

    /// An ADD and its DEL; the milliseconds of the ADD.
    fn call(&self, contender: &Contender) -> Result<f64> {
        let (attached, sample) = contender.add(&self.scenario, &self.container, 0)?;
        contender.delete(&self.scenario, &attached)?;
        Ok(sample.wall)
    }

    /// Works while these are the node's settings, which has none afterwards.
    fn with<T>(&self, settings: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        let file = self.root.join("etc/cni/wharf.toml");
        fs::write(&file, settings).with_context(|| format!("cannot write {}", file.display()))?;
        let done = work()?;
        fs::remove_file(&file).with_context(|| format!("cannot remove {}", file.display()))?;
        Ok(done)
    }
}

fn root(contender: &Contender) -> Option<PathBuf> {
    let variables: &[(String, OsString)] = &contender.runtime.variables;
    variables.iter().find(|(key, _)| key == "WHARF_ROOT").map(|(_, root)| root.into())
}

/// What each round measures with the settings, less what it measures without them. One round more is run, for the first
/// finds nothing in any cache.
fn difference(rounds: usize, mut measure: impl FnMut(bool) -> Result<f64>) -> Result<Vec<f64>> {
    let mut differences = Vec::new();
    for round in 0..=rounds {
        let (without, with) = (measure(false)?, measure(true)?);
        differences.extend((round > 0).then_some(with - without));
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_take_turns_and_the_first_round_does_not_count() {
        let (mut figures, mut turns) = ([90.0, 99.0, 10.0, 12.0, 11.0, 14.0].into_iter(), Vec::new());
        let differences = difference(2, |with| {
            turns.push(with);
            Ok(figures.next().unwrap())
        });
        assert_eq!(differences.unwrap(), [2.0, 3.0]);
        assert_eq!(turns, [false, true].repeat(3));
    }
}

//! Other addresses in the place of those in a recording, so that everything still holds between them: what is in a
//! subnet stays in it, at its offset; what was first, last or the gateway still is.
//!
//! The upper bits of each address are XORed with a random mask that nobody keeps. How many these are, the shortest prefix in
//! the recording says: below it nothing may change. What means something by itself stays: loopback, link-local, multicast,
//! unspecified addresses and netmasks. So does what a guest made up by itself: it would do so again in a replay.

mod found;
mod mask;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use anyhow::Result;

use super::file::Recording;
use super::texts::{Speaker, Walk};
use found::{Found, replace};
pub(super) use mask::Random;
use mask::{Masks, Widths};

/// Replaces the addresses of a recording, and says in words what was replaced.
pub(super) fn scrub(recording: &mut Recording, random: &mut Random<'_>) -> Result<String> {
    let widths = widths(recording)?;
    let seen = Seen::in_recording(recording, widths)?;
    let masks = Masks::draw(widths, &seen.all, random)?;
    let mut map = |_, text: &str| {
        replace(text, &mut |address, prefix| {
            (!seen.made_up.contains(&address) && !is_short(address, prefix)).then(|| masks.map(address))?
        })
    };
    Walk { replace: &mut map, secrets: false }.over(recording)?;
    recording.scrubbed = true;
    Ok(masks.to_string())
}

/// How many upper bits no prefix in the recording lets an address choose by itself.
fn widths(recording: &mut Recording) -> Result<Widths> {
    let mut widths = Widths::WIDEST;
    look(recording, &mut |_, address, prefix| {
        if !is_short(address, prefix) {
            widths.narrow(address, prefix);
        }
    })?;
    Ok(widths)
}

/// A prefix of so many addresses says nothing about anybody, as half the internet in `0.0.0.0/1`.
fn is_short(address: Found, prefix: Option<u8>) -> bool {
    match address {
        Found::V4(_) => prefix.is_some_and(|prefix| prefix < mask::SHORTEST_V4),
        Found::V6(_) => prefix.is_some_and(|prefix| prefix < mask::SHORTEST_V6),
        Found::Mac(_) => false,
    }
}

/// The addresses of a recording.
#[derive(Default)]
struct Seen {
    all: BTreeSet<Found>,
    /// Those that a guest came up with: nothing that it was told before is in the same network, or is that link's.
    made_up: BTreeSet<Found>,
}

impl Seen {
    fn in_recording(recording: &mut Recording, widths: Widths) -> Result<Self> {
        let mut seen = Self::default();
        let mut told = BTreeSet::new();
        look(recording, &mut |speaker, address, _| {
            seen.all.insert(address);
            let network = widths.network(address);
            match speaker {
                Speaker::Guest if !told.contains(&network) => drop(seen.made_up.insert(address)),
                // The host repeats what it was asked for.
                Speaker::Host if !seen.made_up.contains(&address) => drop(told.insert(network)),
                Speaker::Guest | Speaker::Host => {}
            }
        })?;
        Ok(seen)
    }
}

fn look(recording: &mut Recording, see: &mut dyn FnMut(Speaker, Found, Option<u8>)) -> Result<()> {
    let mut look = |speaker, text: &str| {
        replace(text, &mut |address, prefix| {
            see(speaker, address, prefix);
            None
        })
    };
    Walk { replace: &mut look, secrets: false }.over(recording)
}

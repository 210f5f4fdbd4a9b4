//! Which call of which contender is killed when: a pure function of the seed.

use std::fmt;

use super::random::{Contender, Options};
use super::{Backend, Side};

/// What one run does: a pure function of the seed and its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Plan {
    pub(super) number: u64,
    pub(super) contender: Contender,
    pub(super) command: &'static str,
    /// Of the call's duration.
    pub(super) fraction: f64,
    /// Where the first DEL after it is killed too, if it is.
    pub(super) again: Option<f64>,
    pub(super) group: bool,
}

impl Plan {
    pub(super) fn of(options: &Options, number: u64) -> Self {
        // The reference has the same runs, in between.
        let (run, reference) =
            if options.reference { (number / 2, number % 2 == 1) } else { (number, false) };
        let bits = mixed(options.seed ^ mixed(run));
        let backends = options.backends.len() as u64;
        let index = usize::try_from(run % backends.max(1)).unwrap_or_default();
        let backend = options.backends.get(index).copied().unwrap_or(Backend::Nftables);
        let side = match (reference, bits & 1) {
            (true, _) => Side::Reference,
            (false, 0) => Side::Chain,
            (false, _) => Side::DropIns,
        };
        let again = (bits >> 4).is_multiple_of(4).then(|| fraction(mixed(bits)));
        // An ADD is longer, and does more.
        let command = if (bits >> 1).is_multiple_of(4) { "DEL" } else { "ADD" };
        let contender = (side, backend);
        Self { number: run, contender, command, fraction: fraction(bits), again, group: bits >> 3 & 1 == 1 }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "run {}: {} killed at {:.4} of its time", self.number, self.command, self.fraction)?;
        if let Some(again) = self.again {
            write!(f, ", the DEL after it at {again:.4}")?;
        }
        f.write_str(if self.group { ", with their groups" } else { "" })
    }
}

/// Between 0 and 1. 32 bits are more than a clock can tell apart.
fn fraction(bits: u64) -> f64 {
    f64::from(u32::try_from(bits >> 32).unwrap_or_default()) / f64::from(u32::MAX)
}

/// splitmix64: every bit of the answer depends on every bit of the number.
fn mixed(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(seed: u64) -> Options {
        Options { runs: 1000, backends: Backend::ALL.into(), reference: false, seed, lanes: 1 }
    }

    #[test]
    fn the_seed_decides_everything() {
        let plans = |seed| (0..100).map(|number| Plan::of(&options(seed), number)).collect::<Vec<_>>();
        assert_eq!(plans(1), plans(1));
        assert_ne!(plans(1), plans(2));
    }

    #[test]
    fn every_kind_has_its_share_and_instants_are_everywhere() {
        let plans: Vec<Plan> = (0..1000).map(|number| Plan::of(&options(7), number)).collect();
        let share = |is: &dyn Fn(&Plan) -> bool| plans.iter().filter(|plan| is(plan)).count();
        assert!((450..550).contains(&share(&|plan| plan.contender.0 == Side::Chain)));
        assert!((200..300).contains(&share(&|plan| plan.command == "DEL")));
        assert!((450..550).contains(&share(&|plan| plan.group)));
        assert!((200..300).contains(&share(&|plan| plan.again.is_some())));
        for tenth in 0..10_u32 {
            let low = f64::from(tenth) / 10.0;
            assert!(share(&|plan| (low..low + 0.1).contains(&plan.fraction)) > 60, "{tenth}");
        }
    }

    #[test]
    fn the_reference_is_killed_at_the_same_instants() {
        let both = Options { reference: true, ..options(1) };
        for number in (0..100).step_by(2) {
            let [own, reference] = [0, 1].map(|side| Plan::of(&both, number + side));
            assert_eq!(reference.contender, (Side::Reference, own.contender.1));
            assert_eq!(
                (own.command, own.fraction, own.again, own.group),
                (reference.command, reference.fraction, reference.again, reference.group)
            );
        }
    }
}

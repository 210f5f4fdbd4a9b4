//! What Wharf must reach, and whether this run did. Times depend on the machine: a miss is shown, never a failure.

use serde_json::{Value, json};

use super::Asides;
use super::contender::Side;
use super::overhead::Share;
use super::policy;
use super::rounds::Row;
use super::scenario::{Backend, full, plain};
use super::stats::round;

/// One promise and what was measured.
pub(crate) struct Target {
    pub(crate) what: String,
    /// `None` if this run could not measure it.
    pub(crate) measured: Option<f64>,
    bound: Bound,
}

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Target {
    fn at_least(what: String, bound: f64, measured: Option<f64>) -> Self {
        Self { what, measured, bound: Bound::AtLeast(bound) }
    }

    fn at_most(what: String, bound: f64, measured: Option<f64>) -> Self {
        Self { what, measured, bound: Bound::AtMost(bound) }
    }

    /// Whether the bound is kept.
    pub(crate) fn reached(&self) -> Option<bool> {
        let measured = self.measured?;
        Some(match self.bound {
            Bound::AtLeast(bound) => measured >= bound,
            Bound::AtMost(bound) => measured <= bound,
        })
    }

    /// The bound in words.
    pub(crate) fn bound(&self) -> String {
        match self.bound {
            Bound::AtLeast(bound) => format!("at least {bound}"),
            Bound::AtMost(bound) => format!("at most {bound}"),
        }
    }

    /// As it goes into the JSON file.
    pub(crate) fn json(&self) -> Value {
        json!({"target": self.what, "bound": self.bound(), "measured": self.measured.map(round), "reached": self.reached()})
    }
}

/// Every target with its figure; `marks` are the numbers of the growing series.
pub(crate) fn all(rows: &[Row], share: &Share, asides: &Asides, marks: [usize; 2]) -> Vec<Target> {
    let find = |scenario: &str, operation| {
        rows.iter().find(|row| row.scenario == scenario && row.operation == operation)
    };
    let faster = |scenario: &str, operation, side| Some(find(scenario, operation)?.ratio(side)?.wall);
    let mut targets = Vec::new();
    for backend in [Backend::Iptables, Backend::Nftables] {
        let chain = full(backend, 1).name;
        for (operation, bound) in [("ADD", 8.0), ("DEL", 3.0)] {
            let what = format!("{backend}, one process: {operation} faster than the reference");
            targets.push(Target::at_least(what, bound, faster(&chain, operation, Side::OneProcess)));
            let cheaper = find(&chain, operation).and_then(|row| Some(row.ratio(Side::OneProcess)?.cpu));
            targets.push(Target::at_least(
                format!("{backend}, one process: {operation} less CPU"),
                10.0,
                cheaper,
            ));
        }
        let what = format!("{backend}, drop-ins: ADD faster than the reference");
        targets.push(Target::at_least(what, 3.0, faster(&chain, "ADD", Side::DropIn)));
    }
    let plain = faster(&plain().name, "ADD", Side::DropIn);
    targets.push(Target::at_least(
        "bridge without ipMasq as drop-in: ADD faster than the reference".to_owned(),
        2.5,
        plain,
    ));
    for backend in [Backend::Iptables, Backend::Nftables] {
        let chain = full(backend, 1).name;
        let wall =
            |number: &str| Some(find(&format!("{chain}: {number}"), "ADD")?.cell(Side::OneProcess)?.wall);
        let last = wall(&format!("{}th", marks[1]));
        let growth = last.zip(wall("1st")).map(|(last, first)| last / first);
        targets.push(Target::at_most(
            format!("{backend}: ADD number {} against the 1st", marks[1]),
            1.2,
            growth,
        ));
    }
    let worst = share.guests.iter().filter_map(|guest| guest.overhead).reduce(f64::max);
    targets.push(Target::at_most(
        "wasm overhead of the costliest guest, ms".to_owned(),
        1.2,
        worst.map(|us| us / 1e3),
    ));
    let enough = asides.policy.filter(|cost| cost.reviews >= policy::REVIEWS);
    let reviews = enough.map_or(policy::REVIEWS, |cost| cost.reviews);
    let what = format!("a policy adds to an ADD with {reviews} reviews, its start included, ms");
    targets.push(Target::at_most(what, 2.5, enough.map(|cost| cost.added)));
    let what = "an endpoint for traces adds to an ADD, ms".to_owned();
    targets.push(Target::at_most(what, 1.0, asides.traces));
    let what = "a scenario's call on the simulated kernel, ms".to_owned();
    targets.push(Target::at_most(what, 5.0, asides.simulated));
    let what = "journal and grants of an ADD, ms".to_owned();
    targets.push(Target::at_most(what, 0.3, share.safeguards.map(|us| us / 1e3)));
    targets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::stats::{Sample, Summary};

    fn row(scenario: String, operation: &'static str, reference: f64, own: f64) -> Row {
        let cell = |side, wall| (side, Summary::of(&[Sample { wall, cpu: wall }]).unwrap());
        let cells = vec![
            cell(Side::Reference, reference),
            cell(Side::DropIn, own * 2.0),
            cell(Side::OneProcess, own),
        ];
        Row { scenario, operation, cells }
    }

    #[test]
    fn figures_are_held_against_their_bounds() {
        let chain = full(Backend::Iptables, 1).name;
        let rows = [
            row(chain.clone(), "ADD", 90.0, 10.0),
            row(chain.clone(), "DEL", 90.0, 45.0),
            row(format!("{chain}: 1st"), "ADD", 90.0, 10.0),
            row(format!("{chain}: 500th"), "ADD", 220.0, 13.0),
        ];
        let asides = Asides { policy: None, traces: Some(1.5), simulated: Some(4.5) };
        let targets = all(&rows, &Share::default(), &asides, [100, 500]);
        let reached =
            |what: &str| targets.iter().find(|target| target.what.starts_with(what)).unwrap().reached();
        assert_eq!(reached("iptables, one process: ADD faster"), Some(true));
        assert_eq!(reached("iptables, one process: ADD less CPU"), Some(false));
        assert_eq!(reached("iptables, one process: DEL faster"), Some(false));
        assert_eq!(reached("iptables, drop-ins: ADD faster"), Some(true));
        assert_eq!(reached("iptables: ADD number 500"), Some(false), "1.3 times");
        assert_eq!(reached("nftables, one process: ADD faster"), None, "not measured here");
        assert_eq!(reached("wasm overhead"), None);
        assert_eq!(reached("a policy adds"), None);
        assert_eq!(reached("an endpoint for traces adds"), Some(false));
        assert_eq!(reached("a scenario's call"), Some(true));
    }
}

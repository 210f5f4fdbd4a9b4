//! When the watch looks again, and at which records.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::Look;
use super::pass::Which;

/// A record that somebody worked on is looked at again.
const BUSY: Duration = Duration::from_millis(50);
/// What could not be put back is tried again.
const FAILED: Duration = Duration::from_secs(2);
/// iptables-legacy sends no events.
const LEGACY: Duration = Duration::from_secs(3);

/// A look at all records that found all there is followed by this many times as long without one, for every DEL of a pod
/// removes something, too.
const REST: u32 = 4;
/// But by no longer than this: traffic is to be back within a second.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// What is to be done, and when.
pub(super) struct Agenda {
    /// Records by name, and when.
    again: BTreeMap<String, Instant>,
    /// When it is time to look at iptables-legacy, or for it.
    legacy: Instant,
    /// Whether the last look found something there.
    in_legacy: bool,
    /// When all records are looked at: something was removed, or they could not be listed.
    all: Option<Instant>,
    /// Until when they are not.
    rest: Instant,
}

impl Agenda {
    pub(super) fn new(now: Instant) -> Self {
        Self { again: BTreeMap::new(), legacy: now + LEGACY, in_legacy: false, all: None, rest: now }
    }

    /// Takes in what a look came to, and how long it took.
    pub(super) fn looked(&mut self, which: &Which, look: &Look, took: Duration, now: Instant) {
        match which {
            Which::All => {
                self.again.clear();
                // What somebody takes away comes in several batches: who has just put something back looks again at once.
                let whole = look.found.iter().all(|one| one.missing.is_empty());
                self.rest = if whole { now + took.saturating_mul(REST).min(LONGEST_REST) } else { now };
            }
            Which::Named(names) => self.again.retain(|name, _| !names.contains(name)),
            Which::Iptables => {}
        }
        if !matches!(which, Which::Named(_)) {
            self.in_legacy = look.found.iter().any(|one| one.legacy);
        }
        for one in &look.found {
            let wait = match (one.busy, one.failures.is_empty()) {
                (true, _) => BUSY,
                (false, false) => FAILED,
                (false, true) => continue,
            };
            self.again.insert(one.journal.clone(), now + wait);
        }
    }

    /// A look found no list of the records. The next one is at all of them.
    pub(super) fn failed(&mut self, now: Instant) {
        self.again.clear();
        self.all = Some(now + FAILED);
    }

    /// Somebody else removed something.
    pub(super) fn removed(&mut self, now: Instant) {
        let soonest = self.rest.max(now);
        self.all = Some(self.all.map_or(soonest, |at| at.min(soonest)));
    }

    /// When the next thing is due.
    pub(super) fn next(&self) -> Instant {
        self.again.values().copied().chain(self.all).chain([self.legacy]).min().unwrap_or(self.legacy)
    }

    /// What is due now. Every few seconds that is every record with rules of iptables, if its legacy flavour is in use, as
    /// `in_use` says, or was: a table that has vanished with its module is missed once more.
    pub(super) fn due(&mut self, now: Instant, in_use: impl FnOnce() -> bool) -> Option<Which> {
        if self.all.is_some_and(|at| at <= now) {
            self.all = None;
            return Some(Which::All);
        }
        let due = self.again.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone());
        let due: Vec<String> = due.collect();
        if !due.is_empty() {
            return Some(Which::Named(due));
        }
        if self.legacy > now {
            return None;
        }
        self.legacy = now + LEGACY;
        (self.in_legacy || in_use()).then_some(Which::Iptables)
    }
}

#[cfg(test)]
mod tests {
    use wharf_ops::Attachment;

    use super::super::{Missing, Reconciled};
    use super::*;

    fn of(change: impl FnOnce(&mut Reconciled)) -> Look {
        let mut one = Reconciled {
            journal: "c:eth0:bridge:n".into(),
            attachment: Attachment { network: "n".into(), container: "c".into(), ifname: "eth0".into() },
            entry: "bridge".into(),
            missing: Vec::new(),
            skipped: None,
            busy: false,
            failures: Vec::new(),
            legacy: false,
        };
        change(&mut one);
        Look { found: vec![one], odd: Vec::new() }
    }

    #[test]
    fn without_iptables_legacy_nobody_looks_until_there_is_an_event() {
        let start = Instant::now();
        let mut agenda = Agenda::new(start);
        agenda.looked(&Which::All, &of(|_| {}), Duration::ZERO, start);
        let mut now = start;
        for _ in 0..3 {
            now = agenda.next();
            assert_eq!(agenda.due(now, || false), None);
        }
        assert_eq!(now, start + 3 * LEGACY);
        // Somebody has made its table, by then with rules of ours or not.
        now = agenda.next();
        assert_eq!(agenda.due(now, || true), Some(Which::Iptables));
    }

    #[test]
    fn what_iptables_legacy_had_is_missed_once_where_it_has_vanished() {
        let start = Instant::now();
        let mut agenda = Agenda::new(start);
        agenda.looked(&Which::All, &of(|one| one.legacy = true), Duration::ZERO, start);
        let due = agenda.next();
        assert_eq!(agenda.due(due, || false), Some(Which::Iptables));
        agenda.looked(&Which::Iptables, &Look::default(), Duration::ZERO, due);
        let due = agenda.next();
        assert_eq!(agenda.due(due, || false), None);
    }

    #[test]
    fn who_is_busy_is_looked_at_soon_and_what_failed_later() {
        let start = Instant::now();
        let mut agenda = Agenda::new(start);
        let name = || Which::Named(vec!["c:eth0:bridge:n".into()]);
        agenda.looked(&Which::All, &of(|one| one.busy = true), Duration::ZERO, start);
        assert_eq!(agenda.next(), start + BUSY);
        assert_eq!(agenda.due(start, || false), None);
        assert_eq!(agenda.due(start + BUSY, || false), Some(name()));
        agenda.looked(&name(), &of(|one| one.failures.push("no".into())), Duration::ZERO, start);
        assert_eq!(agenda.next(), start + FAILED);
        agenda.looked(&name(), &Look::default(), Duration::ZERO, start);
        assert_eq!(agenda.next(), start + LEGACY);
        agenda.looked(&name(), &of(|one| one.busy = true), Duration::ZERO, start);
        agenda.failed(start);
        assert_eq!(agenda.next(), start + FAILED, "all at once");
        assert_eq!(agenda.due(start + FAILED, || false), Some(Which::All));
        assert_eq!(agenda.due(start + FAILED, || false), None, "once");
    }

    #[test]
    fn a_node_where_pods_come_and_go_is_not_looked_at_all_the_time() {
        let start = Instant::now();
        let mut agenda = Agenda::new(start);
        let millis = Duration::from_millis;
        agenda.looked(&Which::All, &Look::default(), millis(100), start);
        agenda.removed(start);
        agenda.removed(start + millis(399));
        assert_eq!(agenda.next(), start + millis(400));
        assert_eq!(agenda.due(start + millis(399), || false), None);
        assert_eq!(agenda.due(start + millis(400), || false), Some(Which::All));
        agenda.looked(&Which::All, &Look::default(), millis(5000), start);
        agenda.removed(start);
        assert_eq!(agenda.next(), start + LONGEST_REST);
        let rules = vec!["masquerade of 10.0.0.2".to_owned()];
        let repaired =
            of(|one| one.missing.push(Missing { operation: "nat/masquerade", rules, restored: true }));
        assert_eq!(agenda.due(start + LONGEST_REST, || false), Some(Which::All));
        agenda.looked(&Which::All, &repaired, millis(5000), start);
        agenda.removed(start);
        assert_eq!(agenda.next(), start, "what was taken away comes in several batches");
        assert_eq!(agenda.due(start, || false), Some(Which::All));
        agenda.looked(&Which::All, &Look::default(), millis(5000), start);
        agenda.removed(start + millis(2500));
        assert_eq!(agenda.due(start + millis(2500), || false), Some(Which::All), "what is over is over");
        agenda.removed(start + millis(2500));
        assert_eq!(agenda.next(), start + millis(2500), "at once");
    }
}

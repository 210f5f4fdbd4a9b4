//! The sums over all calls since the boot.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use wharf_broker::telemetry::{Event, Reader};

use super::text::Page;

/// Upper bounds in microseconds.
const BOUNDS: [u64; 14] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    10_000_000, 60_000_000,
];
/// Between the labels of a key. No label has it.
const BETWEEN: char = '|';

/// What was counted, by `label|label`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Totals {
    /// How far the calls are added up.
    pub(super) reader: Reader,
    calls: BTreeMap<String, u64>,
    durations: BTreeMap<String, Histogram>,
    guests: BTreeMap<String, Histogram>,
    operations: BTreeMap<String, u64>,
    denials: BTreeMap<String, u64>,
    rollbacks: BTreeMap<String, u64>,
    residue: u64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Histogram {
    /// How many were within each bound, and not within the one before.
    buckets: Vec<u64>,
    count: u64,
    sum_us: u64,
}

impl Histogram {
    fn add(&mut self, took_us: u64) {
        self.buckets.resize(BOUNDS.len(), 0);
        let at = BOUNDS.iter().position(|bound| took_us <= *bound);
        if let Some(bucket) = at.and_then(|at| self.buckets.get_mut(at)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(took_us);
    }

    fn put(&self, labels: &[(&str, &str)], page: &mut Page) {
        let mut within = 0;
        for (bound, bucket) in BOUNDS.iter().zip(&self.buckets) {
            within += bucket;
            page.part("_bucket", &[labels, &[("le", &seconds(*bound))]].concat(), within);
        }
        page.part("_bucket", &[labels, &[("le", "+Inf")]].concat(), self.count);
        page.part("_sum", labels, seconds(self.sum_us));
        page.part("_count", labels, self.count);
    }
}

/// As a decimal number, exactly.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Totals {
    /// The sums so far. What cannot be read begins anew, as a restarted process would.
    pub(super) fn read(file: &Path) -> Self {
        std::fs::read(file).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
    }

    /// Adds one call.
    pub(super) fn add(&mut self, event: &Event) {
        let command = &event.command;
        *self.calls.entry(format!("{command}{BETWEEN}{}", event.code)).or_default() += 1;
        self.durations.entry(command.clone()).or_default().add(event.took_us);
        for guest in &event.guests {
            let key = format!("{}{BETWEEN}{command}", guest.name);
            *self.operations.entry(key.clone()).or_default() += u64::from(guest.operations);
            self.guests.entry(key).or_default().add(guest.took_us);
            for operation in &guest.denied {
                *self.denials.entry(format!("{}{BETWEEN}{operation}", guest.name)).or_default() += 1;
            }
        }
        if event.rolled_back {
            let result = if event.unfinished == 0 { "complete" } else { "incomplete" };
            *self.rollbacks.entry(result.to_owned()).or_default() += 1;
        }
        self.residue += u64::from(event.residue);
    }

    pub(super) fn put(&self, page: &mut Page) {
        let pair = |key: &'_ str| {
            key.split_once(BETWEEN).map(|(a, b)| (a.to_owned(), b.to_owned())).unwrap_or_default()
        };
        page.metric(
            "wharf_calls_total",
            "counter",
            "Calls of the CNI binary, by command and error code (0: success).",
        );
        for (key, count) in &self.calls {
            let (command, code) = pair(key);
            page.value(&[("command", &command), ("code", &code)], count);
        }
        page.metric("wharf_call_duration_seconds", "histogram", "How long calls took, within the process.");
        for (command, histogram) in &self.durations {
            histogram.put(&[("command", command)], page);
        }
        page.metric(
            "wharf_guest_duration_seconds",
            "histogram",
            "How long guests took, with the operations that were done for them and what they delegated.",
        );
        for (key, histogram) in &self.guests {
            let (guest, command) = pair(key);
            histogram.put(&[("guest", &guest), ("command", &command)], page);
        }
        page.metric("wharf_guest_operations_total", "counter", "Operations that guests asked for.");
        for (key, count) in &self.operations {
            let (guest, command) = pair(key);
            page.value(&[("guest", &guest), ("command", &command)], count);
        }
        page.metric(
            "wharf_denials_total",
            "counter",
            "Operations that were denied, by grant, constraint or policy.",
        );
        for (key, count) in &self.denials {
            let (guest, operation) = pair(key);
            page.value(&[("guest", &guest), ("operation", &operation)], count);
        }
        page.metric("wharf_rollbacks_total", "counter", "ADDs that failed and were undone, in full or not.");
        for result in ["complete", "incomplete"] {
            page.value(&[("result", result)], self.rollbacks.get(result).copied().unwrap_or_default());
        }
        page.metric(
            "wharf_residue_found_total",
            "counter",
            "ADDs that were cut short and found by a later call.",
        );
        page.value(&[], self.residue);
    }
}

#[cfg(test)]
mod tests {
    use wharf_broker::telemetry::GuestCall;

    use super::*;

    #[test]
    fn calls_add_up() {
        let guest =
            GuestCall { name: "bridge".into(), took_us: 1_800, operations: 20, ..GuestCall::default() };
        let denied = GuestCall { denied: vec!["nat/masquerade".into()], code: 900, ..guest.clone() };
        let add = Event { command: "ADD".into(), took_us: 3_000, guests: vec![guest], ..Event::default() };
        let mut totals = Totals::default();
        totals.add(&add);
        totals.add(&add);
        totals.add(&Event {
            code: 900,
            took_us: 120_000_000,
            rolled_back: true,
            residue: 1,
            guests: vec![denied],
            ..add.clone()
        });
        let mut page = Page::default();
        totals.put(&mut page);
        let text = page.into_text();
        for line in [
            "wharf_calls_total{command=\"ADD\",code=\"0\"} 2",
            "wharf_calls_total{command=\"ADD\",code=\"900\"} 1",
            "wharf_call_duration_seconds_bucket{command=\"ADD\",le=\"0.0025\"} 0",
            "wharf_call_duration_seconds_bucket{command=\"ADD\",le=\"0.005\"} 2",
            "wharf_call_duration_seconds_bucket{command=\"ADD\",le=\"60\"} 2",
            "wharf_call_duration_seconds_bucket{command=\"ADD\",le=\"+Inf\"} 3",
            "wharf_call_duration_seconds_sum{command=\"ADD\"} 120.006",
            "wharf_guest_duration_seconds_count{guest=\"bridge\",command=\"ADD\"} 3",
            "wharf_guest_operations_total{guest=\"bridge\",command=\"ADD\"} 60",
            "wharf_denials_total{guest=\"bridge\",operation=\"nat/masquerade\"} 1",
            "wharf_rollbacks_total{result=\"complete\"} 1",
            "wharf_rollbacks_total{result=\"incomplete\"} 0",
            "wharf_residue_found_total 1",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
        let kept: Totals = serde_json::from_slice(&serde_json::to_vec(&totals).unwrap()).unwrap();
        assert_eq!(kept, totals);
    }

    #[test]
    fn seconds_are_exact() {
        for (micros, text) in
            [(0, "0"), (500, "0.0005"), (1_000_000, "1"), (10_000_000, "10"), (1_234_567, "1.234567")]
        {
            assert_eq!(seconds(micros), text);
        }
    }
}

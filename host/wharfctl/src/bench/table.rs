//! What the calls of each guest cost, in numbers.

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};
use wharf_broker::spent::Spent;

/// The calls of a guest by one command.
struct Row {
    guest: String,
    command: &'static str,
    /// Of each call, in microseconds: until it ran, its own work, its operations, all together.
    start: Vec<u64>,
    own: Vec<u64>,
    host: Vec<u64>,
    whole: Vec<u64>,
    operations: u32,
    /// The most bytes of linear memory.
    memory: u64,
}

/// Every guest that was called, in the order of their first calls.
#[derive(Default)]
pub(super) struct Table(Vec<Row>);

impl Table {
    pub(super) fn add(&mut self, command: &'static str, spent: &Spent) {
        if !self.0.iter().any(|row| row.is_of(&spent.guest, command)) {
            self.0.push(Row::new(spent.guest.clone(), command));
        }
        let Some(row) = self.0.iter_mut().find(|row| row.is_of(&spent.guest, command)) else { return };
        let (whole, host) = (micros(spent.whole), micros(spent.kernel));
        // A policy runs whenever it is asked; its sandbox does not tell for how long.
        let run = match u64::from(spent.inside.run) {
            0 => whole.saturating_sub(micros(spent.waited)),
            run => run,
        };
        row.start.push(whole.saturating_sub(run));
        row.own.push(run.saturating_sub(host));
        row.host.push(host);
        row.whole.push(whole);
        row.operations = row.operations.max(spent.operations);
        row.memory = row.memory.max(spent.inside.memory);
    }

    /// Whether the guest was called at all.
    pub(super) fn has(&self, guest: &str) -> bool {
        self.0.iter().any(|row| row.guest == guest)
    }

    /// For a person.
    pub(super) fn as_text(&self, rounds: u32) -> String {
        let width = self.0.iter().map(|row| row.guest.len()).max().unwrap_or(0).max("guest".len());
        let mut text = format!("{rounds} rounds; medians in microseconds, memory in KiB\n\n");
        // Writing to a String does not fail, here and below.
        let _ = writeln!(
            text,
            "{:<width$}  {:<7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>5} {:>7}",
            "guest", "command", "start", "own", "host", "whole", "p95", "ops", "memory"
        );
        for row in &self.0 {
            let _ = writeln!(
                text,
                "{:<width$}  {:<7} {:>7} {:>7} {:>7} {:>7} {:>7} {:>5} {:>7}",
                row.guest,
                row.command,
                rank(&row.start, 50),
                rank(&row.own, 50),
                rank(&row.host, 50),
                rank(&row.whole, 50),
                rank(&row.whole, 95),
                row.operations,
                row.memory.div_ceil(1024)
            );
        }
        text.push_str(
            "\nstart: sandbox, confinement, loading, instantiation; `wharf`, which has no compiler to fork, needs less\n\
             own: the guest's code and its conversation with the host, or with what asks a policy\n\
             host: its operations on the simulated machine, which is no measure of a kernel's\n",
        );
        text
    }

    /// For a program.
    pub(super) fn as_json(&self, network: &str, rounds: u32) -> Value {
        let rows: Vec<Value> = self.0.iter().map(Row::as_json).collect();
        json!({"network": network, "rounds": rounds, "calls": rows})
    }
}

impl Row {
    fn new(guest: String, command: &'static str) -> Self {
        let none = Vec::new;
        Self {
            guest,
            command,
            start: none(),
            own: none(),
            host: none(),
            whole: none(),
            operations: 0,
            memory: 0,
        }
    }

    fn is_of(&self, guest: &str, command: &str) -> bool {
        self.guest == guest && self.command == command
    }

    fn as_json(&self) -> Value {
        json!({
            "guest": self.guest,
            "command": self.command,
            "start_us": rank(&self.start, 50),
            "own_us": rank(&self.own, 50),
            "host_us": rank(&self.host, 50),
            "whole_us": rank(&self.whole, 50),
            "whole_p95_us": rank(&self.whole, 95),
            "operations": self.operations,
            "memory_bytes": self.memory,
        })
    }
}

fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// The value that so many of a hundred do not exceed; the median of an even number is the lower one.
fn rank(values: &[u64], percent: usize) -> u64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable();
    let at = (values.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use wharf_ops::wire::Timings;

    use super::*;

    fn spent(guest: &str, whole: u64, run: u32, kernel: u64) -> Spent {
        Spent {
            guest: guest.into(),
            waited: Duration::from_micros(30),
            whole: Duration::from_micros(whole),
            inside: Timings { run, memory: 1024 * 1024 + 1, ..Timings::default() },
            kernel: Duration::from_micros(kernel),
            operations: 7,
        }
    }

    #[test]
    fn parts_add_up_to_the_whole() {
        let mut table = Table::default();
        for whole in [900, 700, 800, 5000] {
            table.add("ADD", &spent("bridge", whole, 600, 250));
        }
        table.add("DEL", &spent("bridge", 400, 300, 100));
        table.add("ADD", &spent("judge", 100, 0, 0));
        let value = table.as_json("net", 4);
        let first = &value["calls"][0];
        let expected = json!({
            "guest": "bridge", "command": "ADD", "start_us": 200, "own_us": 350, "host_us": 250, "whole_us": 800,
            "whole_p95_us": 5000, "operations": 7, "memory_bytes": 1_048_577,
        });
        assert_eq!(first, &expected);
        // A policy: what is not waiting is its own.
        assert_eq!((&value["calls"][2]["start_us"], &value["calls"][2]["own_us"]), (&json!(30), &json!(70)));
        let text = table.as_text(4);
        assert!(text.lines().any(|line| line.starts_with("bridge  DEL") && line.ends_with("1025")), "{text}");
        assert!(table.has("judge") && !table.has("nobody"));
    }

    #[test]
    fn ranks_are_values_that_were_measured() {
        assert_eq!((rank(&[], 50), rank(&[3], 95), rank(&[4, 1, 3, 2], 50)), (0, 3, 2));
    }
}

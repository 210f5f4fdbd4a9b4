//! What the bench prints and the JSON file that it writes.

use std::process::Command;

use serde_json::{Value, json};

use super::contender::Side;
use super::overhead::{Guest, Share};
use super::rounds::Row;
use super::stats::round;
use super::targets::Target;
use crate::{say, sh};

/// The machine's properties that the figures depend on.
pub(crate) struct Machine {
    kernel: String,
    processors: usize,
    iptables: String,
    nft: String,
    reference: String,
}

impl Machine {
    /// Asks the machine; what it does not say is empty.
    pub(crate) fn ask(reference: &str) -> Self {
        let say = |program: &str, arg: &str| sh::output(Command::new(program).arg(arg)).unwrap_or_default();
        Self {
            kernel: say("uname", "-r"),
            processors: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            iptables: say("iptables", "--version"),
            nft: say("nft", "--version"),
            reference: reference.to_owned(),
        }
    }

    /// In one line.
    pub(crate) fn line(&self) -> String {
        let Self { kernel, processors, iptables, nft, reference } = self;
        format!("Linux {kernel}, {processors} processors, {iptables}, {nft}, reference {reference}")
    }
}

/// The rows as a table: milliseconds, medians, and how many times as much the reference takes.
pub(crate) fn table(rows: &[Row]) {
    let width = rows.iter().map(|row| row.scenario.len()).max().unwrap_or_default();
    let head = |side: Side| match side {
        Side::Reference => format!("{:^22}", "reference"),
        Side::DropIn => format!("{:^36}", "wharf as drop-ins"),
        Side::OneProcess => format!("{:^36}", "wharf in one process"),
    };
    let line: Vec<String> = Side::ALL.map(head).into();
    say::line(say::paint("1", &format!("{:width$}      {}", "milliseconds", line.join(" | "))));
    let own = format!("{:>7} {:>7} {:>6} {:>6} {:>6}", "wall", "p95", "cpu", "wall/", "cpu/");
    say::line(format_args!("{:width$}      {:>7} {:>7} {:>6} | {own} | {own}", "", "wall", "p95", "cpu"));
    for row in rows {
        let cells = Side::ALL.map(|side| cell(row, side)).join(" | ");
        say::line(format_args!("{:width$}  {} {cells}", row.scenario, row.operation));
    }
}

fn cell(row: &Row, side: Side) -> String {
    let figures = row.cell(side).map_or_else(
        || format!("{:>22}", "-"),
        |summary| format!("{:>7.1} {:>7.1} {:>6.1}", summary.wall, summary.wall_p95, summary.cpu),
    );
    if side == Side::Reference {
        return figures;
    }
    let ratios = row
        .ratio(side)
        .map_or_else(|| format!("{:>13}", "-"), |ratio| format!("{:>5.1}x {:>5.1}x", ratio.wall, ratio.cpu));
    format!("{figures} {ratios}")
}

/// The columns of the guests' table and the fields behind them.
const SHOWN: [(&str, &str); 8] = [
    ("fork", "fork_us"),
    ("load", "load_us"),
    ("confine", "confine_us"),
    ("instantiate", "instantiate_us"),
    ("run", "run_us"),
    ("kernel", "kernel_us"),
    ("total", "total_us"),
    ("operations", "ops"),
];

/// The guests' own share.
pub(crate) fn overhead(share: &Share) {
    let guests = &share.guests;
    say::heading("Wasm overhead per guest, medians in microseconds");
    if guests.is_empty() {
        say::line("not reported: wharf wrote no timings");
        return;
    }
    let head = SHOWN.map(|(title, _)| format!("{title:>12}")).concat();
    say::line(format_args!("{:<12}{head}{:>12}", "guest", "overhead"));
    for guest in guests {
        let number = |value: Option<f64>| {
            value.map_or_else(|| format!("{:>12}", "-"), |value| format!("{value:>12.0}"))
        };
        let fields = SHOWN.map(|(_, field)| number(guest.get(field))).concat();
        say::line(format_args!("{:<12}{fields}{}", guest.name, number(guest.overhead)));
    }
    if let Some(safeguards) = share.safeguards {
        say::line(format_args!("journal and grants of an ADD: {safeguards:.0}"));
    }
}

/// Each target with its verdict.
pub(crate) fn targets(targets: &[Target]) {
    say::heading("Targets, on a machine with nothing else running");
    for target in targets {
        let verdict = match target.reached() {
            Some(true) => say::paint("32", "yes"),
            Some(false) => say::paint("31", "no "),
            None => say::paint("33", "?  "),
        };
        let measured =
            target.measured.map_or_else(|| "not measured".to_owned(), |value| format!("{value:.2}"));
        say::line(format_args!("{verdict} {:<65} {:<14} {measured}", target.what, target.bound()));
    }
}

/// Everything in one object.
pub(crate) fn json(machine: &Machine, rows: &[Row], share: &Share, targets: &[Target]) -> Value {
    let row = |row: &Row| {
        let cells: Vec<Value> =
            row.cells.iter().map(|(side, summary)| cell_json(row, *side, summary.json())).collect();
        json!({"scenario": row.scenario, "operation": row.operation, "sides": cells})
    };
    json!({
        "machine": {
            "kernel": machine.kernel, "processors": machine.processors, "iptables": machine.iptables, "nft": machine.nft,
        },
        "reference": machine.reference,
        "rows": rows.iter().map(row).collect::<Vec<_>>(),
        "safeguards_us": share.safeguards.map(round),
        "overhead": share.guests.iter().map(Guest::json).collect::<Vec<_>>(),
        "targets": targets.iter().map(Target::json).collect::<Vec<_>>(),
    })
}

fn cell_json(row: &Row, side: Side, mut value: Value) -> Value {
    if let Some(object) = value.as_object_mut() {
        object.insert("side".to_owned(), side.name().into());
        if let (Some(ratio), true) = (row.ratio(side), side != Side::Reference) {
            object.insert(
                "reference_takes".to_owned(),
                json!({"wall": round(ratio.wall), "cpu": round(ratio.cpu)}),
            );
        }
    }
    value
}

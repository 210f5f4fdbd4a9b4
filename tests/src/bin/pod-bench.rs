//! Measures pods through containerd, with the reference plugins and with Wharf. Started by `cargo xtask bench
//! --containerd`, which builds and fetches what it needs and gives it namespaces of its own.

use std::process::ExitCode;

use wharf_tests::runtimes::bench::{Figures, Sample, Side, measure, median};
use wharf_tests::{Value, json};

/// How much of the gain must be left under containerd, in percent.
const KEPT: f64 = 80.0;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    let rounds = args.next().and_then(|text| text.parse().ok());
    let (Some(rounds), Some(out)) = (rounds, args.next()) else {
        eprintln!("pod-bench ROUNDS FILE");
        return ExitCode::FAILURE;
    };
    let mut all = Vec::new();
    for backend in ["iptables", "nftables"] {
        println!("{backend}: {rounds} rounds");
        match measure(backend, rounds) {
            Ok(figures) => all.push((backend, figures)),
            Err(error) => {
                eprintln!("pod-bench: {error}");
                return ExitCode::FAILURE;
            }
        }
    }
    for (backend, figures) in &all {
        print(backend, figures);
    }
    let targets: Vec<Target> = all.iter().flat_map(|(backend, figures)| targets(backend, figures)).collect();
    println!("\nHow much of the gain is left under containerd, on a machine with nothing else running");
    for target in &targets {
        target.print();
    }
    // As in bench.json. A miss is shown there and here, and is no failure: times depend on the machine.
    let report = json!({
        "backends": all.iter().map(|(backend, figures)| report(backend, figures)).collect::<Vec<_>>(),
        "targets": targets.iter().map(Target::json).collect::<Vec<_>>(),
    });
    if let Err(error) = std::fs::write(&out, format!("{report:#}\n")) {
        eprintln!("pod-bench: {out}: {error}");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// One line of the table: what took how long, by side.
struct Row {
    name: &'static str,
    values: Vec<f64>,
}

fn rows(figures: &[Figures]) -> [Row; 6] {
    let of = |name, value: fn(&Figures) -> f64| Row { name, values: figures.iter().map(value).collect() };
    let whole = |samples: &[Sample]| median(samples.iter().map(|sample| sample.whole));
    let network = |samples: &[Sample]| median(samples.iter().map(|sample| sample.network));
    let row = |name, samples: fn(&Figures) -> &[Sample], what: fn(&[Sample]) -> f64| Row {
        name,
        values: figures.iter().map(|figures| what(samples(figures))).collect(),
    };
    [
        row("RunPodSandbox", |figures| &figures.run, whole),
        row("  its network", |figures| &figures.run, network),
        row("StopPodSandbox", |figures| &figures.stop, whole),
        row("  its network", |figures| &figures.stop, network),
        of("ADD without containerd", |figures| median(figures.add.iter().copied())),
        of("DEL without containerd", |figures| median(figures.del.iter().copied())),
    ]
}

fn print(backend: &str, figures: &[Figures]) {
    let rows = rows(figures);
    println!(
        "\ncontainerd, {backend}; medians in milliseconds, and how many times as much the reference takes"
    );
    print!("{:<26}", "");
    for side in Side::ALL {
        print!("{:>28}", side.name());
    }
    println!();
    for row in &rows {
        print!("{:<26}", row.name);
        let reference = row.values.first().copied().unwrap_or_default();
        for value in &row.values {
            print!("{:>20.1} {:>6.1}x", value, reference / value);
        }
        println!();
    }
    for (whole, network) in [(0, 1), (2, 3)] {
        let (Some(whole), Some(network)) = (rows.get(whole), rows.get(network)) else { continue };
        print!("{:<26}", format!("network in {}", whole.name));
        for (whole, network) in whole.values.iter().zip(&network.values) {
            print!("{:>26.0} %", 100.0 * network / whole);
        }
        println!();
    }
}

/// A promise, and what was measured of it: how much of what Wharf is faster by is left under containerd, in percent.
struct Target {
    what: String,
    /// How many times as fast without containerd, and under it.
    faster: [f64; 2],
}

fn targets(backend: &str, figures: &[Figures]) -> Vec<Target> {
    let rows = rows(figures);
    let mut targets = Vec::new();
    for (under, without, operation) in [(1, 4, "ADD"), (3, 5, "DEL")] {
        let ratio = |index: usize, side: usize| {
            let values = rows.get(index).map_or(&[][..], |row| &row.values);
            Some(values.first()? / values.get(side)?)
        };
        for (index, side) in Side::ALL.iter().enumerate().skip(1) {
            let (Some(under), Some(without)) = (ratio(under, index), ratio(without, index)) else { continue };
            let what = format!("{backend}, {}: {operation} keeps of its gain, %", side.name());
            targets.push(Target { what, faster: [without, under] });
        }
    }
    targets
}

impl Target {
    fn kept(&self) -> f64 {
        let [without, under] = self.faster;
        100.0 * under / without
    }

    fn reached(&self) -> bool {
        self.kept() >= KEPT
    }

    fn print(&self) {
        let verdict = if self.reached() { "yes" } else { "no " };
        let ([without, under], kept) = (self.faster, self.kept());
        println!(
            "{verdict} {:<58} at least {KEPT:.0}  {kept:>4.0}  ({without:.1} times as fast, {under:.1} under containerd)",
            self.what
        );
    }

    /// As it goes into the file.
    fn json(&self) -> Value {
        let measured = (self.kept() * 10.0).round() / 10.0;
        json!({
            "target": self.what, "bound": format!("at least {KEPT}"), "measured": measured, "reached": self.reached(),
        })
    }
}

fn report(backend: &str, figures: &[Figures]) -> Value {
    let rows = rows(figures);
    let rounds = figures.first().map_or(0, |figures| figures.run.len());
    let sides: Vec<&str> = figures.iter().map(|figures| figures.side.name()).collect();
    let row = |row: &Row| json!({"what": row.name.trim(), "median_ms": row.values});
    json!({"backend": backend, "rounds": rounds, "sides": sides, "rows": rows.iter().map(row).collect::<Vec<_>>()})
}

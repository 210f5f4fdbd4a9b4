//! Measures pods through containerd, with the reference plugins and with Wharf. Started by `cargo xtask bench
//! --containerd`, which builds and fetches what it needs and gives it namespaces of its own.

use std::process::ExitCode;

use wharf_tests::json;
use wharf_tests::runtimes::bench::{Figures, Sample, Side, measure, median};

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
    let report = json!(all.iter().map(|(backend, figures)| report(backend, figures)).collect::<Vec<_>>());
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
    for (under, without, what) in [(1, 4, "ADD"), (3, 5, "DEL")] {
        let ratio = |index: usize, side: usize| {
            let values = rows.get(index).map_or(&[][..], |row| &row.values);
            Some(values.first()? / values.get(side)?)
        };
        for side in [1, 2] {
            let (Some(under), Some(without)) = (ratio(under, side), ratio(without, side)) else { continue };
            let name = Side::ALL.get(side).map_or("", |side| side.name());
            let kept = 100.0 * under / without;
            let verdict = if kept >= KEPT { "yes" } else { "no " };
            println!(
                "{verdict} {name}: {what} {without:.1} times as fast, {under:.1} under containerd: {kept:.0} % of it, \
                 at least {KEPT:.0}"
            );
        }
    }
}

fn report(backend: &str, figures: &[Figures]) -> serde_json::Value {
    let rows = rows(figures);
    let rounds = figures.first().map_or(0, |figures| figures.run.len());
    let sides: Vec<&str> = figures.iter().map(|figures| figures.side.name()).collect();
    let row = |row: &Row| json!({"what": row.name.trim(), "median_ms": row.values});
    json!({"backend": backend, "rounds": rounds, "sides": sides, "rows": rows.iter().map(row).collect::<Vec<_>>()})
}

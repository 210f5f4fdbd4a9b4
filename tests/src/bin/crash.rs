//! Kills ADDs and DELs, or makes each of their changes fail, and looks at what is left. Started by `cargo xtask crash`,
//! which builds what it needs and gives it namespaces of its own.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "this is test code: a panic is how it says that something is wrong"
)]

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use wharf_tests::crash::random::{self, Options};
use wharf_tests::crash::sweep;
use wharf_tests::crash::{Backend, List, report};
use wharf_tests::install;

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)).and_then(|task| run(&task)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("crash: {error}");
            ExitCode::FAILURE
        }
    }
}

struct Task {
    options: Options,
    sweep: bool,
}

fn parse(mut args: impl Iterator<Item = String>) -> Result<Task, String> {
    let lanes = std::thread::available_parallelism().map_or(2, std::num::NonZero::get).clamp(2, 4);
    let options = Options { runs: 1000, backends: Backend::ALL.into(), reference: false, seed: 1, lanes };
    let mut task = Task { options, sweep: false };
    while let Some(option) = args.next() {
        let mut value = || args.next().ok_or(format!("{option} needs a value"));
        let number = |text: String| text.parse::<u64>().map_err(|error| format!("{text}: {error}"));
        match option.as_str() {
            "--runs" => task.options.runs = number(value()?)?,
            "--seed" => task.options.seed = number(value()?)?,
            "--backend" => {
                let name = value()?;
                let backend = Backend::ALL.into_iter().find(|backend| backend.name() == name);
                task.options.backends =
                    vec![backend.ok_or(format!("{name}: neither nftables nor iptables"))?];
            }
            "--reference" => task.options.reference = true,
            "--sweep" => task.sweep = true,
            other => return Err(format!("{other}: not --runs, --seed, --backend, --reference or --sweep")),
        }
    }
    Ok(task)
}

/// Whether Wharf did well.
fn run(task: &Task) -> Result<bool, String> {
    let began = Instant::now();
    let clean = if task.sweep { swept(&task.options.backends)? } else { killed(&task.options)? };
    let left = random::stragglers(install::workplace(), Duration::from_secs(5));
    if !left.is_empty() {
        println!("processes that did not end:\n  {}", left.join("\n  "));
    }
    println!("{:.0} s", began.elapsed().as_secs_f64());
    Ok(clean && left.is_empty())
}

fn killed(options: &Options) -> Result<bool, String> {
    let total = if options.reference { options.runs * 2 } else { options.runs };
    let (terminal, began) = (std::io::stdout().is_terminal(), Instant::now());
    let progress = |over: u64| {
        let every = if terminal { 10 } else { (total / 20).max(1) };
        if over.is_multiple_of(every) || over == total {
            let end = if terminal { "\r" } else { "\n" };
            print!("{over} of {total} runs, {:.0} s{end}", began.elapsed().as_secs_f64());
            // Nobody is there to see it, then.
            let _ = std::io::stdout().flush();
        }
    };
    let results = random::run(options, progress)?;
    println!("\n{}", report::table(&results));
    Ok(report::is_clean(&results))
}

/// Every change, every errno, every kill.
fn swept(backends: &[Backend]) -> Result<bool, String> {
    let whats = sweep::everything();
    let lists: Vec<List> =
        backends.iter().map(|backend| List::Full(*backend)).chain([List::Loopback]).collect();
    let mut clean = true;
    for list in lists {
        let mut tell = |what: &str, swept: sweep::Swept| {
            clean &= swept.failures.is_empty();
            print!("{}", report::swept(list, what, &swept));
        };
        for command in ["ADD", "DEL"] {
            tell(command, sweep::used(list, command, &whats)?);
        }
        // The kernel itself leaves an address to a lo that was up once.
        if list != List::Loopback {
            tell("ADD on new nodes", sweep::fresh(list, &whats)?);
        }
    }
    Ok(clean)
}

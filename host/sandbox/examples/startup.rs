//! How long a sandbox takes: fork to first operation, and a whole call with twenty operations.
//!
//! `startup guest.wasm guest.cwasm` compiles, `startup guest.cwasm [rounds]` measures: in a process of its own, since a
//! fork copies the tables of everything that the compiler left in memory. The guest is the `probe` of the tests, or any
//! whose `add` asks for texts only.

use std::time::{Duration, Instant};

use wharf_ops::call::{Call, Request};
use wharf_ops::logging::Level;
use wharf_ops::wire::{self, Frames, Timings, ToBroker, ToSandbox, WireError};
use wharf_ops::{Attachment, Reply};
use wharf_sandbox::{Artefact, Identity, Job, Limits, compile, pin_to_current_cpu, spawn};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let path =
        arguments.next().ok_or("usage: startup guest.wasm guest.cwasm | startup guest.cwasm [rounds]")?;
    if std::path::Path::new(&path).extension().is_some_and(|extension| extension == "wasm") {
        let to = arguments.next().ok_or("usage: startup guest.wasm guest.cwasm")?;
        return Ok(std::fs::write(to, compile(&std::fs::read(path)?)?)?);
    }
    let rounds: usize = arguments.next().map_or(Ok(500), |rounds| rounds.parse())?;
    let call = Call::Add(Request {
        attachment: Attachment { network: "net".into(), container: "ctr".into(), ifname: "eth0".into() },
        netns_path: Some("/run/netns/x".into()),
        args: Vec::new(),
        config: "operations 20".into(),
        previous: None,
    });
    let _pinned = pin_to_current_cpu()?;
    let mut runs = Vec::new();
    for _ in 0..rounds {
        runs.push(round(path.as_ref(), &call)?);
    }
    println!(
        "artefact of {} bytes, {rounds} rounds: microseconds, min / median / p95",
        std::fs::metadata(&path)?.len()
    );
    for (what, of) in COLUMNS {
        let mut figures: Vec<u32> = runs.iter().map(of).collect();
        figures.sort_unstable();
        let at = |percent: usize| figures.get(figures.len() * percent / 100).copied().unwrap_or_default();
        println!("{what:<22}{:>8} {:>8} {:>8}", at(0), at(50), at(95));
    }
    Ok(())
}

struct Run {
    read: Duration,
    fork: Duration,
    first: Duration,
    finished: Duration,
    reaped: Duration,
    timings: Timings,
}

type Column = (&'static str, fn(&Run) -> u32);

const COLUMNS: &[Column] = &[
    ("read the artefact", |run| micros(run.read)),
    ("fork", |run| micros(run.fork)),
    ("  confine", |run| run.timings.confine),
    ("  load", |run| run.timings.load),
    ("  instantiate", |run| run.timings.instantiate),
    ("  run", |run| run.timings.run),
    ("to first operation", |run| micros(run.first)),
    ("to the result", |run| micros(run.finished)),
    ("to the end", |run| micros(run.reaped)),
];

fn micros(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

fn round(path: &std::path::Path, call: &Call) -> Result<Run, Box<dyn std::error::Error>> {
    let started = Instant::now();
    let artefact = Artefact::map(&std::fs::File::open(path)?)?;
    let read = started.elapsed();
    let limits = Limits::default();
    let identity = Identity::default();
    let started = Instant::now();
    let job =
        Job { artefact: &artefact, container_present: true, limits, log_level: Level::Info, seed: None };
    let mut child = spawn(job, identity)?;
    wire::send(&mut child.socket, call)?;
    let fork = started.elapsed();
    let mut first = None;
    let mut frames = Frames::new();
    let (finished, timings) = loop {
        match frames.receive(&mut &child.socket) {
            Ok(ToBroker::Op(_)) => {
                first.get_or_insert_with(|| started.elapsed());
                let answer: ToSandbox = Ok(Reply::Text("1".into()));
                wire::send(&mut &child.socket, &answer)?;
            }
            Ok(ToBroker::Log(_)) => {}
            Ok(ToBroker::Finished { outcome, timings }) => {
                outcome?;
                break (started.elapsed(), timings);
            }
            Err(WireError::Closed) => return Err(child.wait()?.to_string().into()),
            Err(error) => return Err(error.into()),
        }
    };
    child.kill()?;
    child.wait()?;
    Ok(Run { read, fork, first: first.unwrap_or(finished), finished, reaped: started.elapsed(), timings })
}

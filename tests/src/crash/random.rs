//! Calls that are killed at random instants, then what a kubelet does: DEL, which may be killed as well, and DEL again.

use std::collections::BTreeMap;
use std::fs;
use std::panic::resume_unwind;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::plan::Plan;
use super::{Backend, Ended, Kill, List, Picture, Scene, Side};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many calls are killed; for the reference as many again.
    pub runs: u64,
    /// They take turns.
    pub backends: Vec<Backend>,
    /// Whether the reference plugins run too.
    pub reference: bool,
    /// The same seed kills at the same fractions of a call.
    pub seed: u64,
    /// How many nodes work at the same time.
    pub lanes: usize,
}

/// What came of one contender's runs.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// How many there were.
    pub runs: u64,
    /// How many were killed before they had ended.
    pub killed: u64,
    /// How many ADDs and DELs failed that were neither killed nor after a kill.
    pub failures: u64,
    /// How many DELs after a kill failed.
    pub del_errors: u64,
    /// After how many something was left.
    pub residue: u64,
    /// How many things: links, rules, leases, files.
    pub pieces: u64,
    /// What was left or said, of the first few.
    pub examples: Vec<String>,
}

/// Whose runs: who served them, with which backend.
pub type Contender = (Side, Backend);
/// All results.
pub type Results = BTreeMap<Contender, Tally>;

/// How many examples are kept of each contender.
const EXAMPLES: usize = 12;
/// How often a kubelet tries a DEL before it counts as given up here.
const TRIES: usize = 3;
/// After how many runs the durations are measured anew: other work on the machine changes them.
const FRESH: u64 = 250;

impl Tally {
    /// Whether nothing was left and nothing failed.
    pub fn is_clean(&self) -> bool {
        self.residue == 0 && self.del_errors == 0 && self.failures == 0
    }

    fn example(&mut self, text: String) {
        if self.examples.len() < EXAMPLES {
            self.examples.push(text);
        }
    }
}

/// Runs them all. `progress` hears how many are over.
pub fn run(options: &Options, progress: impl Fn(u64) + Sync) -> Result<Results, String> {
    let total = if options.reference { options.runs * 2 } else { options.runs };
    let (next, over) = (AtomicU64::new(0), AtomicU64::new(0));
    let results = Mutex::new(Results::new());
    let work = || -> Result<(), String> {
        let mut stages: BTreeMap<Contender, Stage> = BTreeMap::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= total {
                return Ok(());
            }
            let plan = Plan::of(options, number);
            let stage = match stages.remove(&plan.contender) {
                Some(stage) if stage.age < FRESH => stage,
                Some(stage) => stage.measured()?,
                None => Stage::new(plan.contender)?,
            };
            let mut tally = Tally { runs: 1, ..Tally::default() };
            let stage = stage.run(&plan, &mut tally)?;
            stages.insert(plan.contender, stage);
            add(&mut results.lock().expect("a lane panicked"), plan.contender, tally);
            progress(over.fetch_add(1, Ordering::Relaxed) + 1);
        }
    };
    thread::scope(|scope| {
        let lane = |index: usize| {
            let name = format!("lane {index}");
            thread::Builder::new().name(name).spawn_scoped(scope, work).expect("start a thread")
        };
        let lanes: Vec<_> = (0..options.lanes.max(1)).map(lane).collect();
        let ends: Vec<_> =
            lanes.into_iter().map(|lane| lane.join().unwrap_or_else(|panic| resume_unwind(panic))).collect();
        ends.into_iter().collect::<Result<(), String>>()
    })?;
    Ok(results.into_inner().expect("no lane is left"))
}

fn add(results: &mut Results, contender: Contender, one: Tally) {
    let all = results.entry(contender).or_default();
    all.runs += one.runs;
    all.killed += one.killed;
    all.failures += one.failures;
    all.del_errors += one.del_errors;
    all.residue += one.residue;
    all.pieces += one.pieces;
    one.examples.into_iter().for_each(|example| all.example(example));
}

/// A scene at rest, and how long its calls take.
struct Stage {
    scene: Scene,
    before: Picture,
    add: Duration,
    delete: Duration,
    age: u64,
}

impl Stage {
    fn new((side, backend): Contender) -> Result<Self, String> {
        let scene = Scene::new(side, List::Full(backend))?;
        scene.warm_up()?;
        let before = scene.picture();
        Self { scene, before, add: Duration::ZERO, delete: Duration::ZERO, age: 0 }.measured()
    }

    /// With medians of a few calls.
    fn measured(mut self) -> Result<Self, String> {
        const CALLS: usize = 5;
        let (mut adds, mut deletes) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            let add = self.scene.attempt("ADD", None, &[], None);
            let delete = self.scene.attempt("DEL", add.result.as_ref(), &[], None);
            if (&add.ended, &delete.ended) != (&Ended::Done, &Ended::Done) {
                return Err(format!("a plain ADD: {:?}; a plain DEL: {:?}", add.ended, delete.ended));
            }
            adds.push(add.took);
            deletes.push(delete.took);
        }
        adds.sort_unstable();
        deletes.sort_unstable();
        (self.add, self.delete, self.age) = (adds[CALLS / 2], deletes[CALLS / 2], 0);
        Ok(self)
    }

    /// One run. Answers a stage that is at rest.
    fn run(mut self, plan: &Plan, tally: &mut Tally) -> Result<Self, String> {
        self.age += 1;
        let scene = &self.scene;
        let about = plan.to_string();
        let mut previous = None;
        let mut length = self.add;
        if plan.command == "DEL" {
            let attempt = scene.attempt("ADD", None, &[], None);
            if attempt.ended != Ended::Done {
                tally.failures += 1;
                tally.example(format!("{about}: before it, ADD: {:?}", attempt.ended));
            }
            previous = attempt.result;
            length = self.delete;
        }
        let kill =
            |length: Duration, fraction: f64| Kill { after: length.mul_f64(fraction), group: plan.group };
        let attempt = scene.attempt(plan.command, previous.as_ref(), &[], Some(kill(length, plan.fraction)));
        match &attempt.ended {
            Ended::Killed => tally.killed += 1,
            Ended::Done => {}
            Ended::Failed(said) => {
                tally.failures += 1;
                tally.example(format!("{about}: {said}"));
            }
        }
        let previous = attempt.result.or(previous);
        if let Some(fraction) = plan.again {
            let again = scene.attempt("DEL", previous.as_ref(), &[], Some(kill(self.delete, fraction)));
            if let Ended::Failed(said) = again.ended {
                tally.del_errors += 1;
                tally.example(format!("{about}: the DEL that was to be killed: {said}"));
            }
        }
        for _ in 0..TRIES {
            match scene.attempt("DEL", previous.as_ref(), &[], None).ended {
                Ended::Done => break,
                other => {
                    tally.del_errors += 1;
                    tally.example(format!("{about}: DEL: {other:?}"));
                }
            }
        }
        let left = scene.picture().changes_since(&self.before);
        if left.is_empty() {
            return Ok(self);
        }
        tally.residue += 1;
        // nft lists the rules of iptables once more.
        let twice = |line: &&String| line.contains(" nft: ") && line.contains("\"table\":\"nat\"");
        tally.pieces += left.iter().filter(|line| !twice(line)).count() as u64;
        tally.example(format!("{about}: {:?}; this is left:\n  {}", attempt.ended, left.join("\n  ")));
        // The next run is not to blame for it.
        Self::new(plan.contender)
    }
}

/// Processes below `folder` that are still there after all their callers ended, by name. Those that are about to end are
/// given some time.
pub fn stragglers(folder: &std::path::Path, patience: Duration) -> Vec<String> {
    let end = std::time::Instant::now() + patience;
    loop {
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let found: Vec<String> = processes
            .filter_map(|process| {
                let program = fs::read_link(process.path().join("exe")).ok()?;
                let name = format!("{} {}", process.file_name().display(), program.display());
                program.starts_with(folder).then_some(name)
            })
            .collect();
        if found.is_empty() || std::time::Instant::now() >= end {
            return found;
        }
        thread::yield_now();
    }
}

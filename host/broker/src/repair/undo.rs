//! Undoing an ADD: newest first.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use wharf_ops::links::LinkOp;
use wharf_ops::{ErrorKind, KernelOp, Link, Ns};

use super::task::{Task, Wanted};
use super::{Repair, Unfinished};
use crate::bridges::{Bridges, HeldBridge};
use crate::flock::Patience;
use crate::journal::{Effect, Outcome, Shared, Step, Transaction, Undo};
use crate::log::Level;

/// How long somebody else's work with a bridge may keep an ADD from undoing its own.
const PATIENCE: Duration = Duration::from_secs(2);

/// How long at least, where several bridges share that.
const LEAST: Duration = Duration::from_millis(20);

/// Undoes everything that a transaction did. `relied_on` are the bridges that its ADD still holds. Answers what could not be
/// undone.
pub(crate) fn undo(
    repair: &mut Repair<'_>,
    transaction: &Transaction,
    relied_on: Vec<HeldBridge>,
) -> Vec<Unfinished> {
    let mut tasks = tasks(transaction);
    if transaction.of_earlier_boot() {
        // The kernel forgot; leases are files.
        tasks.retain(|task| matches!(task, Task::Lease { .. } | Task::Native { .. }));
    }
    let shared = |task: &Task| matches!(task, Task::Link { ends, .. } if is_of_the_host(ends));
    if tasks.iter().any(shared) && repair.others_exist() {
        // Such as the link into a VLAN, which the others may have begun to use. Half of one is of no use to anybody, and
        // keeps a whole one from being made.
        tasks.retain(|task| match task {
            Task::Link { ends, .. } if is_of_the_host(ends) => !repair.is_in_use(ends),
            _ => true,
        });
    }
    let at = tasks.partition_point(Task::is_of_the_kernel);
    let lasting = tasks.split_off(at);
    // Whoever has a bridge alone takes each port that it finds for one that stays: those of this ADD go before it lets go.
    let newer = tasks.iter().position(|task| bridge_of(task).is_some()).unwrap_or(tasks.len());
    let (links, mut rest): (Vec<Task>, Vec<Task>) =
        tasks.split_off(newer).into_iter().partition(|task| matches!(task, Task::Link { .. }));
    tasks.extend(links);
    let mut unfinished = repair.work_off(tasks);
    drop(relied_on);
    let (bridges, not_claimed) = claim_bridges(repair, &mut rest);
    unfinished.extend(not_claimed);
    unfinished.extend(repair.work_off(rest));
    // A lease's lock, or a plugin that hangs, must keep nobody from a bridge.
    drop(bridges);
    unfinished.extend(repair.work_off(lasting));
    unfinished
}

/// Waits until no ADD relies any more on a bridge of the host that tasks are about: what it makes of it, its ports tell only
/// then, for one that is there may go with the ADD that made it. Tasks are dropped that others keep from being done: whoever
/// joined, and whoever works with the bridge for longer than an ADD takes that goes well. What was made of it is theirs by
/// then.
fn claim_bridges(repair: &mut Repair<'_>, tasks: &mut Vec<Task>) -> (Vec<HeldBridge>, Vec<Unfinished>) {
    let (mut held, mut unfinished) = (Vec::new(), Vec::new());
    let names: BTreeSet<String> = tasks.iter().filter_map(bridge_of).map(str::to_owned).collect();
    let bridges = Bridges::of(repair.tools.paths);
    let end = Instant::now() + PATIENCE;
    let until = || end.max(Instant::now() + LEAST);
    for name in names {
        let about = |task: &Task| bridge_of(task) == Some(&name);
        let claimed = bridges.claim(&name, &Patience { until: &until, ..Patience::NONE });
        tasks.retain(|task| match task {
            Task::Kernel { unless_joined: Some(shared), own, .. } if about(task) => {
                !repair.was_joined(own, shared)
            }
            _ => true,
        });
        if !tasks.iter().any(about) {
            continue;
        }
        match claimed {
            Ok(bridge) => held.push(bridge),
            Err(error) if error.kind == ErrorKind::Busy => {
                let message = format!("left as it is: {error}");
                repair.tools.log.line(Level::Warn, &name, &message, &[]);
                tasks.retain(|task| !about(task));
            }
            Err(error) => {
                let told = |task: &Task| Unfinished { what: task.to_string(), reason: error.to_string() };
                unfinished.extend(tasks.iter().filter(|task| about(task)).map(told));
                tasks.retain(|task| !about(task));
            }
        }
    }
    (held, unfinished)
}

/// The bridge of the host that a task is about, if others may come to rely on it.
fn bridge_of(task: &Task) -> Option<&str> {
    match task {
        Task::Kernel { unless_joined: Some(Shared { bridge, .. }), .. } if bridge.ns == Ns::Host => {
            Some(&bridge.name)
        }
        _ => None,
    }
}

/// A veth between two ends in the host: no attachment's alone.
fn is_of_the_host(ends: &[Link]) -> bool {
    ends.len() > 1 && ends.iter().all(|end| end.ns == Ns::Host)
}

/// The kernel newest first, then what gives addresses back: nobody may get one while the link that has it is there.
fn tasks(transaction: &Transaction) -> Vec<Task> {
    let own: Vec<Link> = transaction.created().cloned().collect();
    let mut tasks: Vec<Task> = Vec::new();
    for step in transaction.steps.iter().rev().filter(|step| step.may_have_changed()) {
        tasks.extend(of_step(step, &own));
    }
    tasks.sort_by_key(|task| matches!(task, Task::Lease { .. } | Task::Native { .. }));
    tasks
}

fn of_step(step: &Step, own: &[Link]) -> Vec<Task> {
    let of = step.effect.operation();
    let Effect::Kernel { op, undo } = &step.effect else { return lasting(step).into_iter().collect() };
    if let Some(task) = created(op, step.created(), of, own) {
        return vec![task];
    }
    let task = |undo: &Undo| {
        let Undo { op, unless_joined } = undo.clone();
        Task::Kernel { of, op, unless_joined, own: own.to_vec() }
    };
    undo.iter().map(task).collect()
}

/// What a step did outside of the kernel.
pub(super) fn lasting(step: &Step) -> Option<Task> {
    match &step.effect {
        Effect::Kernel { .. } => None,
        Effect::Lease { directory, address, held } => {
            let wanted = match (&step.outcome, address) {
                (Outcome::Reserved(address), _) => Wanted::One(*address),
                // It had this one before.
                (_, Some(address)) if held.contains(address) => return None,
                (_, Some(address)) => Wanted::One(*address),
                (_, None) => Wanted::AllBut(held.clone()),
            };
            Some(Task::Lease { directory: directory.clone(), wanted })
        }
        Effect::Native { plugin, config } => {
            Some(Task::Native { plugin: plugin.clone(), config: config.clone() })
        }
    }
}

/// What came into being, by whichever operation, is deleted by the handle that it was made with: a name could be
/// another's by now.
fn created(op: &KernelOp, links: &[Link], of: &'static str, own: &[Link]) -> Option<Task> {
    let first = links.first()?;
    if let KernelOp::Link(LinkOp::EnsureBridge { .. }) = op {
        let op = KernelOp::Link(LinkOp::DeleteUnusedBridge { link: first.clone() });
        let unless_joined = Some(Shared { bridge: first.clone(), ports: Vec::new() });
        return Some(Task::Kernel { of, op, unless_joined, own: own.to_vec() });
    }
    Some(Task::link(of, links))
}

//! The measurements themselves: alternating rounds, many attachments on one node, ten at once.

use std::thread;

use anyhow::{Context, Result, anyhow};

use super::contender::{Attached, Contender, Side};
use super::field::Field;
use super::scenario::Scenario;
use super::stats::{Moment, Sample, Summary};
use crate::netns::Netns;
use crate::say;

/// One line of the table: the same work by each contender that can do it.
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) operation: &'static str,
    pub(crate) cells: Vec<(Side, Summary)>,
}

/// The samples of one contender and the nodes it works on.
struct Lane<'a> {
    contender: &'a Contender,
    node: Netns,
    containers: Vec<Netns>,
    add: Vec<Sample>,
    delete: Vec<Sample>,
}

impl<'a> Lane<'a> {
    fn all(
        contenders: &'a [Contender],
        scenario: &Scenario,
        field: &Field,
        containers: usize,
    ) -> Result<Vec<Self>> {
        contenders
            .iter()
            .filter(|contender| contender.can(scenario))
            .map(|contender| {
                let (node, containers) = (field.namespace()?, field.namespaces(containers)?);
                Ok(Self { contender, node, containers, add: Vec::new(), delete: Vec::new() })
            })
            .collect()
    }

    fn add(&self, scenario: &Scenario, index: usize) -> Result<(Attached, Sample)> {
        self.node.enter()?;
        let container = self.containers.get(index).with_context(|| format!("no container {index}"))?;
        self.contender.add(scenario, container, u16::try_from(index)?)
    }

    fn delete(&self, scenario: &Scenario, attached: &Attached) -> Result<Sample> {
        self.node.enter()?;
        self.contender.delete(scenario, attached)
    }
}

/// ADD and DEL of one container after the other, the contenders taking turns and each turn in another order.
pub(crate) fn alternating(
    contenders: &[Contender],
    scenario: &Scenario,
    field: &Field,
    rounds: usize,
) -> Result<[Row; 2]> {
    const WARM_UP: usize = 2;
    say::line(format_args!("{}: {rounds} rounds", scenario.name));
    let mut lanes = Lane::all(contenders, scenario, field, 2)?;
    for round in 0..rounds + WARM_UP {
        lanes.rotate_left(1);
        for lane in &mut lanes {
            let (attached, add) = lane.add(scenario, round % 2)?;
            let delete = lane.delete(scenario, &attached)?;
            if round >= WARM_UP {
                lane.add.push(add);
                lane.delete.push(delete);
            }
        }
    }
    Ok(rows(&scenario.name, &lanes))
}

/// The 1st, the 100th and the 500th attachment of a node, for which all others stay.
pub(crate) fn growing(
    contenders: &[Contender],
    scenario: &Scenario,
    field: &Field,
    marks: [usize; 2],
) -> Result<Vec<Row>> {
    const AROUND: usize = 4;
    const FIRSTS: usize = 7;
    let mut rows = Vec::new();
    say::line(format_args!("{}: the 1st, {}th and {}th attachment", scenario.name, marks[0], marks[1]));
    // The first one on a node happens once, so it takes several nodes to have a median of it.
    let mut first = Vec::new();
    for _ in 0..FIRSTS {
        for mut lane in Lane::all(contenders, scenario, field, 1)? {
            let (attached, add) = lane.add(scenario, 0)?;
            lane.add.push(add);
            lane.delete.push(lane.delete(scenario, &attached)?);
            first.push(lane);
        }
    }
    rows.extend(self::rows(&format!("{}: 1st", scenario.name), &merged(first)));

    let last = marks[1] + AROUND;
    let mut lanes = Lane::all(contenders, scenario, field, last)?;
    let mut standing: Vec<Vec<Attached>> = lanes.iter().map(|_| Vec::new()).collect();
    for mark in marks {
        for index in standing.first().map_or(0, Vec::len)..mark + AROUND {
            for (lane, standing) in lanes.iter_mut().zip(&mut standing) {
                let (attached, add) = lane.add(scenario, index)?;
                standing.push(attached);
                if index + 1 + AROUND >= mark {
                    lane.add.push(add);
                }
            }
        }
        // Deleted and added again, so that the number stands for the next mark.
        for _ in 0..2 * AROUND {
            for (lane, standing) in lanes.iter_mut().zip(&mut standing) {
                let attached = standing.pop().context("no attachment to delete")?;
                lane.delete.push(lane.delete(scenario, &attached)?);
            }
        }
        rows.extend(self::rows(&format!("{}: {mark}th", scenario.name), &lanes));
        for lane in &mut lanes {
            lane.add.clear();
            lane.delete.clear();
        }
    }
    Ok(rows)
}

/// Ten containers at once: the time until the last one is done.
pub(crate) fn at_once(
    contenders: &[Contender],
    scenario: &Scenario,
    field: &Field,
    rounds: usize,
) -> Result<[Row; 2]> {
    const TEN: usize = 10;
    say::line(format_args!("{}: {TEN} at once, {rounds} rounds", scenario.name));
    let mut lanes = Lane::all(contenders, scenario, field, TEN)?;
    // The bridge exists from the second round on, as on a node in use.
    for round in 0..=rounds {
        lanes.rotate_left(1);
        for lane in &mut lanes {
            let (attached, add) = together(0..TEN, |index| Ok(lane.add(scenario, index)?.0))?;
            let (_, delete) = together(attached, |attached| lane.delete(scenario, &attached))?;
            if round > 0 {
                lane.add.push(add);
                lane.delete.push(delete);
            }
        }
    }
    Ok(rows(&format!("{}: {TEN} at once", scenario.name), &lanes))
}

/// Runs one thread per item and takes the time of all.
fn together<I: Send, T: Send>(
    items: impl IntoIterator<Item = I>,
    work: impl Fn(I) -> Result<T> + Sync,
) -> Result<(Vec<T>, Sample)> {
    let begin = Moment::now()?;
    let done = thread::scope(|scope| {
        let work = &work;
        let threads: Vec<_> = items.into_iter().map(|item| scope.spawn(move || work(item))).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| anyhow!("a thread of the bench panicked"))?)
            .collect::<Result<Vec<_>>>()
    })?;
    Ok((done, Moment::now()? - begin))
}

/// Lanes of the same contender become one.
fn merged(lanes: Vec<Lane>) -> Vec<Lane> {
    let mut merged: Vec<Lane> = Vec::new();
    for lane in lanes {
        match merged.iter_mut().find(|known| known.contender.side == lane.contender.side) {
            Some(known) => {
                known.add.extend(lane.add);
                known.delete.extend(lane.delete);
            }
            None => merged.push(lane),
        }
    }
    merged
}

fn rows(name: &str, lanes: &[Lane]) -> [Row; 2] {
    let row = |operation, samples: fn(&Lane) -> Vec<Sample>| {
        let cell = |side: Side| {
            let lane = lanes.iter().find(|lane| lane.contender.side == side)?;
            Some((side, Summary::of(&samples(lane))?))
        };
        Row { scenario: name.to_owned(), operation, cells: Side::ALL.into_iter().filter_map(cell).collect() }
    };
    [row("ADD", |lane| lane.add.clone()), row("DEL", |lane| lane.delete.clone())]
}

impl Row {
    /// One side's figures.
    pub(crate) fn cell(&self, side: Side) -> Option<&Summary> {
        self.cells.iter().find(|(known, _)| *known == side).map(|(_, summary)| summary)
    }

    /// How many times as much wall and CPU time the reference takes.
    pub(crate) fn ratio(&self, side: Side) -> Option<Sample> {
        let (reference, own) = (self.cell(Side::Reference)?, self.cell(side)?);
        Some(Sample { wall: reference.wall / own.wall, cpu: reference.cpu / own.cpu })
    }
}

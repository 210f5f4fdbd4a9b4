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

/// One contender, the node that it works on, and what was measured.
struct Lane<'a> {
    contender: &'a Contender,
    node: Netns,
    containers: Vec<Netns>,
    taken: Taken,
}

/// The samples of one contender.
struct Taken {
    side: Side,
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
        let able = contenders.iter().filter(|contender| contender.can(scenario));
        able.map(|contender| Self::of(contender, field, containers)).collect()
    }

    fn of(contender: &'a Contender, field: &Field, containers: usize) -> Result<Self> {
        let (node, containers) = (field.namespace()?, field.namespaces(containers)?);
        Ok(Self { contender, node, containers, taken: Taken::of(contender.side) })
    }

    /// The namespaces go, and what was measured stays.
    fn leave(self, field: &Field) -> Result<Taken> {
        field.clear(&self.containers, &self.node)?;
        Ok(self.taken)
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

impl Taken {
    fn of(side: Side) -> Self {
        Self { side, add: Vec::new(), delete: Vec::new() }
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
                lane.taken.add.push(add);
                lane.taken.delete.push(delete);
            }
        }
    }
    Ok(rows(&scenario.name, &leave(lanes, field)?))
}

/// The 1st, the 100th and the 500th attachment of a node, for which all others stay. One contender after the other: the
/// kernel's caches have something of every namespace of the machine, and these are to be those of one node.
pub(crate) fn growing(
    contenders: &[Contender],
    scenario: &Scenario,
    field: &Field,
    marks: [usize; 2],
) -> Result<Vec<Row>> {
    const FIRSTS: usize = 7;
    say::line(format_args!("{}: the 1st, {}th and {}th attachment", scenario.name, marks[0], marks[1]));
    // The first one on a node happens once, so it takes several nodes to have a median of it.
    let able = || contenders.iter().filter(|contender| contender.can(scenario));
    let mut firsts: Vec<Taken> = able().map(|contender| Taken::of(contender.side)).collect();
    for _ in 0..FIRSTS {
        for (contender, first) in able().zip(&mut firsts) {
            let lane = Lane::of(contender, field, 1)?;
            let (attached, add) = lane.add(scenario, 0)?;
            first.add.push(add);
            first.delete.push(lane.delete(scenario, &attached)?);
            lane.leave(field)?;
        }
    }
    let mut grown = marks.map(|_| Vec::new());
    for contender in able() {
        for (all, taken) in grown.iter_mut().zip(grow(contender, scenario, field, marks)?) {
            all.push(taken);
        }
    }
    let mut rows = Vec::from(self::rows(&format!("{}: 1st", scenario.name), &firsts));
    for (mark, taken) in marks.iter().zip(&grown) {
        rows.extend(self::rows(&format!("{}: {mark}th", scenario.name), taken));
    }
    Ok(rows)
}

/// What the attachments around each mark take, when all before them stand.
fn grow(contender: &Contender, scenario: &Scenario, field: &Field, marks: [usize; 2]) -> Result<[Taken; 2]> {
    const AROUND: usize = 4;
    let lane = Lane::of(contender, field, marks[1] + AROUND)?;
    let mut standing = Vec::new();
    let mut grown = marks.map(|_| Taken::of(contender.side));
    for (mark, taken) in marks.into_iter().zip(&mut grown) {
        for index in standing.len()..mark + AROUND {
            let (attached, add) = lane.add(scenario, index)?;
            standing.push(attached);
            if index + 1 + AROUND >= mark {
                taken.add.push(add);
            }
        }
        // Deleted and added again, so that the number stands for the next mark.
        for _ in 0..2 * AROUND {
            let attached = standing.pop().context("no attachment to delete")?;
            taken.delete.push(lane.delete(scenario, &attached)?);
        }
    }
    lane.leave(field)?;
    Ok(grown)
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
                lane.taken.add.push(add);
                lane.taken.delete.push(delete);
            }
        }
    }
    Ok(rows(&format!("{}: {TEN} at once", scenario.name), &leave(lanes, field)?))
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

/// What is measured next finds none of these namespaces.
fn leave(lanes: Vec<Lane<'_>>, field: &Field) -> Result<Vec<Taken>> {
    lanes.into_iter().map(|lane| lane.leave(field)).collect()
}

fn rows(name: &str, all: &[Taken]) -> [Row; 2] {
    let row = |operation, samples: fn(&Taken) -> &[Sample]| {
        let cell = |side: Side| {
            let taken = all.iter().find(|taken| taken.side == side)?;
            Some((side, Summary::of(samples(taken))?))
        };
        Row { scenario: name.to_owned(), operation, cells: Side::ALL.into_iter().filter_map(cell).collect() }
    };
    [row("ADD", |taken| &taken.add), row("DEL", |taken| &taken.delete)]
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

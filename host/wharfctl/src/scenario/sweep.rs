//! The fault sweep of an ADD, a DEL or a GC: each change that it makes fails once, with each of two errnos; and it is
//! killed before and after each. Whatever happens, the DEL of what was added, or the same call once more, must succeed, and
//! leave what is left without faults.
//!
//! A kill is what is there at that moment: the machine and the files, copied while the ADD goes on.

use std::cell::RefCell;
use std::rc::Rc;

use anyhow::Result;
use nix::errno::Errno;
use wharf_cni::Command;

use super::calls::Results;
use super::format;
use super::picture::Picture;
use super::run::Stage;
use super::step::{Action, Step};
use crate::simulated::{At, Fault, Files, Node};

/// A passing fault, and one for good.
const ERRNOS: [Errno; 2] = [Errno::ENOBUFS, Errno::EPERM];

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// How many changes failed or were the last.
    pub(super) faults: u32,
    pub(super) calls: u32,
    /// What was wrong, a paragraph each.
    pub(super) failures: Vec<String>,
}

impl Swept {
    pub(super) fn add(&mut self, other: Self) {
        self.faults += other.faults;
        self.calls += other.calls;
        self.failures.extend(other.failures);
    }
}

/// Sweeps a call that succeeds, from the state before it.
pub(super) fn run(before: &Stage<'_>, step: &Step<'_>) -> Result<Swept> {
    let Action::Attachment(Command::Add, who) = &step.action else {
        // What was not done to the end is done again; a runtime does so even if it was.
        let again = Step { action: step.action.clone(), says: step.says, fault: None };
        return Sweep::new(before, step, again, None)?.run();
    };
    // A DEL knows what the runtime keeps of the ADD. It has no result of one that failed, or if it lost that.
    let kept = format::Step {
        args: step.says.args.clone(),
        plugins: step.says.plugins.clone(),
        ..format::Step::default()
    };
    let lost = format::Step { forgotten: true, ..kept.clone() };
    let del = |says| Step { action: Action::Attachment(Command::Del, who.clone()), says, fault: None };
    Sweep::new(before, step, del(&lost), Some(del(&kept)))?.run()
}

/// What there was at a kill.
struct Moment {
    sim: wharf_sim::Sim,
    files: Files,
    changes: u32,
    results: Results,
}

struct Sweep<'a> {
    before: &'a Stage<'a>,
    step: &'a Step<'a>,
    /// What sets everything right: the DEL of an ADD, or the call itself once more.
    then: Step<'a>,
    /// Of an ADD: the DEL that has its result.
    with_result: Option<Step<'a>>,
    start: Picture,
    /// After both without faults.
    clean: Picture,
    swept: Swept,
}

impl<'a> Sweep<'a> {
    fn new(
        before: &'a Stage<'a>,
        step: &'a Step<'a>,
        then: Step<'a>,
        with_result: Option<Step<'a>>,
    ) -> Result<Self> {
        let start = before.picture()?;
        Ok(Self {
            before,
            step,
            then,
            with_result,
            start,
            clean: Picture::default(),
            swept: Swept::default(),
        })
    }

    fn run(mut self) -> Result<Swept> {
        let (moments, changes) = self.reference()?;
        for number in 1..=changes {
            for errno in ERRNOS {
                self.fails(number, errno)?;
            }
        }
        for Moment { sim, files, changes, results } in moments {
            let node = self.before.node.copy(&sim, &files)?;
            let stage = Stage { node, results, ..*self.before };
            self.swept.faults += 1;
            self.set_right(stage, false, &format!("killed when {changes} changes were made"))?;
        }
        Ok(self.swept)
    }

    /// Both without faults: what is there between the changes of the first, how many there are, and what stays.
    fn reference(&mut self) -> Result<(Vec<Moment>, u32)> {
        let mut stage = self.before.copy()?;
        let moments = watch(&stage.node, &stage.results);
        let done = stage.call(self.step)?;
        stage.node.story.watch(None);
        let changes = u32::try_from(stage.node.story.take().len())?;
        self.swept.calls += done.calls;
        let moments = std::mem::take(&mut *moments.borrow_mut());
        let other = if self.with_result.is_some() { Some(stage.copy()?) } else { None };
        self.swept.calls += stage.call(&self.then)?.calls;
        self.clean = stage.picture()?;
        if let Some(other) = other {
            self.set_right(other, true, "nothing fails")?;
        }
        Ok((moments.into_iter().collect::<Result<_>>()?, changes))
    }

    /// The change with that number fails.
    fn fails(&mut self, number: u32, errno: Errno) -> Result<()> {
        let mut stage = self.before.copy()?;
        let fault = Fault { at: At::Change(number), errno: errno as i32 };
        stage.node.story.plan(Some(fault));
        let done = stage.call(self.step)?;
        stage.node.story.plan(None);
        self.swept.calls += done.calls;
        self.swept.faults += 1;
        let failed = stage.node.story.take().into_iter().find(|change| change.answer.is_err());
        let name = failed.map_or("nothing", |change| change.operation);
        let what = format!("change {number} ({name}) fails with {errno:?}");
        match &done.error {
            // A list of processes is taken down by its runtime; one process by itself.
            Some((code, message)) if self.adds() && done.calls == 1 => {
                self.look(&stage, &what, &format!("the ADD failed ({code}: {message}) and left"))?;
            }
            Some(_) => {}
            None if self.adds() => self.set_right(stage.copy()?, true, &what)?,
            None => self.look(&stage, &what, "it succeeded all the same, and left")?,
        }
        self.set_right(stage, false, &what)
    }

    fn adds(&self) -> bool {
        self.with_result.is_some()
    }

    /// What comes then must succeed, and leave what it always leaves.
    fn set_right(&mut self, mut stage: Stage<'_>, with_result: bool, what: &str) -> Result<()> {
        let then = self.with_result.as_ref().filter(|_| with_result).unwrap_or(&self.then);
        let (title, result) = (then.title(), if with_result { " with the ADD's result" } else { "" });
        let done = stage.call(then)?;
        self.swept.calls += done.calls;
        if let Some((code, message)) = done.error {
            self.wrong(what, &format!("then {title}{result} failed"), &[format!("{code}: {message}")]);
            return Ok(());
        }
        self.look(&stage, what, &format!("then {title}{result} left"))
    }

    /// Nothing may be there that is not there without faults. An ADD that failed need not have come as far as one that did
    /// not: a bridge that stays need not be there.
    fn look(&mut self, stage: &Stage<'_>, what: &str, then: &str) -> Result<()> {
        let now = stage.picture()?;
        let left = if self.adds() { now.since_but(&self.start, &self.clean) } else { now.since(&self.clean) };
        if !left.is_empty() {
            self.wrong(what, then, &left);
        }
        Ok(())
    }

    fn wrong(&mut self, what: &str, then: &str, lines: &[String]) {
        self.swept.failures.push(format!("{what}; {then}\n  {}", lines.join("\n  ")));
    }
}

type Moments = Rc<RefCell<Vec<Result<Moment>>>>;

/// Keeps what is there before and after each change.
fn watch(node: &Node, results: &Results) -> Moments {
    let moments = Moments::default();
    let (kept, sim, root) = (Rc::clone(&moments), node.sim.clone(), node.root().to_owned());
    let results = results.clone();
    node.story.watch(Some(Box::new(move |changes| {
        let mut kept = kept.borrow_mut();
        let files = match Files::read(&root) {
            Ok(files) => files,
            Err(error) => return kept.push(Err(error.into())),
        };
        // Between two changes there is nothing to tell apart but what is written down.
        let same = |last: &Moment| last.changes == changes && last.files == files;
        if !kept.last().is_some_and(|last| last.as_ref().is_ok_and(same)) {
            kept.push(Ok(Moment { sim: sim.copy(), files, changes, results: results.clone() }));
        }
    })));
    moments
}

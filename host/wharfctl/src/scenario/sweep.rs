//! The fault sweep of an ADD: each change that it makes fails once, with each of two errnos; and it is killed before and
//! after each. Whatever happens, nothing may be left that a DEL without faults would not leave, and the DEL must succeed.
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

/// Sweeps an ADD that succeeds, from the state before it.
pub(super) fn run(before: &Stage<'_>, add: &Step<'_>) -> Result<Swept> {
    let says = format::Step::default();
    let action = match &add.action {
        Action::Attachment(_, who) => Action::Attachment(Command::Del, who.clone()),
        other => other.clone(),
    };
    // A DEL knows what the runtime keeps of the ADD, but for the result.
    let says = format::Step {
        forgotten: true,
        args: add.says.args.clone(),
        plugins: add.says.plugins.clone(),
        ..says
    };
    let del = Step { action, says: &says, fault: None };
    let mut sweep = Sweep {
        before,
        add,
        del,
        start: before.picture()?,
        clean: Picture::default(),
        swept: Swept::default(),
    };
    let (moments, changes) = sweep.reference()?;
    for number in 1..=changes {
        for errno in ERRNOS {
            sweep.fails(number, errno)?;
        }
    }
    for Moment { sim, files, changes, results } in moments {
        let node = before.node.copy(&sim, &files)?;
        let stage = Stage { node, results, ..*before };
        sweep.taken_down(stage, &format!("killed when {changes} changes were made"))?;
    }
    Ok(sweep.swept)
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
    add: &'a Step<'a>,
    del: Step<'a>,
    start: Picture,
    /// After an ADD and a DEL without faults.
    clean: Picture,
    swept: Swept,
}

impl Sweep<'_> {
    /// ADD and DEL without faults: what is there between the changes, how many there are, and what stays.
    fn reference(&mut self) -> Result<(Vec<Moment>, u32)> {
        let mut stage = self.before.copy()?;
        let moments = watch(&stage.node, &stage.results);
        let done = stage.call(self.add)?;
        stage.node.story.watch(None);
        let changes = u32::try_from(stage.node.story.take().len())?;
        self.swept.calls += done.calls;
        let moments = std::mem::take(&mut *moments.borrow_mut());
        self.swept.calls += stage.call(&self.del)?.calls;
        self.clean = stage.picture()?;
        Ok((moments.into_iter().collect::<Result<_>>()?, changes))
    }

    /// The change with that number fails.
    fn fails(&mut self, number: u32, errno: Errno) -> Result<()> {
        let mut stage = self.before.copy()?;
        let fault = Fault { at: At::Change(number), errno: errno as i32 };
        stage.node.story.plan(Some(fault));
        let done = stage.call(self.add)?;
        stage.node.story.plan(None);
        self.swept.calls += done.calls;
        let failed = stage.node.story.take().into_iter().find(|change| change.answer.is_err());
        let name = failed.map_or("nothing", |change| change.operation);
        let what = format!("change {number} ({name}) fails with {errno:?}");
        // A list of processes is taken down by its runtime; one process by itself.
        if let (Some((code, message)), 1) = (&done.error, done.calls) {
            let left = stage.picture()?.since_but(&self.start, &self.clean);
            if !left.is_empty() {
                self.wrong(&what, &format!("the ADD failed ({code}: {message}) and left"), &left);
            }
        }
        self.taken_down(stage, &what)
    }

    /// A DEL must succeed, and leave what it always leaves.
    fn taken_down(&mut self, mut stage: Stage<'_>, what: &str) -> Result<()> {
        self.swept.faults += 1;
        let done = stage.call(&self.del)?;
        self.swept.calls += done.calls;
        if let Some((code, message)) = done.error {
            self.wrong(what, "then the DEL failed", &[format!("{code}: {message}")]);
            return Ok(());
        }
        let left = stage.picture()?.since_but(&self.start, &self.clean);
        if !left.is_empty() {
            self.wrong(what, "then the DEL left", &left);
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

//! Each change of an ADD or a DEL fails once, or is the last one before a process ends. Then one DEL, one GC, or
//! `wharfctl recover` and a DEL: all succeed, and nothing is left.

use std::fs;

use super::{Ended, List, Picture, Scene};

/// What happens at a change: words of `WHARF_FAULT`.
pub type What = &'static str;

/// The change fails with it.
pub const ERRNOS: [What; 4] = ["EEXIST", "EBUSY", "ENOBUFS", "EPERM"];
/// The broker is killed before the change or after it, or the sandbox is.
pub const KILLS: [What; 4] = ["kill-before", "kill-after", "kill-sandbox", "kill-sandbox-after"];

/// Both.
pub fn everything() -> Vec<What> {
    [&KILLS[..], &ERRNOS].concat()
}

/// What was tried, and what went wrong.
#[derive(Clone, Debug, Default)]
pub struct Swept {
    /// How many changes the command makes.
    pub changes: u64,
    /// How many cases there were.
    pub cases: usize,
    /// One text for each that went wrong.
    pub failures: Vec<String>,
}

/// Sweeps `command` on a node that had the attachment before: what is left is compared to the last line. An ADD that
/// fails by itself must have undone everything by itself.
pub fn used(list: List, command: &str, whats: &[What]) -> Result<Swept, String> {
    let mut stage = Stage::new(list)?;
    let mut swept = Swept { changes: stage.count(command)?, ..Swept::default() };
    for at in 1..=swept.changes {
        for (number, what) in whats.iter().enumerate() {
            swept.cases += 1;
            let rest = Rest::of(at, number);
            if let Err(fault) = stage.case(command, at, what, rest) {
                let name = format!("{list}, {command}, change {at} of {}, {what}, {rest:?}", swept.changes);
                swept.failures.push(format!("{name}: {fault}"));
                stage = Stage::new(list)?;
            }
        }
    }
    Ok(swept)
}

/// Sweeps the ADD on nodes that never had an attachment. Rules and switches that are nobody's may stay there.
pub fn fresh(list: List, whats: &[What]) -> Result<Swept, String> {
    let mut swept = Swept::default();
    loop {
        let at = swept.changes + 1;
        for (number, what) in whats.iter().enumerate() {
            let scene = Scene::with_faults(list)?;
            let before = scene.picture();
            let ended = faulty(&scene, "ADD", None, &format!("{at}:{what}"));
            let same = || {
                let left = scene.picture().changes_of_a_new_node(&before, &Scene::own_texts());
                if left.is_empty() { Ok(()) } else { Err(format!("this is left:\n  {}", left.join("\n  "))) }
            };
            if ended == Ended::Done && reached(&scene).is_some_and(|reached| reached < at) {
                return Ok(swept);
            }
            swept.cases += 1;
            // A bridge with its address is shared, and stays after an ADD that succeeded.
            let done = match ended {
                Ended::Done => scene.delete(None),
                Ended::Failed(_) => same().and_then(|()| scene.delete(None)).and_then(|()| same()),
                Ended::Killed => Rest::of(at, number).run(&scene, None).and_then(|()| same()),
            };
            if let Err(fault) = done {
                swept.failures.push(format!("{list}, new node, change {at}, {what}: {fault}"));
            }
        }
        swept.changes = at;
    }
}

/// What a runtime or a person does afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rest {
    Del,
    Gc,
    RecoverAndDel,
}

impl Rest {
    /// Each has its turn with each fault.
    fn of(at: u64, fault: usize) -> Self {
        match (at + fault as u64) % 3 {
            0 => Self::Del,
            1 => Self::Gc,
            _ => Self::RecoverAndDel,
        }
    }

    fn run(self, scene: &Scene, previous: Option<&serde_json::Value>) -> Result<(), String> {
        match self {
            Self::Del => scene.delete(previous),
            Self::Gc => scene.collect(),
            Self::RecoverAndDel => scene.recover().and_then(|()| scene.delete(previous)),
        }
    }
}

/// A scene with what it looks like at rest.
struct Stage {
    scene: Scene,
    before: Picture,
}

impl Stage {
    fn new(list: List) -> Result<Self, String> {
        let scene = Scene::with_faults(list)?;
        scene.warm_up()?;
        let before = scene.picture();
        Ok(Self { scene, before })
    }

    /// How many changes a plain call makes; for each list and backend another number.
    fn count(&self, command: &str) -> Result<u64, String> {
        let previous = match command {
            "DEL" => Some(self.scene.attach()?),
            _ => None,
        };
        let ended = faulty(&self.scene, command, previous.as_ref(), "");
        let count = reached(&self.scene).unwrap_or_default();
        if ended != Ended::Done || count == 0 {
            return Err(format!("a plain {command}: {ended:?} after {count} changes"));
        }
        self.scene.delete(None)?;
        self.same("a plain call")?;
        Ok(count)
    }

    fn case(&self, command: &str, at: u64, what: What, rest: Rest) -> Result<(), String> {
        let scene = &self.scene;
        let previous = match command {
            "DEL" => Some(scene.attach()?),
            _ => None,
        };
        let ended = faulty(scene, command, previous.as_ref(), &format!("{at}:{what}"));
        match (&ended, what) {
            (Ended::Killed, "kill-before" | "kill-after") => {}
            (other, "kill-before" | "kill-after") => return Err(format!("it was not killed: {other:?}")),
            (Ended::Killed, _) => return Err("it was killed, and should have lived on".to_owned()),
            (Ended::Failed(said), _) if command == "ADD" => {
                if said.contains("\"code\":906") {
                    return Err(format!("undoing was incomplete: {said}"));
                }
                self.same("it failed")?;
            }
            (Ended::Failed(_) | Ended::Done, _) => {}
        }
        rest.run(scene, previous.as_ref())?;
        if rest == Rest::Gc && scene.is_loopback() {
            // That its lo is down again is for the DEL: a GC leaves alone what is in a container and goes with it.
            let left = scene.picture().changes_of_the_node_since(&self.before);
            if !left.is_empty() {
                return Err(format!("{ended:?}, {rest:?}; this is left:\n  {}", left.join("\n  ")));
            }
            scene.delete(previous.as_ref())?;
        }
        self.same(&format!("{ended:?}, {rest:?}"))
    }

    fn same(&self, after: &str) -> Result<(), String> {
        let left = self.scene.picture().changes_since(&self.before);
        if left.is_empty() { Ok(()) } else { Err(format!("{after}; this is left:\n  {}", left.join("\n  "))) }
    }
}

fn faulty(scene: &Scene, command: &str, previous: Option<&serde_json::Value>, fault: &str) -> Ended {
    let count = scene.node.folder("counts").join("count");
    let _ = fs::remove_file(&count);
    let variables = [("WHARF_FAULT", fault), ("WHARF_FAULT_COUNT", count.to_str().expect("a plain path"))];
    scene.attempt(command, previous, &variables, None).ended
}

/// How many changes the last call made, if it ended by itself.
fn reached(scene: &Scene) -> Option<u64> {
    fs::read_to_string(scene.node.folder("counts").join("count")).ok()?.trim().parse().ok()
}

//! Where the time of a guest's call went, for who measures.

use std::cell::{Cell, RefCell};
use std::ffi::OsString;
use std::io::Write as _;
use std::rc::Rc;
use std::time::{Duration, Instant};

use wharf_ops::wire::Timings;

/// Names the file that takes a line for each guest's call.
const VARIABLE: &str = "WHARF_TRACE_TIMINGS";

/// One call of a guest; of a policy, all that it was asked in one call of the plugin.
#[derive(Clone, Debug)]
pub struct Spent {
    /// The guest.
    pub guest: String,
    /// How long its sandbox was waited for.
    pub waited: Duration,
    /// How long all of it took.
    pub whole: Duration,
    /// What the sandbox tells.
    pub inside: Timings,
    /// How long its operations took, those of delegates included.
    pub kernel: Duration,
    /// How many there were; of a policy, how many questions.
    pub operations: u32,
}

impl Spent {
    fn line(&self) -> String {
        let line = serde_json::json!({
            "guest": self.guest,
            "fork_us": self.waited.as_micros(),
            "load_us": self.inside.load,
            "confine_us": self.inside.confine,
            "instantiate_us": self.inside.instantiate,
            "run_us": self.inside.run,
            "kernel_us": self.kernel.as_micros(),
            "ops": self.operations,
            "total_us": self.whole.as_micros(),
            "memory": self.inside.memory,
        });
        format!("{line}\n")
    }
}

/// Who wants to know.
#[derive(Debug, Default)]
pub enum Meter {
    /// Nobody.
    #[default]
    Off,
    /// Lines of JSON, at the end of this file.
    File(OsString),
    /// Whoever made the broker.
    Kept(RefCell<Vec<Spent>>),
}

impl Meter {
    /// The file that `WHARF_TRACE_TIMINGS` names.
    pub fn from_env() -> Self {
        std::env::var_os(VARIABLE).map_or(Self::Off, Self::File)
    }

    pub(crate) fn add(&self, spent: impl FnOnce() -> Spent) {
        match self {
            Self::Off => {}
            Self::File(file) => append(file, &spent().line()),
            Self::Kept(all) => all.borrow_mut().push(spent()),
        }
    }

    /// To be filled by one invocation.
    pub(crate) fn safeguards(&self) -> Safeguards {
        Safeguards(matches!(self, Self::File(_)).then(Rc::default))
    }

    /// The invocation is over.
    pub(crate) fn guarded(&self, command: &str, safeguards: &Safeguards) {
        if let (Self::File(file), Some([grants, checks, journal])) = (self, safeguards.0.as_deref()) {
            let line = serde_json::json!({
                "command": command,
                "grants_us": grants.get().as_micros(),
                "checks_us": checks.get().as_micros(),
                "journal_us": journal.get().as_micros(),
            });
            append(file, &format!("{line}\n"));
        }
    }

    /// What was kept since the last time.
    pub fn take(&self) -> Vec<Spent> {
        match self {
            Self::Off | Self::File(_) => Vec::new(),
            Self::Kept(all) => all.take(),
        }
    }
}

fn append(file: &OsString, line: &str) {
    let file = std::fs::File::options().append(true).create(true).open(file);
    // The benchmark notices a line that is missing; a call does not fail for it.
    let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
}

/// What keeps an invocation safe.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Safeguard {
    /// Reading grants.
    Grants,
    /// Holding operations against them.
    Checks,
    /// Opening and writing the journal.
    Journal,
}

/// How long one invocation was busy with that. Nothing is measured if nobody wants to know.
#[derive(Clone, Debug, Default)]
pub(crate) struct Safeguards(Option<Rc<[Cell<Duration>; 3]>>);

impl Safeguards {
    pub(crate) fn time<T>(&self, what: Safeguard, work: impl FnOnce() -> T) -> T {
        let Some([grants, checks, journal]) = self.0.as_deref() else { return work() };
        let took = match what {
            Safeguard::Grants => grants,
            Safeguard::Checks => checks,
            Safeguard::Journal => journal,
        };
        let started = Instant::now();
        let done = work();
        took.set(took.get() + started.elapsed());
        done
    }
}

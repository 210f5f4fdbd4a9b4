//! Where the time of a guest's call went, for who measures.

use std::cell::RefCell;
use std::ffi::OsString;
use std::io::Write as _;
use std::time::Duration;

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
            Self::File(file) => {
                let file = std::fs::File::options().append(true).create(true).open(file);
                // The benchmark notices a line that is missing; a call does not fail for it.
                let _ = file.and_then(|mut file| file.write_all(spent().line().as_bytes()));
            }
            Self::Kept(all) => all.borrow_mut().push(spent()),
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

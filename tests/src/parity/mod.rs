//! Parity: the reference plugins and ours get the same calls on nodes of their own, and all that can be seen of it is
//! compared.
//!
//! The cases are data, in `tests/parity/cases`: [`case`] says what a case is made of. [`stage`] plays it on a node,
//! [`picture`] looks at what is there after each call, [`names`] takes out what is random, and [`compare`] holds one side
//! against the other. Where Wharf differs on purpose the case says so and why, and a difference that is expected but does
//! not occur is a failure, too.

pub mod case;
mod chain;
pub mod compare;
pub mod expand;
pub mod file;
pub mod names;
mod options;
pub mod picture;
pub mod probe;
pub mod program;
pub mod run;
pub mod stage;
pub mod switch;

pub use case::{Case, Difference};
pub use file::{File, common};
pub use run::{Mode, play_file};
pub use stage::{Side, Stage};
pub use switch::{By, Switch, limited};

/// Where the cases are: where `WHARF_PARITY_FILES` says, or in this crate.
pub fn folder() -> std::path::PathBuf {
    let default = || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("parity");
    std::env::var_os("WHARF_PARITY_FILES").map_or_else(default, Into::into)
}

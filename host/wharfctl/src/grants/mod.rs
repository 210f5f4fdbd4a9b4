//! `wharfctl grants`: what guests may do, whether their files are right, and files to start with.

mod check;
mod explain;
mod suggest;
mod write;

use std::path::PathBuf;

use anyhow::Result;
use clap::Subcommand;
use wharf_broker::Paths;

use crate::say;

pub(crate) use check::problems;
pub(crate) use write::{as_lines, tell, untouched, would_run, write};

/// What to do about the grant of a guest that is not there.
const NOT_THERE: &str = "`wharfctl guests` lists those that are, and `wharfctl add` installs another";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Say in words what an installed guest may do, and within which constraints.
    Explain {
        /// The guest.
        guest: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Compare grant files with the installed guests, and list everything that is wrong.
    Check {
        /// The guest; without it, all.
        #[arg(conflicts_with = "all")]
        guest: Option<String>,
        /// All installed guests, and files that are no guest's.
        #[arg(long)]
        all: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print a grant file that allows exactly what a guest imports, with constraints to look at.
    Suggest {
        /// An installed guest; with --component, the name that it is to have. [default: that of the file]
        #[arg(required_unless_present = "component")]
        guest: Option<String>,
        /// A component (*.wasm) that is not installed yet.
        #[arg(long)]
        component: Option<PathBuf>,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(paths: &Paths, command: &Command) -> Result<()> {
    match command {
        Command::Explain { guest, json } => explain::run(paths, guest, *json),
        Command::Check { guest, all: _, json } => check::run(paths, guest.as_deref(), *json),
        Command::Suggest { guest, component, json } => {
            suggest::run(paths, guest.as_deref(), component.as_deref(), *json)
        }
    }
}

/// Prints what may be long, for a reader that may be gone.
fn print(text: &str) -> Result<()> {
    say::text(text)
}

//! What an endpoint for traces adds to an ADD. A call only appends to a spool, so that nobody has to listen there.

use std::fs;

use anyhow::{Context, Result};

use super::turns::Turns;
use crate::say;

const SETTINGS: &str = "[traces]\nendpoint = \"http://127.0.0.1:9\"\n";
/// What it appends to, below the root.
const SPOOL: &str = "run/wharf/telemetry/spans.jsonl";

/// The milliseconds; an error if no spans were made.
pub(crate) fn measure(turns: &Turns, rounds: usize) -> Result<Option<f64>> {
    say::line(format_args!("an ADD with an endpoint for traces and without, {rounds} rounds"));
    let added = turns.added(SETTINGS, rounds)?;
    let spool = turns.root.join(SPOOL);
    fs::metadata(&spool).with_context(|| format!("no spans were written to {}", spool.display()))?;
    Ok(added)
}

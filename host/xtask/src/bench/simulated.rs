//! What a call costs on the simulated kernel, by what `wharfctl test` says at its end.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use super::stats::median;
use crate::{say, sh};

/// How often all scenarios are run.
const RUNS: usize = 5;

/// The median over the runs, in milliseconds; `cache` is a folder for the compiled guests.
pub(crate) fn measure([wharfctl, guests, scenarios, cache]: [&Path; 4]) -> Result<Option<f64>> {
    say::line(format_args!("the scenarios on the simulated kernel, {RUNS} runs"));
    let mut milliseconds = Vec::new();
    // The first run compiles the guests.
    for run in 0..=RUNS {
        let mut test = Command::new(wharfctl);
        test.args(["test", "--no-sweep", "--guests"]).arg(guests).arg(scenarios).env("XDG_CACHE_HOME", cache);
        let said = sh::output(&mut test)?;
        let each = each(&said).context("`wharfctl test` does not say how long a call took")?;
        milliseconds.extend((run > 0).then_some(each / 1e3));
    }
    Ok(median(&milliseconds))
}

/// The microseconds in a line like `137 calls in 0.61 s: 4443 µs each, 225 a second; ...`.
fn each(said: &str) -> Option<f64> {
    let figure = |line: &str| line.split_once(" µs each")?.0.rsplit(' ').next()?.parse().ok();
    said.lines().rev().find_map(figure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figure_is_found_among_the_rest() {
        let said = "ok     bridge/plain  (3 calls, 0 faults, 12 ms)\n\n42 of 42 scenarios passed\n\
                    137 calls in 0.61 s: 4443 µs each, 225 a second; 0 faults with 0 calls beside them\n\
                    2 have no golden; --bless writes it\n";
        assert_eq!(each(said), Some(4443.0));
        assert_eq!(each("42 of 42 scenarios passed\n"), None);
        assert_eq!(each("1 calls in 0.61 s: many µs each\n"), None);
    }
}

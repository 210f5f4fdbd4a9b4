//! ADDs and DELs that are killed at random instants, then one DEL. `cargo xtask crash` does it as often as one likes, and
//! beside the reference plugins.

use wharf_tests::crash::random::{self, Options};
use wharf_tests::crash::{Backend, report};

#[test]
fn nothing_is_left_whenever_a_call_is_killed() {
    let options = Options { runs: 100, backends: Backend::ALL.into(), reference: false, seed: 3, lanes: 2 };
    let results = random::run(&options, |_| ()).unwrap();
    let text = report::table(&results);
    assert!(report::is_clean(&results), "{text}");
    assert_eq!(results.len(), 4, "both ways of running a list, both backends:\n{text}");
    let (runs, killed) = results.values().fold((0, 0), |all, one| (all.0 + one.runs, all.1 + one.killed));
    assert_eq!(runs, 100);
    assert!(killed > 50, "most were killed in their middle:\n{text}");
}

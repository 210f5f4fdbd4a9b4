//! The fuzz target's body over a seed corpus and a deterministic mutator, so that it runs in every `cargo test`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod grant_fuzz_body;
#[path = "../../../fuzz/smoke/mod.rs"]
mod smoke;

const ITERATIONS: usize = 10_000;

/// Also the corpus to start the fuzzer with.
const SEEDS: [&str; 5] = [
    include_str!("grant_fuzz_body/seeds/bridge"),
    include_str!("grant_fuzz_body/seeds/portmap"),
    include_str!("grant_fuzz_body/seeds/first_version"),
    include_str!("grant_fuzz_body/seeds/nearly_marked"),
    include_str!("grant_fuzz_body/seeds/empty_table"),
];

/// What mutations put in the place of others.
const WORDS: [&str; 28] = [
    "[]",
    "{}",
    "\"\"",
    "0",
    "-1",
    "65536",
    "4095",
    "1.5",
    "true",
    "\"*\"",
    "\"**/*\"",
    "\"{ifname}\"",
    "\"{x}\"",
    "\"a/../b\"",
    "\"default\"",
    "\"0.0.0.0/0\"",
    "\"10.0.0.1/8\"",
    "\"::ffff:10.0.0.1/104\"",
    "\"9-5\"",
    "\"1-65535\"",
    "\"links/*\"",
    "\"nat/detect\"",
    "[links]",
    "[limits]",
    "names",
    "cidrs",
    "'''",
    "#",
];

#[test]
fn seeds_are_grants() {
    for seed in SEEDS {
        wharf_broker::grants::Grant::parse(seed).unwrap();
        grant_fuzz_body::run(seed.as_bytes());
    }
    smoke::run_over_findings("grant_file", grant_fuzz_body::run);
}

#[test]
fn mutated_grants_keep_every_promise() {
    smoke::run_over_texts(&SEEDS, &WORDS, ITERATIONS, grant_fuzz_body::run);
}

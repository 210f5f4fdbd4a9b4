//! The fuzz target's body over a seed corpus and a deterministic mutator, so that it runs in every `cargo test`.
#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod fuzz_body;
#[path = "../../../fuzz/smoke/mod.rs"]
mod smoke;

const ITERATIONS: usize = 10_000;

/// Also the corpus to start the fuzzer with.
const SEEDS: [&str; 9] = [
    include_str!("fuzz_body/seeds/add"),
    include_str!("fuzz_body/seeds/version"),
    include_str!("fuzz_body/seeds/gc"),
    include_str!("fuzz_body/seeds/chain"),
    include_str!("fuzz_body/seeds/prev_result"),
    include_str!("fuzz_body/seeds/result_v02"),
    include_str!("fuzz_body/seeds/result_v03"),
    include_str!("fuzz_body/seeds/conflist"),
    include_str!("fuzz_body/seeds/reply"),
];

/// Words that matter to the parsers; mutations put them in the place of others.
const WORDS: [&str; 40] = [
    "null",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-1",
    "4294967296",
    "1e9",
    "true",
    "\"true\"",
    "\"0.1.0\"",
    "\"0.2.0\"",
    "\"0.3.0\"",
    "\"0.4.0\"",
    "\"1.0.0\"",
    "\"1.1.0\"",
    "\"9.9.9\"",
    "\"10.0.0.1/24\"",
    "\"fd00::1/64\"",
    "\"::ffff:1.2.3.4/100\"",
    "\"1.2.3.4\"",
    "\"::1\"",
    "\"ips\"",
    "\"ip4\"",
    "\"ip6\"",
    "\"routes\"",
    "\"dst\"",
    "\"prevResult\"",
    "\"chain\"",
    "\"wharf\"",
    "\"type\"",
    "\"name\"",
    "\"plugins\"",
    "\"capabilities\"",
    "\"runtimeConfig\"",
    "\"cni.dev/x\"",
    "DEL",
    "STATUS",
    "\n\n",
    "=",
];

#[test]
fn seeds_are_fit_for_use() {
    for seed in SEEDS {
        fuzz_body::run(seed.as_bytes());
        let (_, document) = seed.split_once("\n\n").unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(document).is_ok(), "{document}");
    }
    smoke::run_over_findings("cni_request", fuzz_body::run);
}

#[test]
fn mutated_inputs_keep_every_promise() {
    smoke::run_over_texts(&SEEDS, &WORDS, ITERATIONS, fuzz_body::run);
}

//! The fuzz target's body over one of each operation and a deterministic mutator, so that it runs in every `cargo test`.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]
#![allow(missing_docs, unreachable_pub, clippy::missing_panics_doc, reason = "helpers of tests")]

mod fuzz_body;
#[path = "fuzz_body/ops.rs"]
mod ops;
#[path = "../../../fuzz/smoke/mod.rs"]
mod smoke;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use ops::Pick;
use smoke::Random;
use wharf_ops::OPERATIONS;
use wharf_ops::call::{Answer, CniError, Failure, NetworkResult};
use wharf_ops::logging::{Level, LogLine};
use wharf_ops::wire::{self, Timings, ToBroker};

const ITERATIONS: usize = 20_000;

fn finished(outcome: Result<Answer, Failure>) -> ToBroker {
    ToBroker::Finished { outcome, timings: Timings::default() }
}

/// One of each message, by a name for its file.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    for op in ops::every(&mut Pick::new(1)) {
        seeds.push((op.operation().name.replace('/', "."), ToBroker::Op(op)));
    }
    let line = LogLine { level: Level::Warn, message: "m".into(), fields: vec![("k".into(), "v".into())] };
    seeds.push(("log".into(), ToBroker::Log(line)));
    let failure = CniError { code: 100, msg: "m".into(), details: Some("d".into()) };
    seeds.push(("finished.result".into(), finished(Ok(Answer::Result(NetworkResult::default())))));
    seeds.push(("finished.error".into(), finished(Err(Failure::Guest(failure)))));
    seeds.push(("finished.trap".into(), finished(Err(Failure::Trap("t".into())))));
    seeds.into_iter().map(|(name, message)| (name, wire::encode(&message).unwrap())).collect()
}

/// Where they are committed, for the fuzzer to start from.
const COMMITTED: &str = "tests/fuzz_body/seeds.hex";

#[test]
fn the_seeds_are_one_of_each_message() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(COMMITTED);
    let seeds = seeds();
    if std::env::var_os("WHARF_WRITE_SEEDS").is_some() {
        fs::write(&file, smoke::as_lines(&seeds)).unwrap();
    }
    smoke::write_corpus(&seeds);
    let names: BTreeSet<&str> = seeds.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names.len(), seeds.len(), "no operation twice");
    for operation in OPERATIONS {
        assert!(names.contains(operation.name.replace('/', ".").as_str()), "{} has no seed", operation.name);
    }
    for (_, bytes) in &seeds {
        fuzz_body::run(bytes);
    }
    smoke::run_over_findings("op_frame", fuzz_body::run);
    let committed = smoke::binary_seeds(&fs::read_to_string(file).unwrap());
    assert_eq!(committed, seeds, "run this test with WHARF_WRITE_SEEDS=1 after a change of the messages");
}

fn mutate(data: &mut Vec<u8>, other: &[u8], random: &mut Random) {
    let at = random.below(data.len());
    match random.below(7) {
        0 => data[at] = random.byte(),
        1 => data[at] ^= 1 << random.below(8),
        2 => data[at] = [0, 1, 0x7f, 0x80, 0xff][random.below(5)],
        3 => drop(data.drain(at..data.len().min(at + 1 + random.below(4)))),
        4 => drop(data.splice(at..at, other[random.below(other.len())..].iter().copied())),
        5 => data.truncate(at),
        _ => data.extend_from_slice(other),
    }
    if data.is_empty() {
        data.push(0);
    }
}

#[test]
fn mutated_conversations_keep_every_promise() {
    let seeds = seeds();
    let mut random = Random::default();
    for _ in 0..ITERATIONS {
        let mut data = seeds[random.below(seeds.len())].1.clone();
        for _ in 0..=random.below(4) {
            mutate(&mut data, &seeds[random.below(seeds.len())].1, &mut random);
        }
        // Half of them with a length that fits, so that the message itself is looked at.
        if data.len() > 4 && random.below(2) == 0 {
            let length = u32::try_from(data.len() - 4).unwrap();
            data[..4].copy_from_slice(&length.to_le_bytes());
        }
        smoke::survives(&data, || fuzz_body::run(&data));
    }
}

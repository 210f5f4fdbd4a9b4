//! Real components in real sandboxes, one after the other on the only thread: a fork wants a single-threaded process.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unnecessary_wraps,
    reason = "all of this is tests, and clippy sees a program"
)]

mod calls;
mod confinement;
mod hostile;
mod mismatch;
mod policy;
mod support;
mod zygote;

use std::panic::{AssertUnwindSafe, catch_unwind};

use wharf_sandbox::Artefact;

/// The compiled fixtures.
pub(crate) struct Guests {
    probe: Artefact,
    probe_wasm: Vec<u8>,
    pool: Artefact,
    judge: Artefact,
}

type Test = (&'static str, fn(&Guests));

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let filters: Vec<&String> = arguments.iter().filter(|argument| !argument.starts_with('-')).collect();
    let tests: Vec<Test> =
        [calls::TESTS, hostile::TESTS, confinement::TESTS, mismatch::TESTS, policy::TESTS, zygote::TESTS]
            .concat();
    if arguments.iter().any(|argument| argument == "--list") {
        for (name, _) in tests {
            println!("{name}: test");
        }
        return;
    }
    let probe_wasm = support::fixture("probe");
    let guests = Guests {
        probe: support::artefact(&probe_wasm),
        probe_wasm,
        pool: support::artefact(&support::fixture("pool")),
        judge: support::artefact(&support::fixture("judge")),
    };
    let (mut passed, mut failed) = (0, Vec::new());
    for (name, test) in tests {
        if !filters.is_empty() && !filters.iter().any(|filter| name.contains(filter.as_str())) {
            continue;
        }
        let ok = catch_unwind(AssertUnwindSafe(|| test(&guests))).is_ok();
        println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
        if ok { passed += 1 } else { failed.push(name) }
    }
    println!("\ntest result: {passed} passed; {} failed: {failed:?}", failed.len());
    assert!(failed.is_empty());
}

/// The names of test functions with the functions.
#[macro_export]
macro_rules! tests {
    ($($name:ident),* $(,)?) => {
        pub(crate) const TESTS: &[$crate::Test] = &[$((concat!(module_path!(), "::", stringify!($name)), $name)),*];
    };
}

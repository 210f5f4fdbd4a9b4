//! The lease store over a directory with anything in it, and an index that decays.
//!
//! `cargo fuzz run lease_store fuzz/corpus/lease_store host/broker/tests/fuzz_lease_store/seeds`, with a nightly toolchain.
//! The body also runs in `cargo test -p wharf-broker`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../host/broker/tests/fuzz_lease_store/mod.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));

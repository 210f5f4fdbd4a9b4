//! The lease store over a directory with anything in it, and an index that decays.
//!
//! The seeds are no text: `WHARF_FUZZ_CORPUS=$PWD/fuzz/corpus/lease_store cargo test -p wharf-broker --test lease_store_smoke`
//! writes them, then `cargo fuzz run lease_store`, with a nightly toolchain.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../host/broker/tests/fuzz_lease_store/mod.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));

//! What stands in a journal, as DEL, GC and `wharfctl recover` read it.
//!
//! The seeds are no text: `WHARF_FUZZ_CORPUS=$PWD/fuzz/corpus/journal cargo test -p wharf-broker --test journal_smoke`
//! writes them, then `cargo fuzz run journal`, with a nightly toolchain.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../host/broker/tests/fuzz_journal/mod.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));

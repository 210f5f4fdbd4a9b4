//! What a sandbox writes into its socket, as the broker reads it.
//!
//! The seeds are no text: `WHARF_FUZZ_CORPUS=$PWD/fuzz/corpus/op_frame cargo test -p wharf-ops --test fuzz_smoke` writes
//! them, then `cargo fuzz run op_frame`, with a nightly toolchain.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../host/ops/tests/fuzz_body/mod.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));

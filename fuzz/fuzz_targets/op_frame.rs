//! What a sandbox writes into its socket, as the broker reads it.
//!
//! `cargo fuzz run op_frame fuzz/corpus/op_frame host/ops/tests/fuzz_body/seeds`, with a nightly toolchain.
//! The body also runs in `cargo test -p wharf-ops`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../host/ops/tests/fuzz_body/mod.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));

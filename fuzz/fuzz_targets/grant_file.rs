//! Grant files, as an operator may have written them.
//!
//! `cargo fuzz run grant_file fuzz/corpus/grant_file host/broker/tests/grant_fuzz_body/seeds`, with a nightly toolchain.
//! The body also runs in `cargo test -p wharf-broker`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../host/broker/tests/grant_fuzz_body/mod.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));

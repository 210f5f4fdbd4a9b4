//! Environment, configuration, lists and results, as a runtime hands them over.
//!
//! `cargo fuzz run cni_request fuzz/corpus/cni_request host/cni/tests/fuzz_body/seeds`, with a nightly toolchain.
//! The body also runs in `cargo test -p wharf-cni`.
#![no_main]

use libfuzzer_sys::fuzz_target;

#[path = "../../host/cni/tests/fuzz_body/mod.rs"]
mod body;

fuzz_target!(|data: &[u8]| body::run(data));

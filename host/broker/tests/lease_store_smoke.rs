//! The body of the fuzz target `lease_store` over deterministic random inputs, so that it runs in every `cargo test`.

mod fuzz_lease_store;
#[path = "../../../fuzz/smoke/mod.rs"]
mod smoke;

use smoke::Random;

const ITERATIONS: usize = 400;

#[test]
fn seeds_keep_every_promise() {
    let seeds = smoke::binary_seeds(include_str!("fuzz_lease_store/seeds.hex"));
    smoke::write_corpus(&seeds);
    for (_, seed) in seeds {
        fuzz_lease_store::run(&seed);
    }
    smoke::run_over_findings("lease_store", fuzz_lease_store::run);
}

#[test]
fn random_inputs_keep_every_promise() {
    let mut random = Random::default();
    for _ in 0..ITERATIONS {
        let data: Vec<u8> = (0..random.byte()).map(|_| random.byte()).collect();
        smoke::survives(&data, || fuzz_lease_store::run(&data));
    }
}

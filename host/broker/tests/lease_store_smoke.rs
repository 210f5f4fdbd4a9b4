//! The body of the fuzz target `lease_store` over deterministic random inputs, so that it runs in every `cargo test`.
#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

mod fuzz_lease_store;

const ITERATIONS: usize = 400;

/// Also the corpus to start the fuzzer with.
const SEEDS: [&[u8]; 3] = [
    include_bytes!("fuzz_lease_store/seeds/reserve"),
    include_bytes!("fuzz_lease_store/seeds/damage"),
    include_bytes!("fuzz_lease_store/seeds/reboot"),
];

/// A xorshift generator: the same inputs on every machine, every time.
struct Random(u64);

impl Random {
    fn byte(&mut self) -> u8 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        u8::try_from(self.0 >> 56).unwrap()
    }
}

#[test]
fn seeds_keep_every_promise() {
    SEEDS.into_iter().for_each(fuzz_lease_store::run);
}

#[test]
fn random_inputs_keep_every_promise() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..ITERATIONS {
        let data: Vec<u8> = (0..random.byte()).map(|_| random.byte()).collect();
        let outcome = std::panic::catch_unwind(|| fuzz_lease_store::run(&data));
        assert!(outcome.is_ok(), "the input was: {data:?}");
    }
}

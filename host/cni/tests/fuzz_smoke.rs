//! The fuzz target's body over a seed corpus and a deterministic mutator, so that it runs in every `cargo test`.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod fuzz_body;

const ITERATIONS: usize = 10_000;

/// Also the corpus to start the fuzzer with.
const SEEDS: [&str; 9] = [
    include_str!("fuzz_body/seeds/add"),
    include_str!("fuzz_body/seeds/version"),
    include_str!("fuzz_body/seeds/gc"),
    include_str!("fuzz_body/seeds/chain"),
    include_str!("fuzz_body/seeds/prev_result"),
    include_str!("fuzz_body/seeds/result_v02"),
    include_str!("fuzz_body/seeds/result_v03"),
    include_str!("fuzz_body/seeds/conflist"),
    include_str!("fuzz_body/seeds/reply"),
];

/// Words that matter to the parsers; mutations put them in the place of others.
const WORDS: [&str; 40] = [
    "null",
    "{}",
    "[]",
    "\"\"",
    "0",
    "-1",
    "4294967296",
    "1e9",
    "true",
    "\"true\"",
    "\"0.1.0\"",
    "\"0.2.0\"",
    "\"0.3.0\"",
    "\"0.4.0\"",
    "\"1.0.0\"",
    "\"1.1.0\"",
    "\"9.9.9\"",
    "\"10.0.0.1/24\"",
    "\"fd00::1/64\"",
    "\"::ffff:1.2.3.4/100\"",
    "\"1.2.3.4\"",
    "\"::1\"",
    "\"ips\"",
    "\"ip4\"",
    "\"ip6\"",
    "\"routes\"",
    "\"dst\"",
    "\"prevResult\"",
    "\"chain\"",
    "\"wharf\"",
    "\"type\"",
    "\"name\"",
    "\"plugins\"",
    "\"capabilities\"",
    "\"runtimeConfig\"",
    "\"cni.dev/x\"",
    "DEL",
    "STATUS",
    "\n\n",
    "=",
];

/// A xorshift generator: the same inputs on every machine, every time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }
}

/// The ranges of scalars, names and single marks: cutting there keeps most inputs well-formed.
fn tokens(data: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = data.get(at) {
        let rest = &data[at + 1..];
        let len = match byte {
            b'"' => rest.iter().position(|b| *b == b'"').map_or(1, |end| end + 2),
            b if b.is_ascii_alphanumeric() => {
                1 + rest.iter().position(|b| !b.is_ascii_alphanumeric()).unwrap_or(rest.len())
            }
            _ => 1,
        };
        out.push(at..at + len);
        at += len;
    }
    out
}

fn mutate(data: &mut Vec<u8>, random: &mut Random) {
    let tokens = tokens(data);
    let Some(token) = tokens.get(random.below(tokens.len())).cloned() else { return };
    match random.below(6) {
        0 | 1 => drop(data.splice(token, WORDS[random.below(WORDS.len())].bytes())),
        2 => drop(data.drain(token)),
        3 => {
            let copy = data[tokens[random.below(tokens.len())].clone()].to_vec();
            drop(data.splice(token, copy));
        }
        4 => {
            let byte = u8::try_from(random.below(256)).unwrap();
            data[token.start] = byte;
        }
        _ => {
            let end = data.len().min(token.start + random.below(64));
            let copy = data[token.start..end].to_vec();
            drop(data.splice(token.start..token.start, copy));
        }
    }
}

#[test]
fn seeds_are_fit_for_use() {
    for seed in SEEDS {
        fuzz_body::run(seed.as_bytes());
        let (_, document) = seed.split_once("\n\n").unwrap();
        assert!(serde_json::from_str::<serde_json::Value>(document).is_ok(), "{document}");
    }
}

#[test]
fn mutated_inputs_keep_every_promise() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..ITERATIONS {
        let mut data = SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            mutate(&mut data, &mut random);
        }
        let shown = String::from_utf8_lossy(&data).into_owned();
        let outcome = std::panic::catch_unwind(|| fuzz_body::run(&data));
        assert!(outcome.is_ok(), "the input was: {shown}");
    }
}

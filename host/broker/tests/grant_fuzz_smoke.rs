//! The fuzz target's body over a seed corpus and a deterministic mutator, so that it runs in every `cargo test`.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

mod grant_fuzz_body;

const ITERATIONS: usize = 10_000;

/// Also the corpus to start the fuzzer with.
const SEEDS: [&str; 3] = [
    include_str!("grant_fuzz_body/seeds/bridge"),
    include_str!("grant_fuzz_body/seeds/portmap"),
    include_str!("grant_fuzz_body/seeds/first_version"),
];

/// What mutations put in the place of others.
const WORDS: [&str; 28] = [
    "[]",
    "{}",
    "\"\"",
    "0",
    "-1",
    "65536",
    "4095",
    "1.5",
    "true",
    "\"*\"",
    "\"**/*\"",
    "\"{ifname}\"",
    "\"{x}\"",
    "\"a/../b\"",
    "\"default\"",
    "\"0.0.0.0/0\"",
    "\"10.0.0.1/8\"",
    "\"::ffff:10.0.0.1/104\"",
    "\"9-5\"",
    "\"1-65535\"",
    "\"links/*\"",
    "\"nat/detect\"",
    "[links]",
    "[limits]",
    "names",
    "cidrs",
    "'''",
    "#",
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

/// The ranges of words, strings and single marks: cutting there keeps most inputs well-formed.
fn tokens(data: &[u8]) -> Vec<std::ops::Range<usize>> {
    let mut out = Vec::new();
    let mut at = 0;
    while let Some(&byte) = data.get(at) {
        let rest = &data[at + 1..];
        let plain = |b: &u8| b.is_ascii_alphanumeric() || *b == b'-';
        let len = match byte {
            b'"' => rest.iter().position(|b| *b == b'"').map_or(1, |end| end + 2),
            b if plain(&b) => 1 + rest.iter().position(|b| !plain(b)).unwrap_or(rest.len()),
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
        4 => data[token.start] = u8::try_from(random.below(256)).unwrap(),
        _ => {
            let end = data.len().min(token.start + random.below(64));
            let copy = data[token.start..end].to_vec();
            drop(data.splice(token.start..token.start, copy));
        }
    }
}

#[test]
fn seeds_are_grants() {
    for seed in SEEDS {
        wharf_broker::grants::Grant::parse(seed).unwrap();
        grant_fuzz_body::run(seed.as_bytes());
    }
}

#[test]
fn mutated_grants_keep_every_promise() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for _ in 0..ITERATIONS {
        let mut data = SEEDS[random.below(SEEDS.len())].as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            mutate(&mut data, &mut random);
        }
        let shown = String::from_utf8_lossy(&data).into_owned();
        let outcome = std::panic::catch_unwind(|| grant_fuzz_body::run(&data));
        assert!(outcome.is_ok(), "the input was: {shown}");
    }
}

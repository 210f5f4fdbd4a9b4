//! What the smoke tests of the fuzz targets share: the bodies run in every `cargo test` too, over the committed seeds
//! and a deterministic mutator.
#![allow(dead_code, reason = "no test uses all of it")]
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "helpers of tests"
)]
#![allow(missing_docs, unreachable_pub, clippy::missing_panics_doc, reason = "helpers of tests")]

use std::fmt::Write as _;
use std::fs;
use std::io::ErrorKind;
use std::panic::{RefUnwindSafe, catch_unwind};
use std::path::Path;

/// A xorshift generator: the same inputs on every machine, every time.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }
}

impl Random {
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound.max(1)
    }

    pub fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }
}

/// Runs the body over mutations of texts, most of them well-formed. `words` are what matters to the parser.
pub fn run_over_texts(seeds: &[&str], words: &[&str], iterations: usize, body: fn(&[u8])) {
    let mut random = Random::default();
    for _ in 0..iterations {
        let mut data = seeds[random.below(seeds.len())].as_bytes().to_vec();
        for _ in 0..=random.below(4) {
            mutate(&mut data, words, &mut random);
        }
        survives(&String::from_utf8_lossy(&data).into_owned(), || body(&data));
    }
}

/// Runs the body over what the fuzzer found once: every file in `fuzz/findings/TARGET`, which is there once there is one.
pub fn run_over_findings(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/findings").join(target);
    let entries = match fs::read_dir(&folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        entries => entries.unwrap(),
    };
    for entry in entries {
        let file = entry.unwrap().path();
        let data = fs::read(&file).unwrap();
        survives(&file, || body(&data));
    }
}

/// A body that panics has broken a promise.
pub fn survives(input: &(impl std::fmt::Debug + RefUnwindSafe), run: impl FnOnce() + std::panic::UnwindSafe) {
    assert!(catch_unwind(run).is_ok(), "the input was {input:?}");
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

fn mutate(data: &mut Vec<u8>, words: &[&str], random: &mut Random) {
    let tokens = tokens(data);
    let Some(token) = tokens.get(random.below(tokens.len())).cloned() else { return };
    match random.below(6) {
        0 | 1 => drop(data.splice(token, words[random.below(words.len())].bytes())),
        2 => drop(data.drain(token)),
        3 => {
            let copy = data[tokens[random.below(tokens.len())].clone()].to_vec();
            drop(data.splice(token, copy));
        }
        4 => data[token.start] = random.byte(),
        _ => {
            let end = data.len().min(token.start + random.below(64));
            let copy = data[token.start..end].to_vec();
            drop(data.splice(token.start..token.start, copy));
        }
    }
}

/// A file of seeds that are no text: on each line a name and the bytes in hexadecimal.
pub fn binary_seeds(lines: &str) -> Vec<(String, Vec<u8>)> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let seed = |line: &str| {
        let (name, hex) = line.split_once(' ').expect("a name, a space, hexadecimal digits");
        (name.to_owned(), hex.as_bytes().chunks(2).map(byte).collect())
    };
    lines.lines().map(seed).collect()
}

/// The text of such a file.
pub fn as_lines(seeds: &[(String, Vec<u8>)]) -> String {
    let mut text = String::new();
    for (name, bytes) in seeds {
        let _ = write!(text, "{name} ");
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
        text.push('\n');
    }
    text
}

/// Writes a corpus for the fuzzer into the folder that `WHARF_FUZZ_CORPUS` names, if it is set.
pub fn write_corpus(seeds: &[(String, Vec<u8>)]) {
    let Some(folder) = std::env::var_os("WHARF_FUZZ_CORPUS") else { return };
    fs::create_dir_all(&folder).unwrap();
    for (name, bytes) in seeds {
        fs::write(Path::new(&folder).join(name), bytes).unwrap();
    }
}

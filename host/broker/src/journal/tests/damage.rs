//! Whatever the bytes are, what is readable is read, and the rest has a name.

use super::*;

/// A journal of two commits and one ADD that was cut short.
fn sample() -> Vec<u8> {
    let bench = Bench::new();
    for _ in 0..2 {
        let mut held = bench.create();
        held.begin(&begin(&key("n"))).unwrap();
        held.intent(0, "bridge", &effect("ifb0"), true).unwrap();
        held.commit(&commit()).unwrap();
    }
    let mut held = bench.create();
    held.begin(&begin(&key("n"))).unwrap();
    held.intent(0, "bridge", &effect("ifb0"), true).unwrap();
    std::fs::read(held.path()).unwrap()
}

#[test]
fn every_cut_is_a_prefix() {
    let bytes = sample();
    let whole = parse(&bytes).record;
    assert_eq!((whole.committed().count(), whole.damage.clone()), (2, None));
    for cut in 0..bytes.len() {
        let parsed = parse(&bytes[..cut]);
        assert_eq!(parsed.record.damage, None, "cut at {cut}");
        for (part, of) in parsed.record.transactions.iter().zip(&whole.transactions) {
            assert_eq!(part.begin, of.begin);
            assert!(part.commit.is_none() || part == of);
        }
        assert!(parsed.committed <= cut as u64);
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    let bytes = sample();
    let whole = parse(&bytes);
    for at in 0..bytes.len() {
        for bit in [1, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= bit;
            let parsed = parse(&damaged);
            let damage = parsed.record.damage.as_ref().unwrap_or_else(|| panic!("byte {at} was not missed"));
            assert!(damage.offset <= at as u64 && !damage.reason.is_empty());
            assert!(parsed.committed <= whole.committed);
            for (part, of) in parsed.record.committed().zip(whole.record.committed()) {
                assert_eq!(part, of, "what is before the damage is as it was");
            }
        }
    }
}

#[test]
fn foreign_files_and_later_versions_are_named() {
    for bytes in [&b"x"[..], b"something else altogether", b"wharfj\0"] {
        let parsed = parse(bytes);
        assert!(parsed.record.transactions.is_empty());
        let expected = !b"wharfj\0".starts_with(bytes);
        assert_eq!(parsed.record.damage.is_some(), expected, "{bytes:?}");
        assert_eq!(parsed.torn, !expected, "it is the one or the other: {bytes:?}");
    }
    let mut later = sample();
    later[7] += 1;
    assert!(parse(&later).record.damage.unwrap().reason.contains("version 4"));
    assert_eq!(parse(b""), Parsed::default());
}

#[test]
fn frames_that_contradict_each_other_are_damage() {
    use super::super::{Frame, HEADER, encode};
    use std::borrow::Cow;

    let start = || Frame::Begin(Cow::Owned(begin(&key("n"))));
    let other = || Frame::Begin(Cow::Owned(begin(&key("m"))));
    let end = || Frame::Commit(Cow::Owned(commit()));
    let step = |seq| Frame::Intent { seq, guest: "g".into(), effect: Cow::Owned(effect("ifb0")) };
    let ends = |seq, outcome| Frame::Done { seq, outcome: Cow::Owned(outcome) };
    let done = |seq| ends(seq, Outcome::Done);
    for (frames, reason) in [
        (vec![end()], "outside"),
        (vec![step(0)], "outside"),
        (vec![start(), start()], "inside"),
        (vec![start(), end(), other()], "another attachment"),
        (vec![start(), end(), step(0)], "outside"),
        (vec![start(), step(1)], "order"),
        (vec![start(), step(0), step(0)], "order"),
        (vec![start(), step(0), done(1)], "order"),
        (vec![start(), step(0), done(0), ends(0, Outcome::AlreadySo)], "twice"),
        (vec![start(), step(0), ends(0, Outcome::Pending)], "without an outcome"),
    ] {
        let mut bytes = HEADER.to_vec();
        for frame in &frames {
            encode(frame, &mut bytes).unwrap();
        }
        let damage = parse(&bytes).record.damage.unwrap();
        assert!(damage.reason.contains(reason), "{damage}");
    }
}

#[test]
fn random_bytes_never_panic() {
    // A small generator: the fuzz target goes further.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % limit as u64).unwrap()
    };
    let valid = sample();
    for _ in 0..20_000 {
        let mut bytes = valid.clone();
        for _ in 0..below(8) {
            let at = below(bytes.len());
            bytes[at] = u8::try_from(below(256)).unwrap();
        }
        bytes.truncate(below(bytes.len() + 1));
        parse(&bytes);
    }
}

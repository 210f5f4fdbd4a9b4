//! The body of the fuzz target `journal`, shared with `tests/journal_smoke.rs`: whatever stands in a journal, what can be
//! read of it is read and never changes, and where it ends for another reason than a crash, that is told.
#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "helpers of tests")]

use std::borrow::Cow;

use wharf_broker::journal::{Frame, HEADER, Outcome, Parsed, Record, Transaction, encode, parse};

/// Runs one input twice: as the bytes of a file, and as the bodies of frames whose lengths and checksums are right.
pub(crate) fn run(data: &[u8]) {
    let parsed = read(data);
    extends(&read(&data[..data.len() / 2]), &parsed);
    let journal = framed(data);
    let parsed = read(&journal);
    assert!(!parsed.torn, "no frame was cut off");
    every_cut_is_a_prefix(&journal, &parsed, data);
    damage_is_told(&journal, &parsed, data);
    what_follows_changes_nothing(&journal, &parsed, data);
    what_is_written_is_read(&parsed.record);
}

/// What a journal says, held to what every caller relies on.
fn read(bytes: &[u8]) -> Parsed {
    let parsed = parse(bytes);
    let Record { transactions, damage } = &parsed.record;
    assert!(parsed.committed <= bytes.len() as u64);
    if let Some(damage) = damage {
        assert!(!parsed.torn, "damage is no crash");
        assert!((parsed.committed..=bytes.len() as u64).contains(&damage.offset), "{damage}");
        assert!(!damage.reason.contains('\n') && (1..200).contains(&damage.reason.len()), "{damage}");
    }
    let committed = parsed.record.committed().count();
    assert!(transactions.len() - committed <= 1, "one ADD at a time");
    assert_eq!(transactions.len() > committed, parsed.record.pending().is_some());
    for transaction in transactions {
        let first = &transactions[0].begin;
        assert_eq!(transaction.begin.attachment, first.attachment);
        assert_eq!(transaction.begin.entry, first.entry);
        for (index, step) in transaction.steps.iter().enumerate() {
            assert_eq!(step.seq as usize, index);
            let last = transaction.commit.is_none() && index + 1 == transaction.steps.len();
            assert!(last || step.outcome != Outcome::Pending, "something followed");
        }
    }
    // Up to the last commit it is a journal of its own: that is where the next ADD cuts it.
    let whole = parse(&bytes[..usize::try_from(parsed.committed).unwrap()]);
    assert_eq!((whole.committed, whole.torn, &whole.record.damage), (parsed.committed, false, &None));
    assert_eq!(whole.record.transactions, transactions[..committed]);
    serde_json::to_string(&parsed.record).unwrap();
    parsed
}

/// A journal with these bodies, each of which stands behind its length (u16, little endian) in the input.
fn framed(mut data: &[u8]) -> Vec<u8> {
    let mut journal = HEADER.to_vec();
    while let Some((length, rest)) = data.split_first_chunk() {
        let (body, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*length).into()));
        let length = u32::try_from(body.len()).unwrap();
        journal.extend(length.to_le_bytes().into_iter().chain((!length).to_le_bytes()));
        journal.extend_from_slice(&blake3::hash(body).as_bytes()[..8]);
        journal.extend_from_slice(body);
        data = rest;
    }
    journal
}

/// What a shorter or damaged file says of finished ADDs, the longer one says too.
fn extends(short: &Parsed, long: &Parsed) {
    assert!(short.committed <= long.committed);
    let mut all = long.record.committed();
    for transaction in short.record.committed() {
        assert_eq!(Some(transaction), all.next());
    }
}

/// A place in the journal that the end of the input tells.
fn place(journal: &[u8], data: &[u8], before: usize) -> usize {
    let taken = data.len().saturating_sub(before);
    let number = data[..taken].last_chunk().copied().unwrap_or([0; 2]);
    usize::from(u16::from_le_bytes(number)) % journal.len()
}

fn every_cut_is_a_prefix(journal: &[u8], parsed: &Parsed, data: &[u8]) {
    for before in [0, 2] {
        let cut = place(journal, data, before);
        let part = read(&journal[..cut]);
        extends(&part, parsed);
        // A frame that is cut off looks like a crash; damage before it stays where it is.
        let expected = parsed.record.damage.as_ref().filter(|_| !part.torn && part.record.damage.is_some());
        assert_eq!(part.record.damage.as_ref(), expected, "cut at {cut}");
        for (part, whole) in part.record.transactions.iter().zip(&parsed.record.transactions) {
            is_beginning(part, whole);
        }
    }
}

fn is_beginning(part: &Transaction, whole: &Transaction) {
    assert_eq!(part.begin, whole.begin);
    assert!(whole.guests.starts_with(&part.guests) && whole.policies.starts_with(&part.policies));
    assert!(whole.changes.starts_with(&part.changes));
    for (step, of) in part.steps.iter().zip(&whole.steps) {
        assert_eq!((step.seq, &step.guest, &step.effect), (of.seq, &of.guest, &of.effect));
        assert!(step.outcome == of.outcome || step.outcome == Outcome::Pending);
    }
}

fn damage_is_told(journal: &[u8], parsed: &Parsed, data: &[u8]) {
    for before in [0, 2] {
        let at = place(journal, data, before);
        for bits in [1, 0x80, 0xff] {
            let mut damaged = journal.to_vec();
            damaged[at] ^= bits;
            let now = read(&damaged);
            extends(&now, parsed);
            let told =
                now.record.damage.unwrap_or_else(|| panic!("byte {at} of {} was not missed", journal.len()));
            assert!(told.offset <= at as u64, "{told}, and not at {at}");
        }
    }
}

fn what_follows_changes_nothing(journal: &[u8], parsed: &Parsed, data: &[u8]) {
    for tail in [data, &HEADER, &[0; 16], &journal[HEADER.len()..]] {
        let longer = read(&[journal, tail].concat());
        extends(parsed, &longer);
        if parsed.record.damage.is_some() {
            assert_eq!(longer, *parsed, "nothing is read behind damage");
        }
    }
}

/// Writes a record as the broker does, and reads it.
fn what_is_written_is_read(record: &Record) {
    let mut bytes = HEADER.to_vec();
    let mut write = |frame: &Frame<'_>| encode(frame, &mut bytes).unwrap();
    for transaction in &record.transactions {
        write(&Frame::Begin(Cow::Borrowed(&transaction.begin)));
        for guest in &transaction.guests {
            write(&Frame::Guest(Cow::Borrowed(guest)));
        }
        for policy in &transaction.policies {
            write(&Frame::Policy(Cow::Borrowed(policy)));
        }
        for change in &transaction.changes {
            write(&Frame::Changed(Cow::Borrowed(change)));
        }
        for (index, step) in transaction.steps.iter().enumerate() {
            let (guest, effect) = (Cow::from(&step.guest), Cow::Borrowed(&step.effect));
            write(&Frame::Intent { seq: step.seq, guest, effect });
            let last = transaction.commit.is_none() && index + 1 == transaction.steps.len();
            // What follows says that it was done.
            let left_out = step.outcome == Outcome::Pending || step.outcome == Outcome::Done && !last;
            if !left_out {
                write(&Frame::Done { seq: step.seq, outcome: Cow::Borrowed(&step.outcome) });
            }
        }
        if let Some(commit) = &transaction.commit {
            write(&Frame::Commit(Cow::Borrowed(commit)));
        }
    }
    let again = read(&bytes);
    assert_eq!(again.record.transactions, record.transactions);
    assert_eq!((again.torn, again.record.damage), (false, None));
}

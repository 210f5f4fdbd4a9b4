//! From bytes to a [`Record`]. The bytes may be anything: a crash cuts the last frame off, and a disk or a person can do
//! worse. What can be read is answered in any case.

use serde::Serialize;

use super::frame::{Frame, HEAD, HEADER, checksum};
use super::record::{Outcome, Record, Step, Transaction};

/// Where a journal stopped making sense.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Bytes from its start.
    pub offset: u64,
    /// What is wrong there.
    pub reason: String,
}

impl std::fmt::Display for Damage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "damaged at byte {}: {}", self.offset, self.reason)
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parsed {
    /// What it says.
    pub record: Record,
    /// The end of the last commit in bytes; 0 if there is none.
    pub committed: u64,
    /// Whether the last frame is incomplete, as a crash leaves it.
    pub torn: bool,
}

/// Reads a journal.
pub fn parse(bytes: &[u8]) -> Parsed {
    let mut parsed = Parsed::default();
    let damage = |offset: usize, reason: String| Some(Damage { offset: offset as u64, reason });
    let Some((header, mut rest)) = bytes.split_first_chunk::<{ HEADER.len() }>() else {
        if HEADER.starts_with(bytes) {
            parsed.torn = !bytes.is_empty();
        } else {
            parsed.record.damage = damage(0, "this is no journal".into());
        }
        return parsed;
    };
    if *header != HEADER {
        let [magic @ .., version] = header;
        let reason = if HEADER.starts_with(magic) {
            format!("its format has version {version}, which this Wharf cannot read")
        } else {
            "this is no journal".into()
        };
        parsed.record.damage = damage(0, reason);
        return parsed;
    }
    loop {
        let offset = bytes.len() - rest.len();
        match next(rest) {
            Ok(None) => return parsed,
            Ok(Some((frame, after))) => {
                let commits = matches!(frame, Frame::Commit(_));
                if let Err(reason) = add(&mut parsed.record, frame) {
                    parsed.record.damage = damage(offset, reason);
                    return parsed;
                }
                rest = after;
                if commits {
                    parsed.committed = (bytes.len() - rest.len()) as u64;
                }
            }
            Err(Fault::Torn) => {
                parsed.torn = true;
                return parsed;
            }
            Err(Fault::Damaged(reason)) => {
                parsed.record.damage = damage(offset, reason);
                return parsed;
            }
        }
    }
}

enum Fault {
    Torn,
    Damaged(String),
}

/// The next frame and what follows it.
fn next(bytes: &[u8]) -> Result<Option<(Frame<'static>, &[u8])>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let Some((head, rest)) = bytes.split_first_chunk::<HEAD>() else { return Err(Fault::Torn) };
    let word =
        |at: usize| head.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied().unwrap_or_default();
    let length = u32::from_le_bytes(word(0));
    if length != !u32::from_le_bytes(word(4)) {
        return Err(Fault::Damaged("the length of a frame contradicts itself".into()));
    }
    let Some((body, after)) = usize::try_from(length).ok().and_then(|length| rest.split_at_checked(length))
    else {
        return Err(Fault::Torn);
    };
    if Some(&checksum(body)) != head.last_chunk() {
        return Err(Fault::Damaged("a frame's checksum is wrong".into()));
    }
    match postcard::take_from_bytes::<Frame<'static>>(body) {
        Ok((frame, [])) => Ok(Some((frame, after))),
        Ok((_, more)) => Err(Fault::Damaged(format!("a frame has {} bytes too many", more.len()))),
        Err(error) => Err(Fault::Damaged(format!("a frame does not decode: {error}"))),
    }
}

/// Puts a frame where it belongs, or says why it belongs nowhere.
fn add(record: &mut Record, frame: Frame<'static>) -> Result<(), String> {
    let transactions = &mut record.transactions;
    if let Frame::Begin(begin) = frame {
        let begin = begin.into_owned();
        if let Some(last) = transactions.last() {
            if last.commit.is_none() {
                return Err("an ADD starts inside another".into());
            }
            if (&last.begin.attachment, &last.begin.entry) != (&begin.attachment, &begin.entry) {
                return Err("an ADD of another attachment follows".into());
            }
        }
        transactions.push(Transaction::new(begin));
        return Ok(());
    }
    let Some(transaction) = transactions.last_mut().filter(|last| last.commit.is_none()) else {
        return Err("something is done outside of an ADD".into());
    };
    match frame {
        Frame::Begin(_) => {}
        Frame::Guest(guest) => transaction.guests.push(guest.into_owned()),
        Frame::Policy(policy) => transaction.policies.push(policy.into_owned()),
        Frame::Changed(change) => transaction.changes.push(change.into_owned()),
        Frame::Intent { seq, guest, effect } => {
            if usize::try_from(seq) != Ok(transaction.steps.len()) {
                return Err(format!("step {seq} comes out of order"));
            }
            finish(transaction);
            let (guest, effect) = (guest.into_owned(), effect.into_owned());
            transaction.steps.push(Step { seq, guest, effect, outcome: Outcome::Pending });
        }
        Frame::Done { seq, outcome } => {
            let step = transaction.steps.last_mut().filter(|step| step.seq == seq);
            let Some(step) = step else { return Err(format!("step {seq} ends out of order")) };
            // Of two contradicting ends neither is to be believed.
            if step.outcome != Outcome::Pending || *outcome == Outcome::Pending {
                return Err(format!("step {seq} ends twice, or without an outcome"));
            }
            step.outcome = outcome.into_owned();
        }
        Frame::Commit(commit) => {
            finish(transaction);
            transaction.commit = Some(commit.into_owned());
        }
    }
    Ok(())
}

/// What was left open was done, for something followed.
fn finish(transaction: &mut Transaction) {
    if let Some(step) = transaction.steps.last_mut()
        && step.outcome == Outcome::Pending
    {
        step.outcome = Outcome::Done;
    }
}

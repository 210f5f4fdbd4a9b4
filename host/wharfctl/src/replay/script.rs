//! What a guest is expected to ask for, and what it is answered.

use serde_json::Value;
use wharf_ops::wire::ToSandbox;
use wharf_ops::{Op, Operation};

use super::divergence::{Divergence, Kind};
use crate::record::{Exchange, embedded};
use crate::scenario::diff::diff;
use crate::words;

/// How closely a guest is held to the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The same operations in the same order.
    Strict,
    /// The same changes in the same order; reads may come in any order, again, or not at all.
    Lenient,
}

/// What is done about an operation.
#[derive(Debug, PartialEq)]
pub(super) enum Reaction {
    /// This is the answer.
    Answer(ToSandbox),
    /// Here the recorded call was ended.
    End,
    /// It was not expected.
    Diverged(Divergence),
}

/// The operations of a recorded call.
pub(super) struct Script<'r> {
    entries: Vec<Entry<'r>>,
    mode: Mode,
    /// How many changes were asked for.
    changes: usize,
}

struct Entry<'r> {
    exchange: &'r Exchange,
    /// What is compared.
    value: Value,
    operation: Operation,
    /// How many changes come before it.
    after: usize,
    used: bool,
}

impl<'r> Script<'r> {
    pub(super) fn new(exchanges: &'r [Exchange], mode: Mode) -> Self {
        let mut changes = 0;
        let mut entries = Vec::with_capacity(exchanges.len());
        for exchange in exchanges {
            let operation = exchange.op.operation();
            entries.push(Entry {
                exchange,
                value: comparable(&exchange.op),
                operation,
                after: changes,
                used: false,
            });
            changes += usize::from(operation.changes);
        }
        Self { entries, mode, changes: 0 }
    }

    /// Whether all was asked for: then a call that was interrupted may go any way.
    pub(super) fn is_over(&self) -> bool {
        self.entries.iter().all(|entry| entry.used)
    }

    /// The guest asks for something. `number` counts what it has asked for, from 1.
    pub(super) fn ask(&mut self, number: usize, op: &Op) -> Reaction {
        let value = comparable(op);
        let found = match (self.mode, op.operation().changes) {
            (Mode::Lenient, false) => self.nearest(&value),
            (Mode::Strict, _) | (Mode::Lenient, true) => self.next().filter(|at| self.is(*at, &value)),
        };
        let Some(entry) = found.and_then(|at| self.entries.get_mut(at)) else {
            return Reaction::Diverged(self.unexpected(number, op, &value));
        };
        if !entry.used {
            entry.used = true;
            self.changes += usize::from(entry.operation.changes);
        }
        entry.exchange.answer().map_or(Reaction::End, Reaction::Answer)
    }

    /// What must come next.
    fn next(&self) -> Option<usize> {
        self.entries.iter().position(|entry| !entry.used && self.is_wanted(entry))
    }

    /// Whether it must be asked for.
    fn is_wanted(&self, entry: &Entry<'_>) -> bool {
        self.mode == Mode::Strict || entry.operation.changes
    }

    fn is(&self, at: usize, value: &Value) -> bool {
        self.entries.get(at).is_some_and(|entry| entry.value == *value)
    }

    /// The read that was made when as much had been changed as now; else the last one before, else the first one after.
    /// One that was not asked for yet goes before one that was.
    fn nearest(&self, value: &Value) -> Option<usize> {
        let same = self.entries.iter().enumerate().filter(|(_, entry)| entry.value == *value);
        let distance = |entry: &Entry<'_>| match self.changes.checked_sub(entry.after) {
            Some(before) => (0, before),
            None => (1, entry.after - self.changes),
        };
        same.min_by_key(|(_, entry)| (distance(entry), entry.used)).map(|(at, _)| at)
    }

    fn unexpected(&self, number: usize, op: &Op, value: &Value) -> Divergence {
        let asked = format!("{} {}", op.operation().name, words::of(op));
        let asked = asked.trim_end();
        // A lenient read is equal to none, wherever.
        let next = if self.mode == Mode::Lenient && !op.operation().changes { None } else { self.next() };
        let Some((at, expected)) = next.and_then(|at| Some((at, self.entries.get(at)?))) else {
            let message = format!("operation {number} is a surprise: the recording has no {asked}");
            return Divergence::new(Kind::Surprise, number, message);
        };
        let later = self.entries.iter().skip(at + 1).position(|entry| !entry.used && entry.value == *value);
        let difference = diff(&pretty(&expected.value), &pretty(value));
        let divergence = if let Some(behind) = later {
            let message = format!(
                "operation {} of the recording is left over: {} is not asked for, but operation {}, {asked}",
                at + 1,
                expected.operation.name,
                at + behind + 2
            );
            Divergence::new(Kind::Leftover, number, message)
        } else {
            let message = format!(
                "operation {number} is a surprise: {asked}; the recording has {} there, as its operation {}",
                expected.operation.name,
                at + 1
            );
            Divergence::new(Kind::Surprise, number, message)
        };
        divergence.with(difference)
    }

    /// The guest has finished: what should have been asked for, and was not. `number` is how much it has asked for.
    pub(super) fn leftover(&self, number: usize) -> Option<Divergence> {
        let left =
            || self.entries.iter().enumerate().filter(|(_, entry)| !entry.used && self.is_wanted(entry));
        let (at, first) = left().next()?;
        let more = match left().count() {
            1 => String::new(),
            count => format!(", and {} more", count - 1),
        };
        let message = format!(
            "operation {} of the recording is left over{more}: the guest ends without {} {}",
            at + 1,
            first.operation.name,
            words::of(&first.exchange.op)
        );
        Some(Divergence::new(Kind::Leftover, number, message.trim_end().to_owned()))
    }
}

/// An operation without what makes no difference: how the configuration of a delegate is spaced and sorted.
fn comparable(op: &Op) -> Value {
    let mut value = serde_json::to_value(op).unwrap_or_default();
    if let Op::Delegate(delegate) = op
        && let Some(config) = value.pointer_mut("/delegate/config")
        && let Some(inner) = embedded(&delegate.config)
    {
        *config = inner;
    }
    value
}

fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

#[cfg(test)]
mod tests {
    use wharf_ops::delegate::{DelegateOp, Verb};
    use wharf_ops::{Link, Ns, Reply};

    use super::*;
    use crate::record::tests::{exchange, get, up};

    fn found(index: u32) -> Reply {
        Reply::MaybeLink(Some(Link { ns: Ns::Host, index, name: "a".into() }))
    }

    /// Looks, changes, looks again and sees it, changes.
    fn recorded() -> Vec<Exchange> {
        vec![
            exchange(get("a"), Reply::MaybeLink(None)),
            exchange(up("a"), Reply::Done),
            exchange(get("a"), found(1)),
            exchange(get("b"), found(2)),
            exchange(up("b"), Reply::Done),
        ]
    }

    /// What is answered to each, until something is not expected.
    fn play(exchanges: &[Exchange], mode: Mode, ops: &[Op]) -> Result<Vec<Reply>, Divergence> {
        let mut script = Script::new(exchanges, mode);
        let mut replies = Vec::new();
        for (index, op) in ops.iter().enumerate() {
            match script.ask(index + 1, op) {
                Reaction::Answer(Ok(reply)) => replies.push(reply),
                Reaction::Diverged(divergence) => return Err(divergence),
                other => panic!("{other:?}"),
            }
        }
        script.leftover(ops.len()).map_or(Ok(replies), Err)
    }

    #[test]
    fn the_same_is_answered_as_recorded() {
        let ops = [get("a"), up("a"), get("a"), get("b"), up("b")];
        let replies = vec![Reply::MaybeLink(None), Reply::Done, found(1), found(2), Reply::Done];
        for mode in [Mode::Strict, Mode::Lenient] {
            assert_eq!(play(&recorded(), mode, &ops).unwrap(), replies);
        }
    }

    #[test]
    fn reads_may_move_only_leniently_and_see_what_was_so_then() {
        let moved = [get("b"), get("a"), get("a"), up("a"), get("a"), up("b")];
        let left_out = [up("a"), up("b")];
        for ops in [&moved[..], &left_out[..]] {
            assert!(play(&recorded(), Mode::Strict, ops).is_err());
        }
        let replies = vec![
            found(2),
            Reply::MaybeLink(None),
            Reply::MaybeLink(None),
            Reply::Done,
            found(1),
            Reply::Done,
        ];
        assert_eq!(play(&recorded(), Mode::Lenient, &moved).unwrap(), replies);
        assert_eq!(play(&recorded(), Mode::Lenient, &left_out).unwrap(), [Reply::Done, Reply::Done]);
    }

    #[test]
    fn a_surprise_says_what_was_expected() {
        let error = play(&recorded(), Mode::Strict, &[get("a"), up("c")]).unwrap_err();
        assert_eq!((error.kind, error.operation), (Kind::Surprise, Some(2)));
        assert_eq!(
            error.message,
            "operation 2 is a surprise: links/set-up link=host:c#5 up=true; the recording has links/set-up there, as its \
             operation 2"
        );
        let shown = error.diff.unwrap();
        assert!(
            shown.contains("-           \"name\": \"a\"") && shown.contains("+           \"name\": \"c\""),
            "{shown}"
        );
        let ops = [get("a"), up("a"), get("a"), get("b"), up("b"), get("a")];
        let error = play(&recorded(), Mode::Strict, &ops).unwrap_err();
        assert_eq!(error.message, "operation 6 is a surprise: the recording has no links/get name=a ns=host");
        for (ops, words) in [
            (&[get("c")][..], "operation 1 is a surprise: the recording has no links/get name=c ns=host"),
            (
                &[up("a"), up("c")],
                "operation 2 is a surprise: links/set-up link=host:c#5 up=true; the recording has",
            ),
        ] {
            let error = play(&recorded(), Mode::Lenient, ops).unwrap_err();
            assert!(error.message.starts_with(words), "{}", error.message);
        }
    }

    #[test]
    fn what_is_not_asked_for_is_left_over() {
        let error = play(&recorded(), Mode::Strict, &[up("a")]).unwrap_err();
        assert_eq!(error.kind, Kind::Leftover);
        assert_eq!(
            error.message,
            "operation 1 of the recording is left over: links/get is not asked for, but operation 2, links/set-up \
             link=host:a#5 up=true"
        );
        let error = play(&recorded(), Mode::Lenient, &[up("b")]).unwrap_err();
        assert!(error.message.starts_with("operation 2 of the recording is left over"), "{}", error.message);
        let error = play(&recorded(), Mode::Strict, &[get("a"), up("a"), get("a")]).unwrap_err();
        assert_eq!(
            error.message,
            "operation 4 of the recording is left over, and 1 more: the guest ends without links/get name=b ns=host"
        );
        let error = play(&recorded(), Mode::Lenient, &[up("a")]).unwrap_err();
        assert!(
            error.message.starts_with("operation 5 of the recording is left over: "),
            "{}",
            error.message
        );
    }

    #[test]
    fn a_call_ends_where_it_was_ended() {
        let cut = [Exchange { op: up("a"), reply: None, error: None }];
        let mut script = Script::new(&cut, Mode::Strict);
        assert!(!script.is_over());
        assert_eq!(script.ask(1, &up("a")), Reaction::End);
        assert!(script.is_over());
    }

    #[test]
    fn the_configuration_of_a_delegate_is_compared_as_json() {
        let op = |config: &str| {
            Op::Delegate(DelegateOp { verb: Verb::Add, plugin: "p".into(), config: config.into() })
        };
        let recorded = [exchange(op(r#"{"a":1,"b":2}"#), Reply::Done)];
        assert!(play(&recorded, Mode::Strict, &[op(r#"{ "b": 2, "a": 1 }"#)]).is_ok());
        assert!(play(&recorded, Mode::Strict, &[op(r#"{"a":1,"b":3}"#)]).is_err());
    }
}

//! What is seen becomes what is written.

use std::cell::RefCell;

use wharf_broker::witness::{Begun, Ending, Witness};
use wharf_ops::call::CniError;
use wharf_ops::logging::LogLine;
use wharf_ops::{Error, Op, Reply};

use super::file::{Call, Exchange, Outcome};

/// Collects calls.
#[derive(Default)]
pub(super) struct Recorder(RefCell<Seen>);

#[derive(Default)]
struct Seen {
    calls: Vec<Call>,
    /// The calls that run, by number: the last one is a delegate of the one before it.
    running: Vec<usize>,
}

impl Seen {
    fn current(&mut self) -> Option<&mut Call> {
        self.calls.get_mut(*self.running.last()?)
    }
}

impl Recorder {
    /// What was collected.
    pub(super) fn take(&self) -> Vec<Call> {
        self.0.take().calls
    }
}

impl Witness for Recorder {
    fn begun(&self, begun: &Begun<'_>) {
        let mut seen = self.0.borrow_mut();
        let number = seen.calls.len();
        seen.running.push(number);
        seen.calls.push(Call {
            guest: begun.guest.to_owned(),
            digest: begun.digest.to_owned(),
            given: begun.call.clone(),
            container_present: begun.container_present,
            // Who records gives one to every sandbox.
            seed: begun.seed.unwrap_or_default(),
            limits: begun.limits.clone(),
            operations: Vec::new(),
            log: Vec::new(),
            outcome: Outcome::Gone("it never ended".to_owned()),
        });
    }

    fn said(&self, line: &LogLine) {
        if let Some(call) = self.0.borrow_mut().current() {
            call.log.push(line.clone());
        }
    }

    fn asked(&self, op: &Op) {
        if let Some(call) = self.0.borrow_mut().current() {
            call.operations.push(Exchange { op: op.clone(), reply: None, error: None });
        }
    }

    fn answered(&self, answer: &Result<Reply, Error>) {
        let mut seen = self.0.borrow_mut();
        if let Some(exchange) = seen.current().and_then(|call| call.operations.last_mut()) {
            match answer {
                Ok(reply) => exchange.reply = Some(reply.clone()),
                Err(error) => exchange.error = Some(error.clone()),
            }
        }
    }

    fn ended(&self, ending: &Ending<'_>) {
        let mut seen = self.0.borrow_mut();
        if let Some(call) = seen.current() {
            call.outcome = outcome(ending);
        }
        seen.running.pop();
    }
}

fn outcome(ending: &Ending<'_>) -> Outcome {
    match *ending {
        Ending::Finished(Ok(answer)) => Outcome::Answer(answer.clone()),
        Ending::Finished(Err(failure)) => Outcome::Failure(failure.clone()),
        Ending::Deadline => Outcome::Deadline,
        Ending::Interrupted(signal) => Outcome::Interrupted(signal.to_owned()),
        Ending::Limit(what) => Outcome::Limit(what.to_owned()),
        Ending::Gone(how) => Outcome::Gone(how.to_owned()),
        Ending::Vetoed(veto) => Outcome::Vetoed(CniError {
            code: veto.code,
            msg: veto.msg.clone(),
            details: veto.details.clone(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use wharf_broker::grants::Limits;
    use wharf_ops::call::{self, Answer};

    use super::super::file::tests::{get, up};
    use super::*;

    #[test]
    fn a_delegates_call_is_between_an_operation_and_its_answer() {
        let recorder = Recorder::default();
        let limits = Limits::default();
        let given = call::Call::Describe;
        let begin = |guest| {
            recorder.begun(&Begun {
                guest,
                digest: "d",
                call: &given,
                container_present: false,
                seed: Some(3),
                limits: &limits,
            });
        };
        begin("outer");
        recorder.asked(&get("outer"));
        begin("inner");
        recorder.asked(&up("inner"));
        recorder.answered(&Err(Error::invalid("no")));
        recorder.ended(&Ending::Finished(&Ok(Answer::Done)));
        recorder.answered(&Ok(Reply::Done));
        recorder.asked(&up("cut"));
        recorder.ended(&Ending::Deadline);
        let [outer, inner] = &recorder.take()[..] else { panic!("two calls") };
        assert_eq!((outer.guest.as_str(), outer.seed, &outer.outcome), ("outer", 3, &Outcome::Deadline));
        assert_eq!(outer.operations[0].answer(), Some(Ok(Reply::Done)));
        assert_eq!((&outer.operations[1].op, outer.operations[1].answer()), (&up("cut"), None));
        assert_eq!(inner.operations[0].error, Some(Error::invalid("no")));
        assert_eq!(inner.outcome, Outcome::Answer(Answer::Done));
    }
}

//! Who sees what passes between guests and the host, e.g. to record it. It sees, and changes nothing.

use wharf_cni::CniError;
use wharf_ops::call::{Answer, Call, Failure};
use wharf_ops::logging::LogLine;
use wharf_ops::{Error, Op, Reply};

use crate::grants::Limits;
use crate::session::{Ended, Finished};

/// Is told of the calls of plugins' guests, in order. The calls of a delegate lie between an operation of its caller and
/// that operation's answer. Policies are no calls: what they forbid shows in how a call ends.
pub trait Witness {
    /// A call begins.
    fn begun(&self, call: &Begun<'_>);

    /// The guest says something.
    fn said(&self, line: &LogLine);

    /// The guest asks for something.
    fn asked(&self, op: &Op);

    /// It is answered. An operation that ends its call has no answer.
    fn answered(&self, answer: &Result<Reply, Error>);

    /// The call is over.
    fn ended(&self, ending: &Ending<'_>);
}

/// A call that begins, and what its sandbox was started with.
#[derive(Clone, Copy, Debug)]
pub struct Begun<'a> {
    /// The guest's name.
    pub guest: &'a str,
    /// Its component's digest.
    pub digest: &'a str,
    /// What it is given.
    pub call: &'a Call,
    /// Whether there is a container namespace.
    pub container_present: bool,
    /// What its random numbers are made from; without it they are real.
    pub seed: Option<u64>,
    /// What it may use up.
    pub limits: &'a Limits,
}

/// How a call ends.
#[derive(Clone, Copy, Debug)]
pub enum Ending<'a> {
    /// The sandbox has told.
    Finished(&'a Result<Answer, Failure>),
    /// It was not finished in time.
    Deadline,
    /// By this signal.
    Interrupted(&'a str),
    /// By a limit that the broker counts.
    Limit(&'a str),
    /// The sandbox has gone, or talks nonsense.
    Gone(&'a str),
    /// By a policy.
    Vetoed(&'a CniError),
}

impl<'a> Ending<'a> {
    pub(crate) fn of(ended: &'a Result<Finished, Ended>) -> Self {
        match ended {
            Ok(finished) => Self::Finished(&finished.outcome),
            Err(Ended::Deadline) => Self::Deadline,
            Err(Ended::Interrupted(signal)) => Self::Interrupted(signal),
            Err(Ended::Limit(what)) => Self::Limit(what),
            Err(Ended::Gone(how)) => Self::Gone(how),
            Err(Ended::Vetoed(veto)) => Self::Vetoed(veto),
        }
    }
}

//! What was changed, in order, and what is to go wrong.

use wharf_ops::{Attachment, Error, KernelOp, Reply};

use crate::kernel::locked;
use crate::sim::Sim;

/// A change that somebody asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// For which attachment.
    pub owner: Attachment,
    /// What.
    pub op: KernelOp,
    /// What came of it.
    pub answer: Result<Reply, Error>,
}

/// What is remembered and planned.
#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    changes: Vec<Change>,
    /// How many changes are left until one fails, and with which errno.
    fault: Option<(u32, i32)>,
}

impl History {
    /// The error that the next change is to fail with, if it is its turn.
    pub(crate) fn next_fault(&mut self) -> Option<Error> {
        let (left, errno) = self.fault.as_mut()?;
        *left = left.saturating_sub(1);
        if *left > 0 {
            return None;
        }
        let errno = *errno;
        self.fault = None;
        Some(Error::from_errno(errno, "a fault that was asked for"))
    }

    pub(crate) fn note(&mut self, change: Change) {
        self.changes.push(change);
    }
}

impl Sim {
    /// Every change since the machine is there, or since they were taken.
    pub fn changes(&self) -> Vec<Change> {
        locked(&self.world).history.changes.clone()
    }

    /// As [`Sim::changes`], and begins anew.
    pub fn take_changes(&self) -> Vec<Change> {
        std::mem::take(&mut locked(&self.world).history.changes)
    }

    /// Lets a change fail: the first one from now on is number 1. None takes a plan back.
    pub fn fail(&self, plan: Option<(u32, i32)>) {
        locked(&self.world).history.fault = plan;
    }
}

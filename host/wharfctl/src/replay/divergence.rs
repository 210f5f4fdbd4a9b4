//! Where a guest does something else than was recorded.

use serde::Serialize;

/// What kind of difference it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Kind {
    /// It asks for what the recording does not have there.
    Surprise,
    /// It does not ask for what the recording has.
    Leftover,
    /// It comes to another end.
    Outcome,
    /// It says something else.
    Log,
}

/// The first difference of a call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Divergence {
    pub(super) kind: Kind,
    /// How many operations the guest had asked for, this one included; none where it is not about operations.
    pub(super) operation: Option<usize>,
    /// In a sentence.
    pub(super) message: String,
    /// In lines: `-` is what was recorded, `+` what is there now.
    pub(super) diff: Option<String>,
    /// How the call ended, where that is not told yet.
    pub(super) then: Option<String>,
}

impl Divergence {
    /// At an operation.
    pub(super) fn new(kind: Kind, operation: usize, message: String) -> Self {
        Self { kind, operation: Some(operation), message, diff: None, then: None }
    }

    /// At the end.
    pub(super) fn at_end(kind: Kind, message: String) -> Self {
        Self { kind, operation: None, message, diff: None, then: None }
    }

    /// With the lines that differ.
    pub(super) fn with(self, diff: Option<String>) -> Self {
        Self { diff, ..self }
    }
}

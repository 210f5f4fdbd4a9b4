//! What is to go wrong.

use wharf_ops::{Error, ErrorKind, OPERATIONS};
use wharf_sdk::HostErrorKind;

/// An operation that is to fail: `"routes/add"`, or every one of an interface, `"routes/*"`.
///
/// It fails once, the first time it is asked for, with an input/output error, unless more is said. Where it is never asked
/// for, the test fails when its node goes: it would test nothing.
///
/// ```
/// use wharf_sdk::HostErrorKind;
/// use wharf_testkit::{Fault, Node};
///
/// let node = Node::new();
/// let pod = node.container("c1");
/// node.fail(Fault::at("links/set-up").nth(2).kind(HostErrorKind::Busy));
/// let error = node.run(&pod, |_, _, container| {
///     let lo = container.link("lo")?.expect("every namespace has one");
///     lo.set_up()?;
///     Ok(lo.set_up()?)
/// });
/// assert_eq!(error.unwrap_err().code, wharf_sdk::code::TRY_AGAIN_LATER);
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    pattern: String,
    /// How many times it is still let through.
    skip: u32,
    always: bool,
    /// Whether the test is about what becomes of it.
    awaited: bool,
    error: Error,
}

impl Fault {
    /// A fault of that operation.
    ///
    /// # Panics
    ///
    /// If there is no such operation: such a test would test nothing.
    pub fn at(operation: impl Into<String>) -> Self {
        let pattern = operation.into();
        let known = OPERATIONS.iter().any(|known| matches(&pattern, known.name));
        assert!(known, "there is no operation {pattern:?}; they are {}", names());
        let message = format!("{pattern} fails, as the test asked for");
        Self {
            pattern,
            skip: 0,
            always: false,
            awaited: true,
            error: Error { errno: Some(5), ..Error::new(ErrorKind::Io, message) },
        }
    }

    /// Not the first time, but the `n`th.
    #[must_use]
    pub fn nth(mut self, n: u32) -> Self {
        self.skip = n.saturating_sub(1);
        self
    }

    /// From then on, every time.
    #[must_use]
    pub fn always(mut self) -> Self {
        self.always = true;
        self
    }

    /// With an error of this kind, which no errno belongs to.
    #[must_use]
    pub fn kind(mut self, kind: HostErrorKind) -> Self {
        self.error = Error::new(crate::convert::from_kind(kind), self.error.message);
        self
    }

    /// With this errno(3); the kind follows from it.
    #[must_use]
    pub fn errno(mut self, errno: i32) -> Self {
        self.error = Error::from_errno(errno, self.error.message);
        self
    }

    /// The error, if it is this operation's turn.
    pub(crate) fn strike(&mut self, operation: &str) -> Option<Error> {
        if !matches(&self.pattern, operation) {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        self.awaited = false;
        Some(self.error.clone())
    }

    /// One that need not strike.
    pub(crate) fn idle(mut self) -> Self {
        self.awaited = false;
        self
    }

    /// The operation, if the test waits in vain for it to fail.
    pub(crate) fn missed(&self) -> Option<&str> {
        self.awaited.then_some(self.pattern.as_str())
    }

    pub(crate) fn is_spent_by_one(&self) -> bool {
        !self.always
    }
}

impl From<&str> for Fault {
    fn from(operation: &str) -> Self {
        Self::at(operation)
    }
}

fn matches(pattern: &str, operation: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(interface) => interface.ends_with('/') && operation.starts_with(interface),
        None => pattern == operation,
    }
}

fn names() -> String {
    OPERATIONS.iter().map(|operation| operation.name).collect::<Vec<_>>().join(", ")
}

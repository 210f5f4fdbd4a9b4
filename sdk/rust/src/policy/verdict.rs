//! What a policy answers.

use crate::error::Error;

/// `Ok(())` allows; [`deny!`](crate::deny) denies, and so does an [`Error`](crate::Error) behind `?`.
///
/// ```
/// use wharf_sdk::policy::Verdict;
/// fn only_high(port: u16) -> Verdict {
///     if port < 1024 { wharf_sdk::deny!("port {port} is below 1024") } else { Ok(()) }
/// }
/// assert_eq!(only_high(80).unwrap_err().reason(), "port 80 is below 1024");
/// ```
pub type Verdict = Result<(), Denial>;

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Denial(String);

impl Denial {
    /// With one sentence for whoever reads the pod's events.
    pub fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }

    /// The sentence.
    pub fn reason(&self) -> &str {
        &self.0
    }
}

impl From<Error> for Denial {
    fn from(error: Error) -> Self {
        Self(error.msg)
    }
}

/// A [`Verdict`](crate::policy::Verdict) that denies, with a reason as `format!` makes it.
#[macro_export]
macro_rules! deny {
    ($($reason:tt)*) => {
        ::std::result::Result::Err($crate::policy::Denial::new(::std::format!($($reason)*)))
    };
}

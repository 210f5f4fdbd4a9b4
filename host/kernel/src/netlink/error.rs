//! How talking to the kernel fails.

use std::fmt::Display;

use wharf_ops::{Error, ErrorKind};

use crate::common::{errno_in_words, refusal};

/// What went wrong with a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NetlinkError {
    /// The kernel's answer is an errno, with its own words if it has some.
    #[error("{}", refusal(*errno, text.as_deref()))]
    Refused {
        /// Positive.
        errno: i32,
        /// NLMSGERR_ATTR_MSG.
        text: Option<String>,
        /// Of the message that was refused.
        sequence: u32,
    },
    /// A system call on the socket failed.
    #[error("the netlink socket failed to {what}: {}", errno_in_words(*errno))]
    Socket {
        /// What it was to do.
        what: &'static str,
        /// Positive.
        errno: i32,
    },
    /// The receive buffer overran: answers or events are lost.
    #[error("the kernel dropped answers because the netlink socket's receive buffer was full")]
    Lost,
    /// A dump never came out whole.
    #[error("the kernel's list changed during each of {0} attempts to read it")]
    Unstable(u32),
    /// No answer in time.
    #[error("the kernel did not answer in time")]
    TimedOut,
    /// An attribute or a message is longer than netlink can say.
    #[error("the request is too long for netlink")]
    TooLong,
    /// Bytes that are no netlink message.
    #[error("the kernel's answer is malformed: {0}")]
    Malformed(&'static str),
}

impl NetlinkError {
    /// From a failed call of nix.
    pub(crate) fn socket(what: &'static str) -> impl FnOnce(nix::Error) -> Self {
        move |errno| Self::Socket { what, errno: errno as i32 }
    }

    /// The errno that the kernel answered with.
    pub(crate) fn errno(&self) -> Option<i32> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            _ => None,
        }
    }

    /// As the answer to an operation; `what` says what was being done and where.
    pub(crate) fn explain(self, what: impl Display) -> Error {
        let message = format!("{what}: {self}");
        match self {
            Self::Refused { errno, .. } | Self::Socket { errno, .. } => Error::from_errno(errno, message),
            Self::Lost | Self::Unstable(_) => Error::new(ErrorKind::Busy, message),
            Self::TimedOut => Error::new(ErrorKind::TimedOut, message),
            Self::TooLong => Error::new(ErrorKind::Invalid, message),
            Self::Malformed(_) => Error::new(ErrorKind::Internal, message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_own_words_are_in_the_message() {
        let refused =
            NetlinkError::Refused { errno: libc::EEXIST, text: Some("Address taken".into()), sequence: 1 };
        let error = refused.explain("adding 10.0.0.1/24 to eth0");
        assert_eq!(error.kind, ErrorKind::AlreadyExists);
        assert_eq!(error.errno, Some(libc::EEXIST));
        assert_eq!(error.message, "adding 10.0.0.1/24 to eth0: File exists (Address taken)");
    }
}

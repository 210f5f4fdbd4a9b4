//! Why a journal cannot be worked with.

use std::io;

use wharf_ops::{Error, ErrorKind};

/// What is wrong. What a journal contains is never an error: what cannot be read is [damage](super::Damage).
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another process holds it, and the call has no time left.
    #[error(
        "{path} is locked: another call works on this attachment, and this one has no time left to wait; try again, or \
         see who holds it with `fuser {path}`"
    )]
    Busy {
        /// The file.
        path: String,
    },
    /// A signal ended the wait for the lock.
    #[error("ended by {signal} while waiting for another call on this attachment")]
    Interrupted {
        /// Which.
        signal: &'static str,
    },
    /// A file or the directory cannot be used.
    #[error("the journal: {what} {path}: {source}")]
    Io {
        /// "cannot open", "cannot write", ...
        what: &'static str,
        /// The file.
        path: String,
        /// Why not.
        source: io::Error,
    },
    /// It is no file of ours.
    #[error("the journal: {path} {reason}; remove it")]
    Foreign {
        /// The file.
        path: String,
        /// What it is instead.
        reason: String,
    },
    /// The call has written too much.
    #[error("the journal {path} of one ADD is over {limit} bytes: what it would do next was not done")]
    Full {
        /// The file.
        path: String,
        /// [`Held::LIMIT`](super::Held::LIMIT).
        limit: u64,
    },
}

impl From<JournalError> for Error {
    fn from(error: JournalError) -> Self {
        let message = error.to_string();
        match error {
            JournalError::Busy { .. } | JournalError::Interrupted { .. } => {
                Self::new(ErrorKind::Busy, message)
            }
            JournalError::Io { source, .. } => match source.raw_os_error() {
                Some(errno) => Self::from_errno(errno, message),
                None => Self::new(ErrorKind::Io, message),
            },
            JournalError::Foreign { .. } => Self::new(ErrorKind::Conflict, message),
            JournalError::Full { .. } => Self::new(ErrorKind::Exhausted, message),
        }
    }
}

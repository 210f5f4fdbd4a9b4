//! The lock of a journal.

use std::fs::File;
use std::path::Path;

use nix::fcntl::{Flock, FlockArg};

use super::JournalError;
use crate::flock::{self, Patience, Refusal};

/// Takes the lock of an open journal.
pub(super) fn take(file: File, path: &Path, patience: &Patience<'_>) -> Result<Flock<File>, JournalError> {
    flock::take(file, FlockArg::LockExclusiveNonblock, patience).map_err(|refusal| {
        let path = path.display().to_string();
        match refusal {
            Refusal::Busy => JournalError::Busy { path },
            Refusal::Interrupted(signal) => JournalError::Interrupted { signal },
            Refusal::Failed(errno) => JournalError::Io { what: "cannot lock", path, source: errno.into() },
        }
    })
}

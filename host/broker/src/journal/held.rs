//! A journal that this process holds the lock of: appending, cutting back, removing.

use std::borrow::Cow;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::Flock;

use super::frame::{Frame, HEADER, encode};
use super::reader::{Parsed, parse};
use super::record::{Begin, Commit, ConfigChange, Effect, GuestRun, Outcome};
use super::{JournalError, Record};

/// No journal is longer: what is behind is not read.
const LONGEST: u64 = 64 << 20;
/// Most of them are shorter: read at once.
const USUAL: usize = 8 << 10;

/// An open and locked journal.
#[derive(Debug)]
pub(crate) struct Held {
    file: Flock<File>,
    path: PathBuf,
    /// What it said when it was opened.
    record: Record,
    /// The end of the last commit.
    committed: u64,
    /// The end of what is written.
    length: u64,
    /// What is written with the next frame that cannot wait.
    waiting: Vec<u8>,
    /// A write failed: what is behind it could not be read.
    broken: bool,
}

impl Held {
    /// The most that one transaction writes, in bytes: /run is memory.
    pub(crate) const LIMIT: u64 = 16 << 20;

    /// Reads a file that was just locked.
    pub(super) fn read(file: Flock<File>, path: PathBuf) -> Result<Self, JournalError> {
        let fault = |source| io("cannot read", &path, source);
        let length = file.metadata().map_err(fault)?.size();
        let parsed = if length == 0 { Parsed::default() } else { parse(&content(&file).map_err(fault)?) };
        let Parsed { record, committed, .. } = parsed;
        Ok(Self { file, path, record, committed, length, waiting: Vec::new(), broken: false })
    }

    /// What it said when it was opened.
    pub(crate) fn record(&self) -> &Record {
        &self.record
    }

    /// The file's path, for messages.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether nothing but committed transactions is in it.
    pub(crate) fn is_whole(&self) -> bool {
        self.length == self.committed
    }

    /// Starts a transaction. What is not committed must have been undone and [cut off](Self::cut) before.
    pub(crate) fn begin(&mut self, begin: &Begin) -> Result<(), JournalError> {
        if self.length == 0 {
            self.waiting.extend(HEADER);
        }
        self.append(&Frame::Begin(Cow::Borrowed(begin)), true)
    }

    /// Notes a guest.
    pub(crate) fn guest(&mut self, guest: &GuestRun) -> Result<(), JournalError> {
        self.append(&Frame::Guest(Cow::Borrowed(guest)), false)
    }

    /// Notes a policy.
    pub(crate) fn policy(&mut self, policy: &GuestRun) -> Result<(), JournalError> {
        self.append(&Frame::Policy(Cow::Borrowed(policy)), false)
    }

    /// Notes what a policy changed in a configuration.
    pub(crate) fn changed(&mut self, change: &ConfigChange) -> Result<(), JournalError> {
        self.append(&Frame::Changed(Cow::Borrowed(change)), false)
    }

    /// Notes what is about to be done. With `now`, it is in the file when this returns; what needs no undo may wait.
    pub(crate) fn intent(
        &mut self,
        seq: u32,
        guest: &str,
        effect: &Effect,
        now: bool,
    ) -> Result<(), JournalError> {
        let (guest, effect) = (Cow::Borrowed(guest), Cow::Borrowed(effect));
        self.append(&Frame::Intent { seq, guest, effect }, now)
    }

    /// Notes what came of it.
    pub(crate) fn done(&mut self, seq: u32, outcome: &Outcome, now: bool) -> Result<(), JournalError> {
        self.append(&Frame::Done { seq, outcome: Cow::Borrowed(outcome) }, now)
    }

    /// Ends the transaction: from now on it is a record.
    pub(crate) fn commit(&mut self, commit: &Commit) -> Result<(), JournalError> {
        self.append(&Frame::Commit(Cow::Borrowed(commit)), true)
    }

    /// Takes everything off that is behind the last commit that was there when the file was opened, damage included.
    /// The file stays, if only as an empty one.
    pub(crate) fn cut(&mut self) -> Result<(), JournalError> {
        self.waiting.clear();
        self.file.set_len(self.committed).map_err(|source| io("cannot cut", &self.path, source))?;
        self.length = self.committed;
        self.broken = false;
        self.record.damage = None;
        self.record.transactions.retain(|transaction| transaction.commit.is_some());
        Ok(())
    }

    /// [Cuts](Self::cut) it, and removes it if nothing is left.
    pub(crate) fn close(mut self) -> Result<(), JournalError> {
        if self.committed == 0 { self.remove() } else { self.cut() }
    }

    /// Removes the file. Nobody can have opened it anew while it is locked.
    pub(crate) fn remove(self) -> Result<(), JournalError> {
        std::fs::remove_file(&self.path).map_err(|source| io("cannot remove", &self.path, source))
    }

    fn append(&mut self, frame: &Frame<'_>, now: bool) -> Result<(), JournalError> {
        let path = || self.path.display().to_string();
        if self.broken {
            let source = std::io::Error::other("an earlier write failed");
            return Err(JournalError::Io { what: "cannot write", path: path(), source });
        }
        let mark = self.waiting.len();
        if let Err(error) = encode(frame, &mut self.waiting) {
            let source = std::io::Error::other(error);
            return Err(JournalError::Io { what: "cannot write", path: path(), source });
        }
        if self.length + self.waiting.len() as u64 > self.committed + Self::LIMIT {
            self.waiting.truncate(mark);
            return Err(JournalError::Full { path: path(), limit: Self::LIMIT });
        }
        if !now {
            return Ok(());
        }
        // One write(2): what a crash cuts off is the last frame.
        if let Err(source) = (&*self.file).write_all(&self.waiting) {
            self.broken = true;
            return Err(io("cannot write", &self.path, source));
        }
        self.length += self.waiting.len() as u64;
        self.waiting.clear();
        Ok(())
    }
}

/// The whole content, up to the limit.
pub(super) fn content(file: &File) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(USUAL);
    file.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn io(what: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    JournalError::Io { what, path: path.display().to_string(), source }
}

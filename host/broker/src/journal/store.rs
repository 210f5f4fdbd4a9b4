//! The directory of journals: finding, locking and listing them.

use std::fs::{DirBuilder, File};
use std::io::ErrorKind;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::fcntl::{Flock, OFlag};

use super::held::content;
use super::lock::take;
use super::name::{Key, is_journal, parse as parse_name};
use super::{Held, JournalError, Record, reader};
use crate::Paths;
use crate::flock::Patience;

/// The size of a directory that has no more than a few journals, of which a container has one or one per plugin: two
/// hundred on a tmpfs, and one block on a disk, which stays as large as it ever was.
const FEW: u64 = 4096;

/// Where the journals are.
#[derive(Clone, Debug)]
pub struct Store {
    directory: PathBuf,
}

/// A journal in the directory.
#[derive(Debug)]
pub struct Listed {
    /// Its file name: `container:ifname:entry:network`, or `blake3-...` where that is too long.
    pub name: String,
    /// What it says.
    pub record: Record,
    /// Whether a process works on it.
    pub busy: bool,
    /// When it was last written to, if the file system tells.
    pub modified: Option<SystemTime>,
}

/// What the directory has.
#[derive(Debug, Default)]
pub struct Listing {
    /// The journals, by name.
    pub journals: Vec<Listed>,
    /// Why others cannot be read: each names its file, and is no reason to know nothing of the rest.
    pub odd: Vec<JournalError>,
}

impl Listed {
    /// When the record came to say what it says: later ones overrule it. The commit is in seconds, which several plugins
    /// of a list may share.
    pub(crate) fn age(&self) -> (u64, Option<SystemTime>) {
        let commits = self.record.committed().filter_map(|transaction| transaction.commit.as_ref());
        (commits.map(|commit| commit.time).max().unwrap_or(0), self.modified)
    }
}

impl Store {
    /// The journals below a root.
    pub fn of(paths: &Paths) -> Self {
        Self { directory: paths.attachments() }
    }

    /// Every journal that can be read, by name. [`Store::listing`] also says which cannot.
    pub fn list(&self) -> Result<Vec<Listed>, JournalError> {
        Ok(self.listing()?.journals)
    }

    /// Every journal. One that is being written is seen as far as it is; its lock is tried, and not kept.
    pub fn listing(&self) -> Result<Listing, JournalError> {
        let mut listing = Listing::default();
        for name in self.names()? {
            match self.listed(name) {
                // One that vanishes meanwhile is none.
                Ok(listed) => listing.journals.extend(listed),
                Err(error) => listing.odd.push(error),
            }
        }
        Ok(listing)
    }

    fn listed(&self, name: String) -> Result<Option<Listed>, JournalError> {
        let path = self.directory.join(&name);
        let Some(file) = open(&path, false)? else { return Ok(None) };
        let bytes = content(&file).map_err(|source| io("cannot read", &path, source))?;
        let modified = file.metadata().and_then(|metadata| metadata.modified()).ok();
        let busy = Flock::lock(file, nix::fcntl::FlockArg::LockSharedNonblock).is_err();
        Ok(Some(Listed { name, record: reader::parse(&bytes).record, busy, modified }))
    }

    /// The file names, sorted.
    pub(crate) fn names(&self) -> Result<Vec<String>, JournalError> {
        let fault = |source| io("cannot list", &self.directory, source);
        let entries = match std::fs::read_dir(&self.directory) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(fault)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(fault)?.file_name().into_string();
            names.extend(name.ok().filter(|name| is_journal(name)));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// Whether there are many journals, by the size of the directory: nothing is counted.
    pub(crate) fn has_many(&self) -> bool {
        std::fs::metadata(&self.directory).is_ok_and(|directory| directory.len() > FEW)
    }

    /// Container and interface of the network's attachments that have a journal: those that were recorded, and those whose
    /// ADD is on its way. Takes no lock.
    pub(crate) fn attachments(&self, network: &str) -> Result<Vec<(String, String)>, JournalError> {
        let mut all = Vec::new();
        for name in self.names()? {
            let key = self.key_of(&name)?.filter(|key| key.attachment.network == network);
            all.extend(key.map(|Key { attachment, .. }| (attachment.container, attachment.ifname)));
        }
        Ok(all)
    }

    /// Opens and locks the journal of a key, which need not be there before.
    pub(crate) fn create(&self, key: &Key, patience: &Patience<'_>) -> Result<Held, JournalError> {
        let path = self.directory.join(key.file_name());
        loop {
            let Some(file) = open(&path, true)? else {
                let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.directory);
                made.map_err(|source| io("cannot create", &self.directory, source))?;
                continue;
            };
            if let Some(held) = hold(file, &path, patience)? {
                return Ok(held);
            }
        }
    }

    /// Opens and locks the journal of a key, if there is one.
    pub(crate) fn find(&self, key: &Key, patience: &Patience<'_>) -> Result<Option<Held>, JournalError> {
        self.open(&key.file_name(), patience)
    }

    /// Opens and locks a journal of the same container, interface and entry under another network's name, if it is of the
    /// same attachment.
    pub(crate) fn find_renamed(
        &self,
        key: &Key,
        is_same: impl Fn(&Held) -> bool,
        patience: &Patience<'_>,
    ) -> Result<Option<Held>, JournalError> {
        for name in self.names()? {
            if self.key_of(&name)?.is_some_and(|other| key.same_but_network(&other))
                && let Some(held) = self.open(&name, patience)?
                && is_same(&held)
            {
                return Ok(Some(held));
            }
        }
        Ok(None)
    }

    /// Opens and locks the journal of that file name, if it is there.
    pub(crate) fn open(&self, name: &str, patience: &Patience<'_>) -> Result<Option<Held>, JournalError> {
        let path = self.directory.join(name);
        loop {
            let Some(file) = open(&path, false)? else { return Ok(None) };
            if let Some(held) = hold(file, &path, patience)? {
                return Ok(Some(held));
            }
        }
    }

    /// What a journal is of. Only a hashed name makes it necessary to look inside. What is no file of ours is of nobody:
    /// whoever plants it must not stop the calls of others.
    pub(crate) fn key_of(&self, name: &str) -> Result<Option<Key>, JournalError> {
        if let Some(key) = parse_name(name) {
            return Ok(Some(key));
        }
        let path = self.directory.join(name);
        let file = match open(&path, false) {
            Ok(Some(file)) => file,
            Ok(None) | Err(JournalError::Foreign { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let bytes = content(&file).map_err(|source| io("cannot read", &path, source))?;
        let first = reader::parse(&bytes).record.transactions.into_iter().next();
        Ok(first.map(|first| Key { attachment: first.begin.attachment, entry: first.begin.entry }))
    }
}

/// Locks an open file. None if it was removed while we waited: there may be a new one of that name.
fn hold(file: File, path: &Path, patience: &Patience<'_>) -> Result<Option<Held>, JournalError> {
    let file = take(file, path, patience)?;
    let links = file.metadata().map_err(|source| io("cannot read", path, source))?.nlink();
    if links == 0 { Ok(None) } else { Held::read(file, path.to_owned()).map(Some) }
}

/// None if the file, or with `create` its directory, is not there.
fn open(path: &Path, create: bool) -> Result<Option<File>, JournalError> {
    // NOFOLLOW and NONBLOCK: what is no file of ours must neither be written through nor be waited for.
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = File::options()
        .read(true)
        .append(true)
        .create(create)
        .mode(0o600)
        .custom_flags(flags.bits())
        .open(path);
    let foreign =
        |reason: &str| JournalError::Foreign { path: path.display().to_string(), reason: reason.into() };
    let file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
            return Err(foreign("is a symbolic link"));
        }
        // A directory, and a socket.
        Err(error) if matches!(error.raw_os_error(), Some(nix::libc::EISDIR | nix::libc::ENXIO)) => {
            return Err(foreign("is no regular file"));
        }
        Err(source) => return Err(io("cannot open", path, source)),
    };
    let metadata = file.metadata().map_err(|source| io("cannot read", path, source))?;
    if !metadata.is_file() {
        return Err(foreign("is no regular file"));
    }
    if metadata.uid() != 0 && metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(foreign(&format!("belongs to user {}", metadata.uid())));
    }
    Ok(Some(file))
}

fn io(what: &'static str, path: &Path, source: std::io::Error) -> JournalError {
    JournalError::Io { what, path: path.display().to_string(), source }
}

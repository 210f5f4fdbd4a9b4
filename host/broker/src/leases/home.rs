//! Where the index is kept: one file in a directory of root's that nobody else can write to.

use std::fs::{DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open, openat, renameat};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::unistd::{UnlinkatFlags, geteuid, unlinkat};

const NAME: &str = "index";
const DRAFT: &str = "index.new";

/// The index's directory. Nothing here is an error: an index that cannot be kept only costs time.
pub(super) struct Home {
    path: PathBuf,
    directory: Option<File>,
}

impl Home {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned(), directory: None }
    }

    /// The index file and its size, if there is something that can be one.
    pub(super) fn load(&mut self) -> Option<(File, u64)> {
        let flags = OFlag::O_RDWR | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = File::from(openat(self.directory()?, NAME, flags, Mode::empty()).ok()?);
        let stat = fstat(&file).ok()?;
        let regular = SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG;
        (regular && stat.st_uid == geteuid().as_raw()).then_some((file, u64::try_from(stat.st_size).ok()?))
    }

    /// Puts a new index in place: `write` fills it before it can be seen.
    pub(super) fn replace(&mut self, write: impl FnOnce(File) -> std::io::Result<()>) -> Option<()> {
        let directory = self.directory_or_new()?;
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let mode = Mode::from_bits_truncate(0o600);
        let file = openat(directory, DRAFT, flags, mode).or_else(|errno| match errno {
            Errno::EEXIST => {
                unlinkat(directory, DRAFT, UnlinkatFlags::NoRemoveDir)?;
                openat(directory, DRAFT, flags, mode)
            }
            errno => Err(errno),
        });
        let written = write(File::from(file.ok()?)).is_ok();
        if written && renameat(directory, DRAFT, directory, NAME).is_ok() {
            return Some(());
        }
        let _ = unlinkat(directory, DRAFT, UnlinkatFlags::NoRemoveDir);
        None
    }

    /// Removes the index: the next one who needs it makes it anew.
    pub(super) fn forget(&mut self) {
        if let Some(directory) = self.directory() {
            let _ = unlinkat(directory, NAME, UnlinkatFlags::NoRemoveDir);
        }
    }

    fn directory_or_new(&mut self) -> Option<&File> {
        if self.directory().is_none() {
            DirBuilder::new().recursive(true).mode(0o700).create(&self.path).ok()?;
        }
        self.directory()
    }

    /// The directory, if it is ours alone.
    fn directory(&mut self) -> Option<&File> {
        if self.directory.is_none() {
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
            let directory = File::from(open(&self.path, flags, Mode::empty()).ok()?);
            let stat = fstat(&directory).ok()?;
            let private = stat.st_uid == geteuid().as_raw() && stat.st_mode & 0o022 == 0;
            self.directory = private.then_some(directory);
        }
        self.directory.as_ref()
    }
}

//! Programs as a boot would bring them into memory.
//!
//! How a file got into the page cache, in large folios or page by page, is worth a sixth of a short program's run. So what
//! is measured is read from the disk first, whoever wrote it and how.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context, Result};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

/// Writes back and drops what is in the page cache of a folder's files. On a tmpfs, which is nothing else, it does nothing.
pub(super) fn drop_all(folder: &Path) -> Result<()> {
    let read = || format!("cannot read {}", folder.display());
    for entry in fs::read_dir(folder).with_context(read)? {
        let entry = entry.with_context(read)?;
        let (path, kind) = (entry.path(), entry.file_type().with_context(read)?);
        if kind.is_dir() {
            drop_all(&path)?;
        } else if kind.is_file() {
            let dropped = File::open(&path).and_then(|file| {
                file.sync_all()?;
                Ok(posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)?)
            });
            dropped.with_context(|| format!("cannot have {} read again", path.display()))?;
        }
    }
    Ok(())
}

//! A compiled component in memory: the pages that the broker hashes are those that the sandbox runs.
//!
//! The file is mapped, and the forked sandbox shares the mapping. Nothing writes into a file of the store: each is made
//! under another name and renamed, and only root could do otherwise, who can replace the host as well. Where the store is
//! on a file system mounted noexec, the file is copied into memory that is not the file's, 0.1 ms for 286 KB.

#![allow(unsafe_code)] // Page-aligned memory that Wasmtime can run from comes from mmap(2).

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::sys::statvfs::{FsFlags, fstatvfs};

use crate::Error;

/// No artefact of a sane guest is larger.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// A compiled component (`.cwasm`), read-only.
#[derive(Debug)]
pub struct Artefact {
    start: NonNull<u8>,
    len: usize,
    id: u64,
}

/// How many there were: what tells one from another that was mapped at the same address later.
static COUNT: AtomicU64 = AtomicU64::new(0);

impl Artefact {
    /// The whole file. Compare the digest of [`bytes`](Self::bytes) with that in the store before any of it runs.
    pub fn map(mut file: &File) -> Result<Self, Error> {
        let size = file.metadata().map_err(Error::Artefact)?.len();
        if size == 0 || size > MAX_BYTES {
            return Err(Error::ArtefactSize { size, limit: MAX_BYTES });
        }
        let len = usize::try_from(size).map_err(|_| Error::ArtefactSize { size, limit: MAX_BYTES })?;
        let executable = fstatvfs(file).is_ok_and(|system| !system.flags().contains(FsFlags::ST_NOEXEC));
        if executable {
            return Self::mapped(file, len).map_err(Error::Artefact);
        }
        Self::filled(len, |memory| file.read_exact(memory)).map_err(Error::Artefact)
    }

    fn mapped(file: &File, len: usize) -> io::Result<Self> {
        // Without its pages: the broker reads them only if it has to hash them, and a fork would not get them anyway.
        let (flags, file) = (libc::MAP_PRIVATE, file.as_raw_fd());
        // SAFETY: a new mapping at an address of the kernel's choice touches no memory in use. The file's bytes stay as
        // they are: see the module's documentation.
        let start = unsafe { libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, flags, file, 0) };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        Ok(Self::own(start, len))
    }

    fn own(start: NonNull<u8>, len: usize) -> Self {
        Self { start, len, id: COUNT.fetch_add(1, Ordering::Relaxed) }
    }

    /// What no other artefact of this process has, not even one that is mapped when this is gone.
    pub(crate) fn id(&self) -> u64 {
        self.id
    }

    /// Copies what is in memory already.
    pub fn copy(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.is_empty() {
            return Err(Error::ArtefactSize { size: 0, limit: MAX_BYTES });
        }
        Self::filled(bytes.len(), |memory| {
            memory.copy_from_slice(bytes);
            Ok(())
        })
        .map_err(Error::Artefact)
    }

    fn filled(len: usize, fill: impl FnOnce(&mut [u8]) -> io::Result<()>) -> io::Result<Self> {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_POPULATE;
        // SAFETY: a new anonymous mapping at an address of the kernel's choice touches no memory in use.
        let start = unsafe {
            libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        let start = NonNull::new(start.cast::<u8>()).ok_or(io::ErrorKind::OutOfMemory)?;
        let artefact = Self::own(start, len);
        // SAFETY: the mapping has `len` bytes, is zeroed and writable, and no other reference to it exists yet.
        fill(unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), len) })?;
        // SAFETY: the range is the mapping made above, and the mutable slice is gone.
        if unsafe { libc::mprotect(start.as_ptr().cast(), len, libc::PROT_READ) } != 0 {
            return Err(io::Error::last_os_error());
        }
        Ok(artefact)
    }

    /// What was read.
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: the mapping has `len` readable bytes, and nothing writes to it until it is dropped.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }
}

impl Drop for Artefact {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping made in `mapped` or `filled`; every slice of it has borrowed `self`. A sandbox, whose
        // engine borrows it without a lifetime, exits without dropping it.
        unsafe { libc::munmap(self.start.as_ptr().cast(), self.len) };
    }
}

/// The size of a page of memory.
pub(crate) fn page_size() -> usize {
    // SAFETY: sysconf(3) reads a constant.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_replaced_later_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("guest.cwasm");
        std::fs::write(&path, b"first").unwrap();
        let artefact = Artefact::map(&File::open(&path).unwrap()).unwrap();
        std::fs::write(folder.path().join("new"), b"other").unwrap();
        std::fs::rename(folder.path().join("new"), &path).unwrap();
        assert_eq!(artefact.bytes(), b"first");
    }

    #[test]
    fn an_empty_file_is_an_error() {
        let file = tempfile::tempfile().unwrap();
        assert!(matches!(Artefact::map(&file), Err(Error::ArtefactSize { size: 0, .. })));
        assert!(Artefact::copy(b"").is_err());
    }
}

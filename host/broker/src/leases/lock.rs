//! The lock of a lease directory: flock(2) on the file `lock`, the one that host-local takes.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Instant;

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg, OFlag, openat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat};
use wharf_ops::{Error, ErrorKind};

use super::failed;
use crate::flock::{self, Patience, Refusal};

/// Takes the lock of the directory `path`, which `directory` is open on.
///
/// None if the file was removed meanwhile, for then somebody may hold a new one: the caller has to start again.
pub(super) fn take(
    directory: &File,
    path: &Path,
    deadline: Option<Instant>,
) -> Result<Option<Flock<File>>, Error> {
    let path = path.join("lock");
    // NONBLOCK because a FIFO of that name would hang an open, NOFOLLOW because a link would lock something else.
    let flags = OFlag::O_CREAT | OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let lock: OwnedFd = match openat(directory, "lock", flags, Mode::from_bits_truncate(0o750)) {
        Ok(lock) => lock,
        Err(Errno::ENOENT) => return Ok(None),
        Err(Errno::ELOOP | Errno::EISDIR) => return Err(not_a_file(&path)),
        Err(errno) => return Err(failed(errno, format_args!("open {}", path.display()))),
    };
    let stat = |lock: &File| -> Result<FileStat, Error> {
        fstat(lock).map_err(|errno| failed(errno, format_args!("stat {}", path.display())))
    };
    let lock = File::from(lock);
    if SFlag::from_bits_truncate(stat(&lock)?.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
        return Err(not_a_file(&path));
    }
    let lock = wait_for(lock, &path, deadline)?;
    Ok((stat(&lock)?.st_nlink > 0).then_some(lock))
}

fn wait_for(lock: File, path: &Path, deadline: Option<Instant>) -> Result<Flock<File>, Error> {
    let taken = match deadline {
        Some(deadline) => {
            let patience = Patience { until: &|| deadline, interrupted: &|| None };
            flock::take(lock, FlockArg::LockExclusiveNonblock, &patience)
        }
        // The kernel does the waiting.
        None => flock::take(lock, FlockArg::LockExclusive, &Patience::NONE),
    };
    taken.map_err(|refusal| match refusal {
        Refusal::Busy | Refusal::Interrupted(_) => busy(path),
        Refusal::Failed(errno) => failed(errno, format_args!("lock {}", path.display())),
    })
}

fn busy(path: &Path) -> Error {
    let message = format!(
        "{} is locked by another process and the call has no time left to wait for it; see who holds it with \
         `fuser {0}`",
        path.display()
    );
    Error::new(ErrorKind::Busy, message)
}

fn not_a_file(path: &Path) -> Error {
    let message =
        format!("{} is not a regular file and cannot be the lock of the leases; remove it", path.display());
    Error::new(ErrorKind::Conflict, message)
}

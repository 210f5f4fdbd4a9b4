//! A network namespace, held open by a descriptor.

mod kind;

use std::cell::Cell;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use nix::sys::stat::{Mode, SFlag, fstat};
use nix::sys::statfs::{FsType, fstatfs};

use crate::sysctl::Parameters;

/// NSFS_MAGIC.
const NSFS: FsType = FsType(0x6e73_6673);
const OWN: &str = "/proc/thread-self/ns/net";

thread_local! {
    /// The namespace that this thread is in, as far as it was asked or changed here: nothing else in Wharf changes it between
    /// two calls of this module.
    static HERE: Cell<Option<(u64, u64)>> = const { Cell::new(None) };
}

/// Why a namespace cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum NetnsError {
    /// Nothing is at that path.
    #[error("there is no network namespace at {}: the path does not exist", .0.display())]
    NotFound(PathBuf),
    /// Something else is at that path.
    #[error("{} is no network namespace but {what}", path.display())]
    NotANamespace {
        /// Where.
        path: PathBuf,
        /// "a directory", "the pid namespace", ...
        what: String,
    },
    /// A system call failed.
    #[error("{what}: {source}")]
    Io {
        /// What it was to do, and where.
        what: String,
        /// Why it did not.
        source: io::Error,
    },
}

impl NetnsError {
    fn io(what: impl Into<String>, errno: Errno) -> Self {
        Self::Io { what: what.into(), source: errno.into() }
    }
}

/// A network namespace that lives as long as this value.
#[derive(Debug)]
pub struct Netns {
    fd: OwnedFd,
    identity: (u64, u64),
    /// Folders of parameters: see [`crate::sysctl`].
    pub(crate) parameters: Parameters,
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Netns {
    /// The namespace at `path`, if it is one. Whatever else is there is not touched by looking.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, NetnsError> {
        let path = path.as_ref();
        let failed = |errno| match errno {
            Errno::ENOENT | Errno::ENOTDIR => NetnsError::NotFound(path.to_owned()),
            errno => NetnsError::io(format!("opening the network namespace {}", path.display()), errno),
        };
        // O_PATH first: opening a device or a FIFO for reading can have effects or block.
        let seen = open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).map_err(failed)?;
        let not_one = |what: String| NetnsError::NotANamespace { path: path.to_owned(), what };
        if fstatfs(&seen).map_err(failed)?.filesystem_type() != NSFS {
            return Err(not_one(describe(fstat(&seen).map_err(failed)?.st_mode)));
        }
        let by_descriptor = format!("/proc/self/fd/{}", seen.as_raw_fd());
        let fd = open(by_descriptor.as_str(), OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(failed)?;
        match kind::of(fd.as_fd()).map_err(failed)? {
            kind::NET => Self::from_fd(fd).map_err(failed),
            other => Err(not_one(kind::name(other))),
        }
    }

    /// The namespace of the calling thread.
    pub fn own() -> Result<Self, NetnsError> {
        let own = open(OWN, OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty())
            .and_then(Self::from_fd)
            .map_err(|errno| NetnsError::io(format!("opening {OWN}"), errno))?;
        HERE.set(Some(own.identity));
        Ok(own)
    }

    /// A new namespace without a name. It goes with this value and its last process.
    pub fn anonymous() -> Result<Self, NetnsError> {
        let here = Self::own()?;
        unshare(CloneFlags::CLONE_NEWNET)
            .map_err(|errno| NetnsError::io("creating a network namespace", errno))?;
        // Not before: whoever may not leave may not come back either.
        let back = WayBack(here);
        let new = Self::own();
        drop(back);
        new
    }

    /// A new namespace that stays at `path` (a bind mount on a new file) until [`Netns::remove`].
    pub fn create_at(path: impl AsRef<Path>) -> Result<Self, NetnsError> {
        let path = path.as_ref();
        let what = || format!("creating the network namespace {}", path.display());
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|source| NetnsError::Io { what: what(), source })?;
        }
        let file = OpenOptions::new().write(true).create_new(true).mode(0o444).open(path);
        drop(file.map_err(|source| NetnsError::Io { what: what(), source })?);
        let made = Self::anonymous().and_then(|new| {
            let source = format!("/proc/self/fd/{}", new.fd.as_raw_fd());
            mount(Some(source.as_str()), path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
                .map_err(|errno| NetnsError::io(what(), errno))?;
            Ok(new)
        });
        if made.is_err() {
            let _ = std::fs::remove_file(path);
        }
        made
    }

    /// Takes the name of a namespace away; it goes when nobody uses it any more. Absent is success.
    pub fn remove(path: impl AsRef<Path>) -> Result<(), NetnsError> {
        let path = path.as_ref();
        let what = || format!("removing the network namespace {}", path.display());
        match umount2(path, MntFlags::MNT_DETACH | MntFlags::UMOUNT_NOFOLLOW) {
            // EINVAL: no mount point, as after an incomplete creation.
            Ok(()) | Err(Errno::EINVAL) => {}
            Err(Errno::ENOENT) => return Ok(()),
            Err(errno) => return Err(NetnsError::io(what(), errno)),
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(NetnsError::Io { what: what(), source: error })
            }
            _ => Ok(()),
        }
    }

    /// What a [`Machine`](crate::Machine) that is a model calls a namespace: nothing can enter it, and only that machine
    /// knows what it stands for.
    pub fn stand_in(identity: (u64, u64)) -> Result<Self, NetnsError> {
        let nothing = open("/dev/null", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty());
        let fd = nothing.map_err(|errno| NetnsError::io("opening /dev/null", errno))?;
        Ok(Self { fd, identity, parameters: Parameters::default() })
    }

    /// Device and inode: what the namespace is known by as long as somebody holds it.
    pub fn identity(&self) -> (u64, u64) {
        self.identity
    }

    /// The kernel's own number of it, which is never given twice, as the inode's is once nobody holds the namespace. None
    /// before Linux 5.14, and of a [stand-in](Self::stand_in).
    pub fn cookie(&self) -> Option<u64> {
        let made = self.enter(|| {
            let socket = socket(AddressFamily::Unix, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None)?;
            kind::cookie(socket.as_fd())
        });
        made.ok()?.ok()
    }

    /// Whether both are one namespace.
    pub fn same_as(&self, other: &Self) -> bool {
        self.identity == other.identity
    }

    /// Runs `f` on the calling thread inside the namespace, and comes back whatever happens in `f`: a thread that
    /// cannot come back would do the host's work in a container, so the process is aborted instead.
    pub fn enter<T>(&self, f: impl FnOnce() -> T) -> Result<T, NetnsError> {
        if HERE.get() == Some(self.identity) {
            debug_assert!(Self::own().is_ok_and(|own| own.same_as(self)), "somebody else left the namespace");
            return Ok(f());
        }
        let here = Self::own()?;
        if here.same_as(self) {
            return Ok(f());
        }
        setns(&self.fd, CloneFlags::CLONE_NEWNET)
            .map_err(|errno| NetnsError::io("entering a network namespace", errno))?;
        let back = WayBack(here);
        HERE.set(Some(self.identity));
        let result = f();
        drop(back);
        Ok(result)
    }

    fn from_fd(fd: OwnedFd) -> Result<Self, Errno> {
        let status = fstat(&fd)?;
        Ok(Self { fd, identity: (status.st_dev, status.st_ino), parameters: Parameters::default() })
    }
}

/// Brings the thread back to where it was.
struct WayBack(Netns);

impl Drop for WayBack {
    fn drop(&mut self) {
        if let Err(errno) = setns(&self.0.fd, CloneFlags::CLONE_NEWNET) {
            // Not `eprintln!`: where nobody reads it, a panic would take this thread on in the container.
            let _ =
                writeln!(io::stderr(), "wharf: no way back to the network namespace of the host: {errno}");
            std::process::abort();
        }
        HERE.set(Some(self.0.identity));
    }
}

fn describe(mode: u32) -> String {
    let what = match SFlag::from_bits_truncate(mode & SFlag::S_IFMT.bits()) {
        SFlag::S_IFDIR => "a directory",
        SFlag::S_IFREG => "a regular file",
        SFlag::S_IFIFO => "a FIFO",
        SFlag::S_IFSOCK => "a socket",
        SFlag::S_IFCHR | SFlag::S_IFBLK => "a device",
        _ => "something else",
    };
    what.to_owned()
}

#[cfg(test)]
mod tests;

//! The lease directory as host-local lays it out: `<address>`, `last_reserved_ip.<set>` and `lock`.

use std::fs::{DirBuilder, File};
use std::io::{Read, Write};
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::NixPath;
use nix::errno::Errno;
use nix::fcntl::{AtFlags, OFlag, open, openat};
use nix::sys::stat::{Mode, SFlag, fstat, futimens};
use nix::sys::time::TimeSpec;
use nix::unistd::{UnlinkatFlags, linkat, unlinkat};
use wharf_ops::Error;

use super::address::Address;
use super::boot::Boot;
use super::failed;
use super::holder::Holder;

/// No lease is longer; what is, names nobody.
const LONGEST: u64 = 8192;
/// Where a lease is written if the file system has no unnamed files. Nobody sees it but after a crash.
const DRAFT: &str = ".wharf-draft";
/// How far in the past a seal is, so that no change that follows it gets the same time from a coarse clock.
const SEAL_AGE: Duration = Duration::from_secs(10);

/// What tells one state of the directory from every other: device, inode, mtime and ctime.
pub(super) type Stamp = [u64; 6];

/// What a lease file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Lease {
    /// There is none.
    Free,
    /// It is there and names nobody: its writer crashed.
    Ownerless,
    /// No plugin made it, for it is no regular file. The address is taken all the same.
    Foreign,
    /// It belongs to somebody.
    Held(Holder),
}

/// A lease file that was read.
struct Seen {
    lease: Lease,
    /// The file, if it is a regular one.
    file: Option<File>,
}

impl Seen {
    fn nothing(lease: Lease) -> Self {
        Self { lease, file: None }
    }
}

/// An open lease directory.
pub(super) struct Files {
    path: PathBuf,
    directory: File,
    boot: Boot,
}

impl Files {
    /// Opens the directory and makes it if need be, with its parents, as host-local does.
    pub(super) fn open(path: &Path, boot: Boot) -> Result<Self, Error> {
        if let Some(files) = Self::existing(path, boot.clone())? {
            return Ok(files);
        }
        let made = DirBuilder::new().recursive(true).mode(0o755).create(path);
        made.map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENAMETOOLONG) => Error::invalid(format!(
                "{} is too long: leases are kept below dataDir, in a directory of the network's name, and a path has \
                 up to 255 bytes in each part and 4095 in all",
                path.display()
            )),
            _ => Error::from_io(&error, format_args!("create {}", path.display())),
        })?;
        Self::existing(path, boot)?.ok_or_else(|| {
            Error::not_found(format!("lease directory {} was removed while it was opened", path.display()))
        })
    }

    /// Opens the directory, if it is there.
    pub(super) fn existing(path: &Path, boot: Boot) -> Result<Option<Self>, Error> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
        match open(path, flags, Mode::empty()) {
            Ok(directory) => Ok(Some(Self { path: path.to_owned(), directory: directory.into(), boot })),
            // What cannot be is not there.
            Err(Errno::ENOENT | Errno::ENAMETOOLONG) => Ok(None),
            Err(errno) => Err(failed(errno, format_args!("open lease directory {}", path.display()))),
        }
    }

    pub(super) fn directory(&self) -> &File {
        &self.directory
    }

    fn error(&self, errno: Errno, verb: &str, name: &str) -> Error {
        failed(errno, format_args!("{verb} {}", self.path.join(name).display()))
    }

    /// The state that the directory is in.
    pub(super) fn stamp(&self) -> Option<Stamp> {
        let stat = fstat(&self.directory).ok()?;
        let times = [stat.st_mtime, stat.st_mtime_nsec, stat.st_ctime, stat.st_ctime_nsec];
        let [mtime, mtime_nsec, ctime, ctime_nsec] = times.map(i64::cast_unsigned);
        Some([stat.st_dev, stat.st_ino, mtime, mtime_nsec, ctime, ctime_nsec])
    }

    /// Gives the directory a time of its own, which every later change of anybody's replaces, and answers the
    /// state it is in now. None if the directory does not allow it.
    pub(super) fn seal(&self) -> Option<Stamp> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.saturating_sub(SEAL_AGE);
        futimens(&self.directory, &TimeSpec::UTIME_OMIT, &TimeSpec::from_duration(since)).ok()?;
        self.stamp()
    }

    /// Reads one lease.
    pub(super) fn read(&self, address: Address) -> Result<Lease, Error> {
        self.read_file(&address.file()).map(|seen| seen.lease)
    }

    /// The same, and whether it is of an earlier boot.
    pub(super) fn read_with_age(&self, address: Address) -> Result<(Lease, bool), Error> {
        let seen = self.read_file(&address.file())?;
        let old = self.is_old(&seen);
        Ok((seen.lease, old))
    }

    /// Whether there is a lease that was written in an earlier boot than this. Nothing of that boot lives any more.
    pub(super) fn is_of_earlier_boot(&self, address: Address) -> Result<bool, Error> {
        Ok(self.is_old(&self.read_file(&address.file())?))
    }

    /// Something else than a regular file is of no boot.
    fn is_old(&self, seen: &Seen) -> bool {
        seen.file.as_ref().is_some_and(|file| self.boot.is_after(file))
    }

    fn read_file(&self, name: &str) -> Result<Seen, Error> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.directory, name, flags, Mode::empty()) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) => return Ok(Seen::nothing(Lease::Free)),
            Err(Errno::ELOOP | Errno::ENXIO) => return Ok(Seen::nothing(Lease::Foreign)),
            Err(errno) => return Err(self.error(errno, "open", name)),
        };
        let stat = fstat(&file).map_err(|errno| self.error(errno, "stat", name))?;
        if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != SFlag::S_IFREG {
            return Ok(Seen::nothing(Lease::Foreign));
        }
        let mut content = Vec::with_capacity(128);
        match (&file).take(LONGEST).read_to_end(&mut content) {
            Ok(_) => {
                let lease = Holder::of_content(&content).map_or(Lease::Ownerless, Lease::Held);
                Ok(Seen { lease, file: Some(file) })
            }
            Err(error) => {
                Err(Error::from_io(&error, format_args!("read {}", self.path.join(name).display())))
            }
        }
    }

    /// Reads every lease, and whether it is of an earlier boot. What is not named by an address is none.
    pub(super) fn scan(&self, mut each: impl FnMut(Address, Lease, bool)) -> Result<(), Error> {
        let error =
            |error: std::io::Error| Error::from_io(&error, format_args!("list {}", self.path.display()));
        // Through /proc, for the path may name another directory by now.
        let entries = std::fs::read_dir(format!("/proc/self/fd/{}", self.directory.as_raw_fd()));
        for entry in entries.map_err(error)? {
            let name = entry.map_err(error)?.file_name();
            let Some(name) = name.to_str() else { continue };
            if let Some(address) = Address::of_file(name) {
                let seen = self.read_file(name)?;
                if seen.lease != Lease::Free {
                    let old = self.is_old(&seen);
                    each(address, seen.lease, old);
                }
            }
        }
        Ok(())
    }

    /// Gives an address back.
    pub(super) fn remove(&self, address: Address) -> Result<(), Error> {
        let name = address.file();
        match unlinkat(&self.directory, name.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(errno) => Err(self.error(errno, "remove", &name)),
        }
    }

    /// Writes a lease that has no address yet.
    pub(super) fn draft(&self, holder: &Holder) -> Result<Draft<'_>, Error> {
        let unnamed = self.create(".", OFlag::O_TMPFILE, holder);
        if !matches!(unnamed, Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::ENOENT | Errno::EINVAL)) {
            let file = unnamed.map_err(|errno| self.error(errno, "create a file in", ""))?;
            return Ok(Draft { files: self, file: Some(file) });
        }
        self.named_draft(holder)
    }

    /// The same for a file system without unnamed files.
    pub(super) fn named_draft(&self, holder: &Holder) -> Result<Draft<'_>, Error> {
        let draft = Draft { files: self, file: None };
        draft.remove();
        let made = self.create(DRAFT, OFlag::O_CREAT | OFlag::O_EXCL, holder);
        made.map_err(|errno| self.error(errno, "create", DRAFT))?;
        Ok(draft)
    }

    fn create(&self, name: &str, how: OFlag, holder: &Holder) -> nix::Result<File> {
        let flags = how | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
        let mut file = File::from(openat(&self.directory, name, flags, Mode::from_bits_truncate(0o600))?);
        let written = file.write_all(holder.as_bytes());
        written.map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))?;
        self.boot.mark(&file);
        Ok(file)
    }

    /// Reads the cursor of a range set. One that is not an address is none.
    pub(super) fn cursor(&self, set: u32) -> Result<Option<IpAddr>, Error> {
        match self.read_file(&cursor_file(set))?.lease {
            Lease::Held(text) => {
                Ok(std::str::from_utf8(text.as_bytes()).ok().and_then(|text| text.parse().ok()))
            }
            Lease::Free | Lease::Ownerless | Lease::Foreign => Ok(None),
        }
    }

    /// Writes the cursor of a range set if it has a file, and answers whether it has.
    pub(super) fn move_cursor(&self, set: u32, address: Address) -> Result<bool, Error> {
        self.write_cursor(set, address, OFlag::empty())
    }

    /// Makes the file of a cursor.
    pub(super) fn create_cursor(&self, set: u32, address: Address) -> Result<(), Error> {
        self.write_cursor(set, address, OFlag::O_CREAT).map(drop)
    }

    fn write_cursor(&self, set: u32, address: Address, how: OFlag) -> Result<bool, Error> {
        let (name, text) = (cursor_file(set), address.file());
        let flags = how | OFlag::O_WRONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC;
        let file = match openat(&self.directory, name.as_str(), flags, Mode::from_bits_truncate(0o600)) {
            Ok(file) => File::from(file),
            Err(Errno::ENOENT) if how.is_empty() => return Ok(false),
            Err(errno) => return Err(self.error(errno, "open", &name)),
        };
        // Not O_TRUNC: file systems take a truncated and rewritten file for one to be flushed at once. A longer
        // text is emptied first, for a crash must not leave a mixture of two addresses.
        let longer = file.metadata().map(|metadata| metadata.len() > text.len() as u64);
        let written = longer.and_then(|longer| {
            if longer {
                file.set_len(0)?;
            }
            file.write_all_at(text.as_bytes(), 0)
        });
        let error = |error| Error::from_io(&error, format_args!("write {}", self.path.join(&name).display()));
        written.map(|()| true).map_err(error)
    }
}

fn cursor_file(set: u32) -> String {
    format!("last_reserved_ip.{set}")
}

/// A complete lease without an address. It is there under its address whole or not at all.
pub(super) struct Draft<'a> {
    files: &'a Files,
    /// The file, if it has no name.
    file: Option<File>,
}

impl Draft<'_> {
    /// Gives it its address; false if that is taken. The draft may be used again then.
    pub(super) fn publish(&self, address: Address) -> Result<bool, Error> {
        let name = address.file();
        let linked = match &self.file {
            // By the descriptor itself needs a capability, by /proc needs /proc.
            Some(file) => match self.link(file, "", &name, AtFlags::AT_EMPTY_PATH) {
                Err(Errno::ENOENT | Errno::EPERM | Errno::EINVAL) => {
                    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
                    self.link(file, path.as_str(), &name, AtFlags::AT_SYMLINK_FOLLOW)
                }
                linked => linked,
            },
            None => self.link(&self.files.directory, DRAFT, &name, AtFlags::empty()),
        };
        match linked {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(errno) => Err(self.files.error(errno, "create", &name)),
        }
    }

    fn link<P: NixPath + ?Sized>(&self, from: &File, path: &P, name: &str, how: AtFlags) -> nix::Result<()> {
        linkat(from, path, &self.files.directory, name, how)
    }

    fn remove(&self) {
        if self.file.is_none() {
            let _ = unlinkat(&self.files.directory, DRAFT, UnlinkatFlags::NoRemoveDir);
        }
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.remove();
    }
}

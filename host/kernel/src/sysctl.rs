//! `wharf:net/sysctl`: files below /proc/sys/net. They are those of the namespace that the opening thread is in, also
//! after it has left. Some are read, and one set, by rtnetlink: see [`netlink`].

mod folders;
mod netlink;

use std::fs::File;
use std::os::unix::fs::FileExt;

use nix::errno::Errno;
use nix::fcntl::OFlag;
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{Error, Ns, Reply};

use crate::common::{SysctlAccess as Access, check_sysctl as check, same_value as same, sysctl_failed};
use crate::real::{RealKernel, place};

pub(crate) use folders::{Parameters, Procfs};

/// What is read of a file at most; the longest of the kernel's are a few KiB.
const LONGEST: usize = 64 * 1024;

/// Carries out one operation.
pub(crate) fn apply(kernel: &mut RealKernel, op: &SysctlOp) -> Result<Reply, Error> {
    match op {
        SysctlOp::Read { ns, key } => read(kernel, *ns, key).map(Reply::Text),
        SysctlOp::Write { ns, key, value } => {
            if value.contains('\0') {
                return Err(Error::invalid(format!("the value for {key} has a NUL in it")));
            }
            write(kernel, *ns, key, value).map(|()| Reply::Done)
        }
    }
}

/// The value of a parameter, without the line end.
pub(crate) fn read(kernel: &mut RealKernel, ns: Ns, key: &str) -> Result<String, Error> {
    if let Some(value) = netlink::read(kernel, ns, key) {
        return Ok(value);
    }
    let file = open_file(kernel, ns, key, OFlag::O_RDONLY)?;
    let file = file.map_err(|errno| failed(errno, Access::Read, ns, key))?;
    Setting { file, key: key.to_owned(), ns }.read()
}

/// Changes a parameter that may have that value already.
pub(crate) fn write(kernel: &mut RealKernel, ns: Ns, key: &str, value: &str) -> Result<(), Error> {
    if netlink::write(kernel, ns, key, value) {
        return Ok(());
    }
    let setting = |file| Setting { file, key: key.to_owned(), ns };
    let errno = match open_file(kernel, ns, key, OFlag::O_RDWR)? {
        Ok(file) => {
            let setting = setting(file);
            // One that cannot be read, as a secret that is not set yet, is written.
            let there = setting.read().is_ok_and(|current| same(&current, value));
            return if there { Ok(()) } else { setting.write(value) };
        }
        Err(errno @ (Errno::EACCES | Errno::EROFS)) => errno,
        Err(errno) => return Err(failed(errno, Access::Write, ns, key)),
    };
    // A trigger, as ipv4/route/flush, can only be written; a state can only be read, and may be what is asked for.
    if let Ok(file) = open_file(kernel, ns, key, OFlag::O_WRONLY)? {
        return setting(file).write(value);
    }
    let refused = |errno| failed(errno, Access::Write, ns, key);
    let file = open_file(kernel, ns, key, OFlag::O_RDONLY)?.map_err(refused)?;
    if same(&setting(file).read()?, value) { Ok(()) } else { Err(refused(errno)) }
}

/// One open parameter.
#[derive(Debug)]
struct Setting {
    file: File,
    key: String,
    ns: Ns,
}

impl Setting {
    /// Its value without the line end.
    fn read(&self) -> Result<String, Error> {
        let mut bytes = vec![0; 256];
        let mut length = 0;
        loop {
            let room = bytes.get_mut(length..).unwrap_or_default();
            match self.file.read_at(room, length as u64) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(error) if error.raw_os_error() == Some(libc::EISDIR) => {
                    return Err(failed(Errno::EISDIR, Access::Read, self.ns, &self.key));
                }
                Err(error) => return Err(Error::from_io(&error, self.what("reading"))),
            }
            if length == bytes.len() {
                if length >= LONGEST {
                    break;
                }
                bytes.resize(length * 4, 0);
            }
        }
        bytes.truncate(length);
        Ok(String::from_utf8_lossy(&bytes).trim_end_matches('\n').to_owned())
    }

    /// Writes at the beginning, in one call: the kernel takes each write for a value.
    fn write(&self, value: &str) -> Result<(), Error> {
        match self.file.write_at(value.as_bytes(), 0) {
            Ok(length) if length == value.len() => Ok(()),
            Ok(_) => Err(Error::invalid(format!(
                "{}: the kernel took a part of the value only",
                self.what("writing")
            ))),
            Err(error) => Err(Error::from_io(&error, self.what(&format!("writing {value:?} to")))),
        }
    }

    fn what(&self, doing: &str) -> String {
        format!("{doing} the sysctl net/{} in {}", self.key, place(self.ns))
    }
}

fn open_file(kernel: &RealKernel, ns: Ns, key: &str, flags: OFlag) -> Result<Result<File, Errno>, Error> {
    let netns = kernel.netns(ns)?;
    check(key)?;
    let flags = flags | OFlag::O_CLOEXEC | OFlag::O_NOFOLLOW;
    let opened = netns.enter(|| netns.parameters.open(&kernel.procfs, key, flags));
    opened.map_err(|error| Error::internal(format!("entering {}: {error}", place(ns))))
}

fn failed(errno: Errno, asked: Access, ns: Ns, key: &str) -> Error {
    sysctl_failed(errno as i32, asked, ns, key)
}

#[cfg(test)]
mod tests;

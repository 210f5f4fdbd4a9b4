//! Who relies on which bridge of the host while nothing in the kernel tells: a lock per bridge, flock(2), which ends with
//! its holder.
//!
//! An ADD shares a bridge from before it finds or makes it until it ends: its container's link is a port of it only later.
//! One that fails does so until the links that it made are gone.
//! Who undoes something of a bridge has it alone, and looks for ports then. The files stay: one that is removed could be
//! locked by one process while another locks a new one of its name.

use std::fs::{DirBuilder, File};
use std::io::{self, ErrorKind as IoKind};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{Flock, FlockArg, OFlag};
use wharf_kernel::common::check_name;
use wharf_ops::{Error, ErrorKind};

use crate::Paths;
use crate::flock::{self, Patience, Refusal};

/// The locks of a host.
#[derive(Clone, Debug)]
pub(crate) struct Bridges {
    directory: PathBuf,
}

/// A bridge that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldBridge {
    name: String,
    _lock: Flock<File>,
}

impl HeldBridge {
    /// Which.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl Bridges {
    /// The locks below a root.
    pub(crate) fn of(paths: &Paths) -> Self {
        Self { directory: paths.bridges() }
    }

    /// Together with others that rely on it.
    pub(crate) fn share(&self, name: &str, patience: &Patience<'_>) -> Result<HeldBridge, Error> {
        self.hold(name, FlockArg::LockSharedNonblock, patience)
    }

    /// Alone. Whoever shares it must have let go.
    pub(crate) fn claim(&self, name: &str, patience: &Patience<'_>) -> Result<HeldBridge, Error> {
        self.hold(name, FlockArg::LockExclusiveNonblock, patience)
    }

    fn hold(&self, name: &str, how: FlockArg, patience: &Patience<'_>) -> Result<HeldBridge, Error> {
        check_name(name)?;
        let path = self.directory.join(name);
        let file = self
            .open(&path)
            .map_err(|error| Error::from_io(&error, format_args!("cannot open {}", path.display())))?;
        let lock = flock::take(file, how, patience).map_err(|refusal| refused(&refusal, name, &path))?;
        Ok(HeldBridge { name: name.to_owned(), _lock: lock })
    }

    fn open(&self, path: &Path) -> io::Result<File> {
        // NOFOLLOW and NONBLOCK: what is no file of ours must neither be locked elsewhere nor be waited for.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let open =
            || File::options().append(true).create(true).mode(0o600).custom_flags(flags.bits()).open(path);
        match open() {
            Err(error) if error.kind() == IoKind::NotFound => {
                DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
                open()
            }
            opened => opened,
        }
    }
}

fn refused(refusal: &Refusal, name: &str, path: &Path) -> Error {
    match refusal {
        Refusal::Busy => {
            let path = path.display();
            let message =
                format!("other calls still work with the bridge {name}; see which with `fuser {path}`");
            Error::new(ErrorKind::Busy, message)
        }
        Refusal::Interrupted(signal) => {
            let message = format!("ended by {signal} while waiting for other calls on the bridge {name}");
            Error::new(ErrorKind::Busy, message)
        }
        Refusal::Failed(errno) => {
            Error::from_errno(*errno as i32, format!("cannot lock {}: {}", path.display(), errno.desc()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_who_share_a_bridge_keep_it_from_whoever_wants_it_alone() {
        let root = tempfile::tempdir().unwrap();
        let bridges = Bridges::of(&Paths::below(root.path()));
        let shares = [(); 2].map(|()| bridges.share("cni0", &Patience::NONE).unwrap());
        bridges.claim("cni1", &Patience::NONE).unwrap();
        let error = bridges.claim("cni0", &Patience::NONE).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Busy);
        assert!(error.message.contains("cni0"), "{error}");
        drop(shares);
        let alone = bridges.claim("cni0", &Patience::NONE).unwrap();
        assert_eq!(bridges.share("cni0", &Patience::NONE).unwrap_err().kind, ErrorKind::Busy);
        drop(alone);
        bridges.share("cni0", &Patience::NONE).unwrap();
    }

    #[test]
    fn only_what_can_name_a_link_names_a_lock() {
        let root = tempfile::tempdir().unwrap();
        let bridges = Bridges::of(&Paths::below(root.path()));
        for name in ["", ".", "..", "a/b", "../cni0"] {
            assert_eq!(bridges.share(name, &Patience::NONE).unwrap_err().kind, ErrorKind::Invalid, "{name}");
        }
        bridges.share("cni1", &Patience::NONE).unwrap();
        std::os::unix::fs::symlink("elsewhere", bridges.directory.join("cni0")).unwrap();
        assert!(bridges.share("cni0", &Patience::NONE).is_err(), "a link would lock something else");
    }
}

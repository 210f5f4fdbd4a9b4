//! Where files of parameters are opened.
//!
//! The folders `ipv4` and `ipv6` of all namespaces stand in one chain of the kernel's cache of paths, for as long as the
//! namespaces live. On a node with hundreds of containers a walk from the root of /proc goes past all of them, and
//! leaves one more behind. A procfs that is mounted nowhere has a cache of its own; making one and giving it back costs
//! as much as a walk past a few dozen. It can be written to also where the one at /proc/sys is mounted read-only.

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, OFlag, openat};
use nix::sys::stat::Mode;
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen};

const FOLDER: OFlag = OFlag::O_PATH.union(OFlag::O_DIRECTORY).union(OFlag::O_CLOEXEC);

/// The procfs that a kernel opens parameters in.
#[derive(Debug, Default)]
pub(crate) struct Procfs {
    of_its_own: bool,
    root: OnceLock<OwnedFd>,
}

impl Procfs {
    /// Folders that are opened from now on are opened below one of its own.
    pub(crate) fn keep_apart(&mut self) {
        *self = Self { of_its_own: true, root: OnceLock::new() };
    }

    fn root(&self) -> Result<BorrowedFd<'_>, Errno> {
        once(&self.root, || {
            let shared = || openat(AT_FDCWD, "/proc", FOLDER, Mode::empty());
            // A user namespace or a security module may keep us from one; then everybody's is as good.
            if self.of_its_own { own().or_else(|_| shared()) } else { shared() }
        })
    }
}

/// A procfs that is mounted nowhere, with a cache of paths of its own (Linux 5.8).
fn own() -> Result<OwnedFd, Errno> {
    let made = || {
        let context = fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC)?;
        fsconfig_create(&context)?;
        let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID
            | MountAttrFlags::MOUNT_ATTR_NODEV
            | MountAttrFlags::MOUNT_ATTR_NOEXEC;
        fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
    };
    made().map_err(|errno: rustix::io::Errno| Errno::from_raw(errno.raw_os_error()))
}

/// The folders of one namespace's parameters, each walked to once.
#[derive(Debug, Default)]
pub(crate) struct Parameters {
    ipv4: OnceLock<OwnedFd>,
    ipv6: OnceLock<OwnedFd>,
}

impl Parameters {
    /// Opens a parameter. The calling thread must be inside the namespace.
    pub(super) fn open(&self, procfs: &Procfs, key: &str, flags: OFlag) -> Result<File, Errno> {
        let below = |path: &str, flags| {
            openat(procfs.root()?, format!("sys/net/{path}").as_str(), flags, Mode::empty())
        };
        let (family, folder, rest) = match key.split_once('/') {
            Some(("ipv4", rest)) => ("ipv4", &self.ipv4, rest),
            Some(("ipv6", rest)) => ("ipv6", &self.ipv6, rest),
            _ => return below(key, flags).map(File::from),
        };
        let folder = once(folder, || below(family, FOLDER))?;
        openat(folder, rest, flags, Mode::empty()).map(File::from)
    }
}

/// What is in the cell; it is filled first if it is empty.
fn once(
    cell: &OnceLock<OwnedFd>,
    open: impl FnOnce() -> Result<OwnedFd, Errno>,
) -> Result<BorrowedFd<'_>, Errno> {
    if cell.get().is_none() {
        // Another thread's is as good.
        drop(cell.set(open()?));
    }
    cell.get().map(AsFd::as_fd).ok_or(Errno::EBADF)
}

#[cfg(test)]
mod tests {
    use std::os::linux::fs::MetadataExt as _;
    use std::{fs, thread};

    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    use wharf_ops::Ns;

    use super::*;
    use crate::Kernel as _;
    use crate::testing::Rig;

    fn device(procfs: &Procfs) -> u64 {
        File::from(procfs.root().unwrap().try_clone_to_owned().unwrap()).metadata().unwrap().st_dev()
    }

    #[test]
    fn a_procfs_of_its_own_has_the_parameters_of_each_namespace() {
        let mut rig = Rig::new();
        let shared = fs::metadata("/proc").unwrap().st_dev();
        assert_eq!(device(&rig.kernel.procfs), shared);
        rig.kernel.among_many();
        assert_ne!(device(&rig.kernel.procfs), shared);
        for (key, mine, theirs) in [
            ("ipv4/tcp_sack", "0", "1"),
            ("ipv6/conf/all/accept_ra", "0", "2"),
            ("core/somaxconn", "99", "98"),
        ] {
            for (ns, value) in [(Ns::Container, mine), (Ns::Host, theirs)] {
                super::super::write(&mut rig.kernel, ns, key, value).unwrap();
            }
            for (ns, value) in [(Ns::Container, mine), (Ns::Host, theirs)] {
                assert_eq!(rig.run(ns, &format!("sysctl -n net/{key}")).trim(), value, "{key} in {ns:?}");
                assert_eq!(super::super::read(&mut rig.kernel, ns, key).unwrap(), value, "{key} in {ns:?}");
            }
        }
    }

    #[test]
    fn who_may_not_mount_one_uses_that_of_all() {
        let may_not = thread::spawn(|| {
            let mut sets = capabilities(None).unwrap();
            sets.effective.remove(CapabilitySet::SYS_ADMIN);
            set_capabilities(None, sets).unwrap();
            assert_eq!(own().unwrap_err(), Errno::EPERM);
            let mut procfs = Procfs::default();
            procfs.keep_apart();
            let key = "ipv4/ip_forward";
            Parameters::default().open(&procfs, key, OFlag::O_RDONLY | OFlag::O_CLOEXEC).unwrap();
            device(&procfs)
        });
        assert_eq!(may_not.join().unwrap(), fs::metadata("/proc").unwrap().st_dev());
    }
}

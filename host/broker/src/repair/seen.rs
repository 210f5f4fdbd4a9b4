//! Whether a recorded namespace is still there. Not seeing one proves nothing: the path may be of another pid or mount
//! namespace, or closed to this process. What is running is then told by the links of the host.

use std::path::Path;

use wharf_kernel::{Machine, Netns, NetnsError};
use wharf_ops::{Link, Ns};

use crate::journal::{NetnsId, Record, Step, Transaction};

/// Where a path leads by number, which is another process's in another pid namespace, or later.
const BY_NUMBER: &str = "/proc";

/// What is at the path of a recorded namespace.
#[derive(Debug)]
pub(crate) enum Seen {
    /// The one that was recorded.
    Here(Netns),
    /// Another one: the recorded one has lost its name.
    Replaced,
    /// Nothing that could be it. It is gone, or cannot be seen from here.
    Missing(String),
    /// Something that this process may not open.
    Closed(String),
}

impl Seen {
    /// The namespace, if it is there.
    pub(crate) fn here(self) -> Option<Netns> {
        match self {
            Self::Here(netns) => Some(netns),
            Self::Replaced | Self::Missing(_) | Self::Closed(_) => None,
        }
    }

    /// Why nobody can tell, if that is so.
    pub(crate) fn hidden(&self) -> Option<&str> {
        match self {
            Self::Missing(reason) | Self::Closed(reason) => Some(reason),
            Self::Here(_) | Self::Replaced => None,
        }
    }
}

/// Looks at the path.
pub(crate) fn look(machine: &dyn Machine, recorded: &NetnsId) -> Seen {
    let path = Path::new(&recorded.path);
    match machine.open(path) {
        Ok(found) if recorded.is(&found) => Seen::Here(found),
        Ok(_) if path.starts_with(BY_NUMBER) => {
            Seen::Missing(format!("{} is another process's here", recorded.path))
        }
        Ok(_) => Seen::Replaced,
        Err(error @ (NetnsError::NotFound(_) | NetnsError::NotANamespace { .. })) => {
            Seen::Missing(error.to_string())
        }
        Err(error @ NetnsError::Io { .. }) => Seen::Closed(error.to_string()),
    }
}

/// The host's ends of the links into the container: they go when its namespace goes, and no sooner unless somebody
/// deletes them.
pub(crate) fn host_ends(record: &Record) -> impl Iterator<Item = &Link> {
    let committed = record.committed().filter(|transaction| !transaction.of_earlier_boot());
    let steps = committed.flat_map(Transaction::operations).map(|(step, _)| step);
    let pairs = steps.map(Step::created).filter(|pair| pair.iter().any(|end| end.ns == Ns::Container));
    pairs.flatten().filter(|end| end.ns == Ns::Host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(host: Netns, container: Option<Netns>) -> Box<dyn wharf_kernel::Kernel> {
        Box::new(wharf_kernel::RealKernel::new(host, container))
    }

    fn seen(path: &Path, identity: (u64, u64)) -> Seen {
        let (path, (device, inode)) = (path.display().to_string(), identity);
        let recorded = NetnsId { path, device, inode, cookie: None };
        look(&kernel, &recorded)
    }

    #[test]
    fn only_another_namespace_under_a_name_proves_a_loss() {
        let own = Netns::own().unwrap();
        let by_number = Path::new("/proc/self/ns/net");
        let (device, inode) = own.identity();
        assert!(matches!(seen(by_number, (device, inode)), Seen::Here(_)));
        // In another pid namespace, or when its number is used again.
        assert!(matches!(seen(by_number, (device, inode + 1)), Seen::Missing(_)));
        assert!(matches!(seen(Path::new("/proc/0/ns/net"), (device, inode)), Seen::Missing(_)));
        // Where it is mounted on the host, but not here.
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("cni-1");
        let Seen::Missing(reason) = seen(&file, (device, inode)) else { panic!("it is not there") };
        assert!(reason.contains("cni-1"), "{reason}");
        std::fs::write(&file, "").unwrap();
        assert!(matches!(seen(&file, (device, inode)), Seen::Missing(_)));
    }
}

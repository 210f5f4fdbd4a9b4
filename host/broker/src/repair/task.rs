//! One thing to be put back.

use std::net::IpAddr;

use wharf_ops::links::LinkOp;
use wharf_ops::{KernelOp, Link, Ns};

use crate::journal::Shared;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    /// An operation on the kernel.
    Kernel {
        /// The operation that it undoes.
        of: &'static str,
        op: KernelOp,
        /// A bridge that keeps it from being done once others joined.
        unless_joined: Option<Shared>,
        /// The links that the ADD created.
        own: Vec<Link>,
    },
    /// A link is deleted.
    Link {
        /// The operation that created it.
        of: &'static str,
        /// The end that is deleted, then the other one.
        ends: Vec<Link>,
    },
    /// Addresses are given back.
    Lease {
        /// The configuration's dataDir.
        directory: Option<String>,
        wanted: Wanted,
    },
    /// A native plugin's DEL.
    Native { plugin: String, config: String },
}

/// Which addresses of the attachment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// This one.
    One(IpAddr),
    /// All but those that it had before.
    AllBut(Vec<IpAddr>),
}

impl Task {
    /// The links of one creation, the one to delete first: the host's end of a veth is there when the container's
    /// namespace is not.
    pub(crate) fn link(of: &'static str, links: &[Link]) -> Self {
        let mut ends = links.to_vec();
        ends.sort_by_key(|link| link.ns != Ns::Host);
        Self::Link { of, ends }
    }

    /// Whether it is about the kernel, where "not found" means that it is gone.
    pub(crate) fn is_of_the_kernel(&self) -> bool {
        matches!(self, Self::Kernel { .. } | Self::Link { .. })
    }

    pub(crate) fn delete(link: &Link) -> KernelOp {
        KernelOp::Link(LinkOp::Delete { link: link.clone() })
    }
}

impl std::fmt::Display for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Kernel { of, .. } => write!(f, "undo of {of}"),
            Self::Link { of, ends } => match ends.first() {
                Some(link) => write!(f, "undo of {of}: {:?}", link.name),
                None => write!(f, "undo of {of}"),
            },
            Self::Lease { .. } => f.write_str("undo of leases/reserve"),
            Self::Native { plugin, .. } => write!(f, "undo of delegate/add: DEL of {plugin:?}"),
        }
    }
}

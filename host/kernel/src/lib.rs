//! The kernel as Wharf sees it: one trait, [`Kernel`], and its real implementation, [`RealKernel`].
//!
//! Nothing here knows of CNI JSON, grants or guests. An operation arrives as a value, is carried out natively
//! (netlink, /proc/sys, setns), and answers as a value.

mod addresses;
mod bridge_ports;
pub mod common;
mod conntrack;
mod events;
mod filter;
pub mod flavour;
mod iptables;
mod links;
mod machine;
mod nat;
mod neighbours;
mod netlink;
pub mod netns;
mod nftables;
mod real;
pub mod reference;
mod routes;
mod shaping;
mod sysctl;
#[cfg(test)]
mod testing;

pub use events::FirewallEvents;
pub use machine::Machine;
pub use netns::{Netns, NetnsError};
pub use real::RealKernel;

use wharf_ops::{Attachment, Error, KernelOp, Reply};

/// Whether an owner that [`Kernel::owners`] answered is `owner`: one whose names are too long for the kernel comes
/// back with a hash in the place of its container.
pub fn is_same_owner(found: &Attachment, owner: &Attachment) -> bool {
    nftables::owner::same(found, owner)
}

/// Carries out operations, on the real kernel or on a model of it.
pub trait Kernel {
    /// Does one thing. `owner` is whose firewall state it is; the links and addresses in `op` say everything else.
    fn apply(&mut self, owner: &Attachment, op: &KernelOp) -> Result<Reply, Error>;

    /// The attachments of `network` that own firewall state.
    fn owners(&mut self, network: &str) -> Result<Vec<Attachment>, Error>;

    /// Removes all firewall state of `owner`, whichever backend made it. Absent is success.
    fn sweep(&mut self, owner: &Attachment) -> Result<(), Error>;

    /// Whether questions about rules go on without tables of iptables-legacy that cannot be read: for who asks about rules
    /// that cannot be in there. Changes do not, and neither do questions unless this is said.
    fn pass_over_legacy(&mut self, _pass_over: bool) {}

    /// Bounds every wait of the operations that follow.
    fn set_deadline(&mut self, deadline: Option<std::time::Instant>);
}

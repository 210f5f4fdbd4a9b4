//! The kernel as Wharf sees it: one trait, [`Kernel`], and its real implementation, [`RealKernel`].
//!
//! Nothing here knows of CNI JSON, grants or guests. An operation arrives as a value, is carried out natively
//! (netlink, /proc/sys, setns), and answers as a value.
//!
//! Without the feature `real` there is only what a model of the kernel needs, which builds in a fraction of the time: the
//! trait, and what every kernel does in the same way ([`common`]).

#![cfg_attr(
    not(feature = "real"),
    allow(
        dead_code,
        unused_imports,
        reason = "a model needs only a part of what the real kernel has in common with it"
    )
)]

#[cfg(feature = "real")]
mod addresses;
#[cfg(feature = "real")]
mod bridge_ports;
pub mod common;
#[cfg(feature = "real")]
mod conntrack;
#[cfg(feature = "real")]
mod events;
#[cfg(feature = "real")]
mod filter;
#[cfg(feature = "real")]
pub mod flavour;
#[cfg(feature = "real")]
mod iptables;
#[cfg(feature = "real")]
mod links;
#[cfg(feature = "real")]
mod machine;
#[cfg(feature = "real")]
mod nat;
#[cfg(feature = "real")]
mod neighbours;
#[cfg(feature = "real")]
mod netlink;
#[cfg(feature = "real")]
pub mod netns;
#[cfg(feature = "real")]
mod nftables;
#[cfg(feature = "real")]
pub mod programs;
#[cfg(feature = "real")]
mod real;
#[cfg(feature = "real")]
pub mod reference;
#[cfg(feature = "real")]
mod routes;
#[cfg(feature = "real")]
mod shaping;
#[cfg(feature = "real")]
mod sysctl;
#[cfg(feature = "real")]
#[cfg(test)]
mod testing;

#[cfg(feature = "real")]
pub use events::FirewallEvents;
#[cfg(feature = "real")]
pub use machine::Machine;
#[cfg(feature = "real")]
pub use netns::{Netns, NetnsError};
#[cfg(feature = "real")]
pub use real::RealKernel;

use wharf_ops::{Attachment, Error, KernelOp, Reply};

/// Whether an owner that [`Kernel::owners`] answered is `owner`: one whose names are too long for the kernel comes
/// back with a hash in the place of its container.
pub fn is_same_owner(found: &Attachment, owner: &Attachment) -> bool {
    common::nftables::owner::same(found, owner)
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

    /// From now on, chains of iptables-nft are read again only when somebody changed a rule: for who asks about many
    /// attachments, to which one chain leads.
    fn remember_rules(&mut self) {}

    /// From now on, parameters below /proc/sys/net are opened in a way that takes the same time however many containers
    /// there are, and longer than the usual one where there are few.
    fn among_many(&mut self) {}

    /// Bounds every wait of the operations that follow.
    fn set_deadline(&mut self, deadline: Option<std::time::Instant>);
}

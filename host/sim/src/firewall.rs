//! What an attachment has in the firewall, as intent: in tables of Wharf's own, in those of iptables, or in both.

mod iptables;
mod own;
mod ways;

use std::collections::BTreeSet;

use wharf_kernel::common;
use wharf_ops::Attachment;

pub(crate) use iptables::{Iptables, Rules};
pub(crate) use own::{Forwards, Own, kept};
pub(crate) use ways::{Port, Ways};

use crate::world::Namespace;

/// All of it, of one namespace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Firewall {
    /// In the order in which they came.
    pub(crate) own: Vec<Own>,
    /// Who is asked first for a port, a source, a destination that was forwarded, and a bridge port.
    pub(crate) ports: Ways<Port>,
    pub(crate) sources: Ways<std::net::IpAddr>,
    pub(crate) replies: Ways<std::net::IpAddr>,
    pub(crate) guarded: Ways<String>,
    /// Whether flows are remembered: from the first rule on.
    pub(crate) tracks: bool,
    /// Whether packets to 127.0.0.0/8 from elsewhere are dropped.
    pub(crate) guards_loopback: bool,
    pub(crate) iptables: Vec<Iptables>,
    /// Chains of iptables' nat table that somebody else made.
    pub(crate) chains: BTreeSet<String>,
}

/// The attachments of `network` that own firewall state.
pub(crate) fn owners(space: &Namespace, network: &str) -> Vec<Attachment> {
    let own = space.firewall.own.iter().filter_map(|own| common::told_owner(&own.owner, false));
    let iptables = space.firewall.iptables.iter().map(|chain| chain.owner.clone());
    let mut all: Vec<Attachment> =
        own.chain(iptables).filter(|owner| common::is_in_network(owner, network)).collect();
    for owner in &mut all {
        network.clone_into(&mut owner.network);
    }
    all.sort_unstable();
    all.dedup();
    all
}

/// Removes all firewall state of `owner`.
pub(crate) fn sweep(space: &mut Namespace, owner: &Attachment) {
    let firewall = &mut space.firewall;
    firewall.change(owner, |own| *own = Own::of(&own.owner));
    firewall.remove_iptables(owner, true);
    firewall.remove_iptables(owner, false);
}

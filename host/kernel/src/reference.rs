//! What the reference plugins left behind: found by the names and comments that they give, and removed by them.
//!
//! Most of it is not stamped with the interface, and portmap's nftables rules and the guards of macspoofchk not even with
//! the network. What cannot be told to be of the network that is asked about is answered as such and never removed.

use wharf_ops::leases::Lease;
use wharf_ops::{Attachment, Error};

use crate::real::RealKernel;
use crate::{iptables, nftables};

/// What is known of a network, to tell its leftovers by.
#[derive(Clone, Copy, Debug)]
pub struct Known<'a> {
    /// The network's name.
    pub network: &'a str,
    /// Container and interface of what is in use.
    pub valid: &'a [(String, String)],
    /// Addresses that are leased on the network, and who has them.
    pub leases: &'a [Lease],
}

impl Known<'_> {
    /// Whether any interface of the container is in use.
    pub(crate) fn is_valid(&self, container: &str) -> bool {
        self.valid.iter().any(|(valid, _)| valid == container)
    }

    /// The attachment of a container, as far as the reference tells them apart.
    pub(crate) fn of(&self, container: &str) -> Attachment {
        Attachment {
            network: self.network.to_owned(),
            container: container.to_owned(),
            ifname: String::new(),
        }
    }
}

/// Rules of a reference plugin, of a container that is not in use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leftover {
    /// The container, as its comment names it: `...` at the end where the reference cut it.
    pub container: String,
    /// What it is and where, in the words of `iptables` and `nft`.
    pub what: String,
    /// Whether it is of the network that was asked about.
    pub certain: bool,
    pub(crate) place: Place,
}

/// What it is removed by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// A chain of iptables' nat table, with the ways to it from `entry`.
    Chain { legacy: bool, v4: bool, chain: String, entry: &'static str },
    /// A rule of a table that a reference plugin made.
    Rule { family: u8, table: &'static str, chain: String, handle: u64 },
    /// A guard of macspoofchk, by what its chains are named after.
    Guard { id: String },
}

impl RealKernel {
    /// What the reference plugins have in this host's namespace for containers that are not in use.
    pub fn reference_leftovers(&mut self, known: Known<'_>) -> Result<Vec<Leftover>, Error> {
        let mut found = nftables::reference_leftovers(self.netfilter()?, known)?;
        found.extend(nftables::reference_guards(self.netfilter()?, known)?);
        found.extend(iptables::reference_leftovers(self, known)?);
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// Removes one of them. Absent is success.
    pub fn remove_reference_leftover(&mut self, network: &str, leftover: &Leftover) -> Result<(), Error> {
        match &leftover.place {
            Place::Chain { legacy, v4, chain, entry } => {
                let known = Known { network, valid: &[], leases: &[] };
                iptables::remove_reference_chain(
                    self,
                    &known.of(&leftover.container),
                    (*legacy, *v4),
                    chain,
                    entry,
                )
            }
            Place::Rule { family, table, chain, handle } => {
                nftables::remove_reference_rule(self.netfilter()?, (*family, table), chain, *handle)
            }
            Place::Guard { id } => nftables::remove_reference_guard(self.netfilter()?, id),
        }
    }
}

/// The name that the reference gives to the ifb of a container on a network.
pub fn reference_ifb(network: &str, container: &str) -> String {
    iptables::reference_ifb(network, container)
}

#[cfg(test)]
mod tests;

//! A pool of leases in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use wharf_ops::leases::{Lease, LeaseOp, LeaseOwner};
use wharf_ops::{Error, Reply};
use wharf_sdk::addr::successor;

/// Who has which address, and where round robin goes on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Pool {
    taken: BTreeMap<IpAddr, Held>,
    cursors: BTreeMap<u32, IpAddr>,
    /// What this call asked for in vain: asked again, leases of an earlier boot count for nothing.
    vain: BTreeSet<(IpAddr, IpAddr, Option<IpAddr>)>,
}

#[derive(Clone, Debug)]
struct Held {
    owner: LeaseOwner,
    /// The machine has started anew since.
    old: bool,
}

impl Pool {
    /// A call opens it.
    pub(crate) fn open(&mut self) {
        self.vain.clear();
    }

    /// The machine starts anew.
    pub(crate) fn age(&mut self) {
        self.taken.values_mut().for_each(|held| held.old = true);
    }

    /// Every lease, those of an earlier boot if they count.
    pub(crate) fn leases(&self, old: bool) -> Vec<Lease> {
        let counted = self.taken.iter().filter(|(_, held)| old || !held.old);
        counted.map(|(address, held)| Lease { address: *address, owner: held.owner.clone() }).collect()
    }

    pub(crate) fn release(&mut self, owner: &LeaseOwner) -> u32 {
        let before = self.taken.len();
        self.taken.retain(|_, held| held.owner != *owner);
        u32::try_from(before - self.taken.len()).unwrap_or(u32::MAX)
    }

    /// Carries out an operation on an open pool. A GC sees leases of an earlier boot, too.
    pub(crate) fn apply(&mut self, op: &LeaseOp, gc: bool) -> Result<Reply, Error> {
        Ok(match op {
            LeaseOp::TryReserve { address, owner, .. } => Reply::Flag(self.reserve(*address, owner, true)),
            LeaseOp::ReserveNext { first, last, after, skip, owner, .. } => {
                Reply::MaybeAddress(self.reserve_next((*first, *last, *after), skip, owner))
            }
            LeaseOp::Release { owner, .. } => Reply::Count(Some(self.release(owner))),
            LeaseOp::Find { owner, .. } => {
                let own = self.taken.iter().filter(|(_, held)| held.owner == *owner && !held.old);
                Reply::Hosts(own.map(|(address, _)| *address).collect())
            }
            LeaseOp::GetAll { .. } => Reply::Leases(self.leases(gc)),
            LeaseOp::LastReserved { set, .. } => Reply::MaybeAddress(self.cursors.get(set).copied()),
            LeaseOp::SetLastReserved { set, address, .. } => {
                self.cursors.insert(*set, *address);
                Reply::Done
            }
            LeaseOp::Open { .. } | LeaseOp::Close { .. } | LeaseOp::ReadResolvConf { .. } => {
                return Err(Error::internal("this lease operation has no pool"));
            }
        })
    }

    fn reserve(&mut self, address: IpAddr, owner: &LeaseOwner, over_old: bool) -> bool {
        if self.taken.get(&address).is_some_and(|held| !(held.old && over_old)) {
            return false;
        }
        self.taken.insert(address, Held { owner: owner.clone(), old: false });
        true
    }

    fn reserve_next(
        &mut self,
        range: (IpAddr, IpAddr, Option<IpAddr>),
        skip: &[IpAddr],
        owner: &LeaseOwner,
    ) -> Option<IpAddr> {
        let (first, last, after) = range;
        let again = self.vain.contains(&range);
        let mut next = after.map_or(Some(first), successor);
        while let Some(address) = next.filter(|address| *address <= last) {
            if !skip.contains(&address) && self.reserve(address, owner, again) {
                self.vain.clear();
                return Some(address);
            }
            next = successor(address);
        }
        self.vain.insert(range);
        None
    }
}

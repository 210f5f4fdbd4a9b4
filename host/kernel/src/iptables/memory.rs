//! Rules of chains of iptables' nft flavour, remembered until nf_tables has other rules: who asks about every attachment of a node would
//! read the chains that lead to all of them once for each.

use std::collections::HashMap;
use std::sync::Arc;

use wharf_ops::Error;

use crate::netlink::Socket;
use crate::nftables::query::generation;

use super::tables::Found;

/// The chains of both families that were read.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// Of the rules that the chains are from.
    generation: Option<u32>,
    chains: HashMap<(bool, String), Arc<[Found]>>,
}

impl Memory {
    /// Nothing is remembered: what was planned by it did not fit.
    pub(super) fn forget(&mut self) {
        self.generation = None;
    }

    /// The rules of a chain: those that were read before, unless somebody has changed something since.
    pub(super) fn found(
        &mut self,
        socket: &mut Socket,
        v4: bool,
        chain: &str,
        read: impl FnOnce(&mut Socket) -> Result<Arc<[Found]>, Error>,
    ) -> Result<Arc<[Found]>, Error> {
        // Asked first: what is read now is of this generation or of a later one, but for the instant of a commit, in which
        // the kernel has the new number and still answers the old rules.
        let now = Some(generation(socket)?);
        if self.generation != now {
            self.chains.clear();
            self.generation = now;
        }
        let key = (v4, chain.to_owned());
        if let Some(found) = self.chains.get(&key) {
            return Ok(Arc::clone(found));
        }
        let found = read(socket)?;
        self.chains.insert(key, Arc::clone(&found));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use wharf_ops::nat::{Backend, MasqueradeRule, NatOp};
    use wharf_ops::{Attachment, KernelOp, Ns};

    use super::*;
    use crate::Kernel as _;
    use crate::iptables::names;
    use crate::testing::Rig;

    #[test]
    fn a_chain_is_read_again_when_somebody_has_changed_a_rule() {
        let mut rig = Rig::new();
        let mut memory = Memory::default();
        let mut reads = Vec::new();
        let mut ask = |rig: &mut Rig, chain: &str| {
            let socket = rig.kernel.netfilter().unwrap();
            let read = |_: &mut Socket| {
                reads.push(chain.to_owned());
                Ok(Arc::from([]))
            };
            memory.found(socket, true, chain, read).unwrap();
        };
        for _ in 0..2 {
            ask(&mut rig, "POSTROUTING");
            ask(&mut rig, "CNI-HOSTPORT-DNAT");
        }
        rig.run(Ns::Host, "nft add table inet somebody");
        ask(&mut rig, "POSTROUTING");
        assert_eq!(reads, ["POSTROUTING", "CNI-HOSTPORT-DNAT", "POSTROUTING"]);
    }

    #[test]
    fn who_asks_about_many_reads_what_leads_to_all_of_them_once() {
        let mut rig = Rig::new();
        let owner = |container: &str| Attachment { container: container.into(), ..Rig::owner() };
        let masquerade = |rig: &mut Rig, container: &str, source: &str| {
            let rules = vec![MasqueradeRule { source: source.parse().unwrap(), except: Vec::new() }];
            let op = KernelOp::Nat(NatOp::Masquerade { rules, backend: Backend::Iptables });
            rig.kernel.apply(&owner(container), &op).unwrap();
        };
        let sources = |rig: &mut Rig, container: &str| {
            let op = KernelOp::Nat(NatOp::GetMasquerades);
            let found = rig.kernel.apply(&owner(container), &op).unwrap().masquerades().unwrap();
            found.iter().map(|one| one.source.to_string()).collect::<Vec<_>>()
        };
        let remembered = |rig: &Rig| {
            let key = (true, names::POSTROUTING.to_owned());
            Arc::clone(&rig.kernel.memory.as_ref().unwrap().chains[&key])
        };
        masquerade(&mut rig, "one", "10.0.0.2");
        masquerade(&mut rig, "two", "10.0.0.3");
        rig.kernel.remember_rules();
        assert_eq!(sources(&mut rig, "one"), ["10.0.0.2"]);
        let first = remembered(&rig);
        assert_eq!(sources(&mut rig, "two"), ["10.0.0.3"]);
        assert!(Arc::ptr_eq(&first, &remembered(&rig)));
        masquerade(&mut rig, "three", "10.0.0.4");
        assert_eq!(sources(&mut rig, "three"), ["10.0.0.4"]);
        assert!(!Arc::ptr_eq(&first, &remembered(&rig)));
    }
}

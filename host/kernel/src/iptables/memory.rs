//! Rules of iptables' chains, remembered until nf_tables has other rules: who asks about every attachment of a node would
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
    /// The rules of a chain: those that were read before, unless somebody has changed something since.
    pub(super) fn found(
        &mut self,
        socket: &mut Socket,
        v4: bool,
        chain: &str,
        read: impl FnOnce(&mut Socket) -> Result<Arc<[Found]>, Error>,
    ) -> Result<Arc<[Found]>, Error> {
        // Asked first: what is read now is of this generation or of a later one.
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
    use wharf_ops::Ns;

    use super::*;
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
}

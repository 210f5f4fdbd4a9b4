//! What Debian's build of the reference needs for a DEL.

use std::path::PathBuf;

use sha2::{Digest as _, Sha512};

use crate::{Node, sh};

/// The reference's bridge deletes rules of iptables whether there are any or not. Debian's build of it takes the answer of
/// iptables 1.8.9 for a chain that never was as a failure and stops half way (upstream's build goes on). With an empty
/// chain of that name it does all its work, which is what is to be compared.
pub(crate) struct Chain {
    node: PathBuf,
    name: String,
}

impl Chain {
    /// Makes it; it goes when this is dropped, if it is empty and nothing leads to it.
    pub(crate) fn beside(node: &Node, network: &str, id: &str) -> Self {
        let hash = Sha512::digest(format!("{network}{id}"));
        let hex = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let chain = Self { node: node.path().to_owned(), name: format!("CNI-{hex}") };
        chain.change("-N");
        chain
    }

    fn change(&self, verb: &str) {
        for program in ["iptables", "ip6tables"] {
            let (node, chain) = (self.node.display(), &self.name);
            // Whether it can be made or taken away is what it depends on.
            sh::output(&mut sh::words(&format!("nsenter --net={node} {program} -w -t nat {verb} {chain}")));
        }
    }
}

impl Drop for Chain {
    fn drop(&mut self) {
        self.change("-X");
    }
}

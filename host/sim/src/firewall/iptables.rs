//! What attachments have in iptables' nat table: chains of a container on a network, with rules of each interface.

use wharf_kernel::common;
use wharf_ops::nat::MasqueradeRule;
use wharf_ops::{Attachment, IpNetwork};

use super::{Firewall, Forwards};

/// The rules of one attachment and family in one chain.
#[derive(Clone, Debug)]
pub(crate) struct Iptables {
    pub(crate) chain: String,
    /// As the rules tell it.
    pub(crate) owner: Attachment,
    pub(crate) v4: bool,
    pub(crate) rules: Rules,
}

/// What the chain is for.
#[derive(Clone, Debug)]
pub(crate) enum Rules {
    Masquerades(Vec<MasqueradeRule>),
    Forwards(Forwards),
}

impl Firewall {
    /// Puts rules of one family in place of what the attachment has; none removes them.
    pub(crate) fn put_iptables(
        &mut self,
        owner: &Attachment,
        v4: bool,
        rules: Option<Rules>,
        masquerades: bool,
    ) {
        let (masquerade, forward) = common::iptables_chains(owner);
        let chain = if masquerades { masquerade } else { forward };
        self.iptables
            .retain(|there| !(there.v4 == v4 && there.chain == chain && common_owner(&there.owner, owner)));
        if let (Some(rules), Some(owner)) = (rules, common::told_owner(owner, true)) {
            self.iptables.push(Iptables { chain, owner, v4, rules });
        }
    }

    /// Takes away what the attachment has of one kind, in both families.
    pub(crate) fn remove_iptables(&mut self, owner: &Attachment, masquerades: bool) {
        for v4 in [true, false] {
            self.put_iptables(owner, v4, None, masquerades);
        }
    }

    /// What the attachment masquerades.
    pub(crate) fn iptables_masquerades(&self, owner: &Attachment, v4: bool) -> Vec<MasqueradeRule> {
        let (chain, _) = common::iptables_chains(owner);
        let mut all = self.iptables.iter().filter(|there| there.v4 == v4 && there.chain == chain);
        match all.find(|there| common_owner(&there.owner, owner)) {
            Some(Iptables { rules: Rules::Masquerades(rules), .. }) => told(rules),
            _ => Vec::new(),
        }
    }

    /// What the attachment forwards, if anything leads to its chain: another interface of the container may have a way.
    pub(crate) fn iptables_forwards(&self, owner: &Attachment, v4: bool) -> Option<&Forwards> {
        let (_, chain) = common::iptables_chains(owner);
        let mut all = self.iptables.iter().filter(|there| there.v4 == v4 && there.chain == chain);
        let forwards =
            |there: &'_ Iptables| matches!(&there.rules, Rules::Forwards(rules) if rules.is_reached(v4));
        if !all.clone().any(forwards) {
            return None;
        }
        match &all.find(|there| common_owner(&there.owner, owner))?.rules {
            Rules::Forwards(forwards) => Some(forwards),
            Rules::Masquerades(_) => None,
        }
    }
}

fn common_owner(found: &Attachment, owner: &Attachment) -> bool {
    wharf_kernel::is_same_owner(found, owner)
}

/// Masquerades as they are read back: by source, so that two rules for one source share their exceptions.
fn told(rules: &[MasqueradeRule]) -> Vec<MasqueradeRule> {
    let except = |source| -> Vec<IpNetwork> {
        let all = rules.iter().filter(|rule| rule.source == source).flat_map(|rule| &rule.except);
        // iptables does not say "any".
        all.filter(|network| network.prefix() != 0).copied().collect()
    };
    rules.iter().map(|rule| MasqueradeRule { source: rule.source, except: except(rule.source) }).collect()
}

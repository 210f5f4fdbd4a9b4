//! What attachments have in Wharf's own tables.

use wharf_kernel::common::{self, Conditions};
use wharf_ops::nat::{ForwardOptions, MasqueradeRule, PortForward};
use wharf_ops::{Attachment, IpNetwork, Mac};

use super::{Firewall, Port};

/// The chains of one attachment.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) owner: Attachment,
    pub(crate) key: String,
    pub(crate) masquerades: Vec<MasqueradeRule>,
    pub(crate) forwards: Option<Forwards>,
    /// Bridge ports and the only source of their frames.
    pub(crate) guards: Vec<(String, Mac)>,
}

/// Forwards, and how they are rendered.
#[derive(Clone, Debug)]
pub(crate) struct Forwards {
    pub(crate) rules: Vec<PortForward>,
    pub(crate) options: ForwardOptions,
    /// For IPv4 and for IPv6.
    pub(crate) conditions: (Conditions, Conditions),
}

impl Forwards {
    /// Those of a packet's family.
    pub(crate) fn conditions(&self, v4: bool) -> &Conditions {
        if v4 { &self.conditions.0 } else { &self.conditions.1 }
    }

    /// Whether the conditions leave a way to some rule.
    pub(crate) fn is_reached(&self, v4: bool) -> bool {
        self.rules.iter().any(|rule| self.conditions(v4).admit(common::protocol_number(rule.protocol)))
    }
}

impl Own {
    /// An attachment that has nothing.
    pub(crate) fn of(owner: &Attachment) -> Self {
        Self {
            owner: owner.clone(),
            key: common::owner_key(owner),
            masquerades: Vec::new(),
            forwards: None,
            guards: Vec::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.masquerades.is_empty() && self.forwards.is_none() && self.guards.is_empty()
    }
}

/// As the rules keep it: networks without host bits, of the source's family.
pub(crate) fn kept(rule: &MasqueradeRule) -> MasqueradeRule {
    let own = rule.except.iter().filter(|network| network.is_ipv4() == rule.source.is_ipv4());
    let except = own.filter_map(|network| IpNetwork::new(network.network(), network.prefix()).ok());
    MasqueradeRule { source: rule.source, except: except.collect() }
}

impl Firewall {
    /// What an attachment has.
    pub(crate) fn of(&self, owner: &Attachment) -> Option<&Own> {
        self.by_key(&common::owner_key(owner))
    }

    /// The attachment with that key.
    pub(crate) fn by_key(&self, key: &str) -> Option<&Own> {
        self.own.iter().find(|own| own.key == key)
    }

    /// Changes what an attachment has, and the ways to it.
    pub(crate) fn change(&mut self, owner: &Attachment, change: impl FnOnce(&mut Own)) {
        let key = common::owner_key(owner);
        if self.by_key(&key).is_none() {
            self.own.push(Own::of(owner));
        }
        let Some(own) = self.own.iter_mut().find(|own| own.key == key) else { return };
        let had: Vec<String> = own.guards.iter().map(|(name, _)| name.clone()).collect();
        change(own);
        let rules = || own.forwards.iter().flat_map(|forwards| &forwards.rules);
        let rewrites = own
            .forwards
            .as_ref()
            .is_some_and(|forwards| forwards.options.snat || forwards.options.masquerade_all);
        let replies = rules().filter(|_| rewrites).map(|rule| rule.container_address);
        self.ports.put(&key, rules().map(Port::of));
        self.replies.put(&key, replies);
        self.sources.put(&key, own.masquerades.iter().map(|rule| rule.source));
        // Only one link can have a name, and whoever had it before is gone.
        let names: Vec<String> = own.guards.iter().map(|(name, _)| name.clone()).collect();
        self.guarded.put_over(&key, &had, &names);
        self.own.retain(|own| !own.is_empty());
    }
}

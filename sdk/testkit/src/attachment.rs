//! What the host remembers of an attachment: who made it with which result, and what goes with its DEL.

use wharf_ops::filter::FilterOp;
use wharf_ops::links::LinkOp;
use wharf_ops::nat::NatOp;
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::RouteOp;
use wharf_ops::shaping::ShapingOp;
use wharf_ops::{KernelOp, Link, Ns, Reply};
use wharf_sdk::NetworkResult;

use crate::machine::PoolKey;

/// One attachment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Record {
    /// The plugins whose ADD succeeded, in order, each with its result.
    chain: Vec<(&'static str, NetworkResult)>,
    /// The plugin whose ADD is under way.
    current: &'static str,
    /// What goes with a DEL, with the plugin that made it.
    owned: Vec<(&'static str, Owned)>,
}

/// What one attachment has for itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Owned {
    /// A link, by its ends.
    Link(Vec<Link>),
    /// Something that this takes away.
    Kernel(KernelOp),
    /// Leases in a pool.
    Leases(PoolKey),
}

impl Record {
    /// An ADD begins. Answers what the plugins before it made.
    pub(crate) fn begin(&mut self, plugin: &'static str) -> Option<NetworkResult> {
        self.current = plugin;
        let before = self.chain.iter().position(|(name, _)| *name == plugin).unwrap_or(self.chain.len());
        before.checked_sub(1).and_then(|last| self.chain.get(last)).map(|(_, result)| result.clone())
    }

    /// An ADD succeeded.
    pub(crate) fn commit(&mut self, plugin: &'static str, result: NetworkResult) {
        let before = self.chain.iter().position(|(name, _)| *name == plugin).unwrap_or(self.chain.len());
        self.chain.truncate(before);
        self.chain.push((plugin, result));
    }

    /// The last plugin's result.
    pub(crate) fn result(&self) -> Option<&NetworkResult> {
        self.chain.last().map(|(_, result)| result)
    }

    /// Takes out what a plugin's DEL leaves behind: rules first, links last.
    pub(crate) fn end(&mut self, plugin: &str) -> Vec<Owned> {
        self.chain.retain(|(name, _)| *name != plugin);
        let of_plugin = self.owned.extract_if(.., |(name, _)| *name == plugin);
        let mut owned: Vec<Owned> = of_plugin.map(|(_, owned)| owned).collect();
        owned.reverse();
        owned.sort_by_key(|owned| match owned {
            Owned::Kernel(KernelOp::Nat(_) | KernelOp::Filter(_)) => 0,
            Owned::Kernel(_) => 1,
            Owned::Link(_) => 2,
            Owned::Leases(_) => 3,
        });
        owned
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_over(&self) -> bool {
        self.chain.is_empty() && self.owned.is_empty()
    }

    /// Whether an ADD of this attachment made the link.
    pub(crate) fn made(&self, link: &Link) -> bool {
        let is = |end: &Link| (end.ns, end.index) == (link.ns, link.index);
        self.owned.iter().any(|(_, owned)| matches!(owned, Owned::Link(ends) if ends.iter().any(is)))
    }

    /// Notes what an ADD did. Shared things are nobody's: bridges, links between two ends in the host, sysctls.
    pub(crate) fn note(&mut self, op: &KernelOp, reply: &Reply) {
        let owned = match (op, reply) {
            (KernelOp::Link(LinkOp::CreateVeth { .. }), Reply::Pair(a, b))
                if a.ns == Ns::Container || b.ns == Ns::Container =>
            {
                Owned::Link(vec![a.clone(), b.clone()])
            }
            (KernelOp::Link(LinkOp::CreateIfb { .. }), Reply::Link(link)) => Owned::Link(vec![link.clone()]),
            (KernelOp::Route(RouteOp::Add { ns: Ns::Host, route }), _) => {
                Owned::Kernel(KernelOp::Route(RouteOp::Remove { ns: Ns::Host, route: route.clone() }))
            }
            (KernelOp::Neighbour(NeighbourOp::Set { on, address, .. }), _) if on.ns == Ns::Host => {
                let op = NeighbourOp::Remove { on: on.clone(), address: *address };
                Owned::Kernel(KernelOp::Neighbour(op))
            }
            (
                KernelOp::Shaping(ShapingOp::SetEgress { on, .. } | ShapingOp::RedirectIngress { on, .. }),
                _,
            ) if on.ns == Ns::Host => Owned::Kernel(KernelOp::Shaping(ShapingOp::Clear { on: on.clone() })),
            (KernelOp::Nat(NatOp::Masquerade { .. }), _) => {
                Owned::Kernel(KernelOp::Nat(NatOp::RemoveMasquerades))
            }
            (KernelOp::Nat(NatOp::ForwardPorts { .. }), _) => {
                Owned::Kernel(KernelOp::Nat(NatOp::RemoveForwards))
            }
            (KernelOp::Filter(FilterOp::AntiSpoof { .. }), _) => {
                Owned::Kernel(KernelOp::Filter(FilterOp::RemoveAntiSpoof))
            }
            _ => return,
        };
        self.own(owned);
    }

    /// Notes that an ADD took leases.
    pub(crate) fn note_leases(&mut self, pool: PoolKey) {
        self.own(Owned::Leases(pool));
    }

    fn own(&mut self, owned: Owned) {
        let entry = (self.current, owned);
        if !self.owned.contains(&entry) {
            self.owned.push(entry);
        }
    }
}

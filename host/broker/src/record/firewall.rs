//! The firewall state that a record says: what a flush takes away, and what brings it back.

use wharf_kernel::Kernel;
use wharf_ops::filter::FilterOp;
use wharf_ops::nat::{Backend, NatOp};
use wharf_ops::{Attachment, Error, KernelOp};

use super::Difference;
use super::actual::Actual;
use super::compare::holds;
use super::expected::Expected;
use crate::Paths;
use crate::journal::{Record, Transaction};

/// The operations that make the recorded state, each replacing what the attachment has of its kind; of anti-spoofing,
/// one per link.
pub(crate) fn operations(record: &Record) -> Vec<KernelOp> {
    let (mut masquerade, mut forwards) = (None, None);
    let mut guards: Vec<(&str, &KernelOp)> = Vec::new();
    let committed = record.committed().filter(|transaction| !transaction.of_earlier_boot());
    for (_, op) in committed.flat_map(Transaction::operations) {
        match op {
            KernelOp::Nat(nat) => match nat {
                NatOp::Masquerade { .. } => masquerade = Some(op),
                NatOp::RemoveMasquerades => masquerade = None,
                NatOp::ForwardPorts { .. } => forwards = Some(op),
                NatOp::RemoveForwards => forwards = None,
                NatOp::Detect | NatOp::GetMasquerades | NatOp::GetForwards => {}
            },
            KernelOp::Filter(filter) => match filter {
                FilterOp::AntiSpoof { link, .. } => {
                    guards.retain(|(name, _)| name != link);
                    guards.push((link, op));
                }
                FilterOp::RemoveAntiSpoof => guards.clear(),
                FilterOp::GetAntiSpoof { .. } => {}
            },
            KernelOp::Link(_)
            | KernelOp::BridgePort(_)
            | KernelOp::Address(_)
            | KernelOp::Route(_)
            | KernelOp::Neighbour(_)
            | KernelOp::Sysctl(_)
            | KernelOp::Conntrack(_)
            | KernelOp::Shaping(_) => {}
        }
    }
    let guards = guards.into_iter().map(|(_, op)| op);
    masquerade.into_iter().chain(forwards).chain(guards).cloned().collect()
}

/// Whether iptables renders it.
pub(crate) fn is_iptables(op: &KernelOp) -> bool {
    match op {
        KernelOp::Nat(NatOp::Masquerade { backend, .. }) => *backend == Backend::Iptables,
        KernelOp::Nat(NatOp::ForwardPorts { options, .. }) => {
            // Left open, what only iptables can do decides.
            options.backend == Backend::Iptables
                || options.external_mark_chain.is_some()
                || (options.backend == Backend::Automatic
                    && [&options.conditions_v4, &options.conditions_v6].iter().any(|words| !words.is_empty()))
        }
        _ => false,
    }
}

/// Whether the later one replaces all that the earlier one made.
pub(crate) fn same_kind(one: &KernelOp, other: &KernelOp) -> bool {
    match (one, other) {
        (
            KernelOp::Filter(FilterOp::AntiSpoof { link, .. }),
            KernelOp::Filter(FilterOp::AntiSpoof { link: other, .. }),
        ) => link == other,
        (one, other) => one.operation() == other.operation(),
    }
}

/// What the host lacks of the rules that an operation made, in words.
pub(crate) fn missing(
    kernel: &mut dyn Kernel,
    owner: &Attachment,
    paths: &Paths,
    op: &KernelOp,
) -> Result<Vec<String>, Error> {
    let mut actual = Actual::new(kernel, owner, paths);
    let mut missing = Vec::new();
    for statement in Expected::of_rules(op).statements {
        let found = actual.read(&statement.key)?;
        if !holds(&statement.value, &found) {
            missing.push(Difference { statement, found }.to_string());
        }
    }
    Ok(missing)
}

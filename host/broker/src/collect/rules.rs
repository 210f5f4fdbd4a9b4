//! Firewall rules: Wharf's by their owner stamps, the reference plugins' by their names and comments.

use wharf_kernel::reference::Known;
use wharf_kernel::{Kernel, RealKernel, is_same_owner};
use wharf_ops::Attachment;
use wharf_ops::leases::Lease;

use super::{Collection, Item, Kind, Outcome, Report};

/// What Wharf made, of these owners.
pub(super) fn own(
    wanted: &Collection,
    owners: Vec<Attachment>,
    kernel: &mut RealKernel,
    report: &mut Report,
) {
    for owner in stale(owners, &wanted.network, &wanted.valid) {
        let outcome = wanted.carry_out(|| kernel.sweep(&owner));
        report.items.push(Item {
            kind: Kind::Rules,
            what: format!("rules of {}/{}/{}", owner.network, owner.container, owner.ifname),
            container: owner.container,
            ifname: owner.ifname,
            reference: false,
            outcome,
        });
    }
}

/// Those of the owners that are none of the valid attachments.
pub(crate) fn stale(owners: Vec<Attachment>, network: &str, valid: &[(String, String)]) -> Vec<Attachment> {
    let valid: Vec<Attachment> = valid
        .iter()
        .map(|(container, ifname)| Attachment {
            network: network.to_owned(),
            container: container.clone(),
            ifname: ifname.clone(),
        })
        .collect();
    let stays = |owner: &Attachment| valid.iter().any(|valid| is_same_owner(owner, valid));
    owners.into_iter().filter(|owner| !stays(owner)).collect()
}

/// What the reference plugins made.
pub(super) fn of_reference(
    wanted: &Collection,
    kernel: &mut RealKernel,
    leased: &[Lease],
    report: &mut Report,
) {
    let known = Known { network: &wanted.network, valid: &wanted.valid, leases: leased };
    let Some(found) = report.note("reference plugins' rules", kernel.reference_leftovers(known)) else {
        return;
    };
    for leftover in found {
        let outcome = if leftover.certain {
            wanted.carry_out(|| kernel.remove_reference_leftover(&wanted.network, &leftover))
        } else {
            Outcome::Unsure
        };
        report.items.push(Item {
            kind: Kind::Rules,
            what: leftover.what,
            container: leftover.container,
            ifname: String::new(),
            reference: true,
            outcome,
        });
    }
}

//! `filter`: only an attachment's own hardware address leaves its bridge port.

use wharf_kernel::common::check_port_name;
use wharf_ops::filter::FilterOp;
use wharf_ops::{Attachment, Error, Ns, Reply};

use crate::call::Call;

/// Carries out one operation.
pub(crate) fn apply(call: &mut Call<'_>, owner: &Attachment, op: &FilterOp) -> Result<Reply, Error> {
    if let FilterOp::AntiSpoof { link, .. } | FilterOp::GetAntiSpoof { link } = op {
        check_port_name(link)?;
    }
    let space = call.space(Ns::Host)?;
    let Some(space) = call.world.space_mut(space) else { return Ok(Reply::Done) };
    match op {
        FilterOp::AntiSpoof { link, allowed } => {
            space.firewall.change(owner, |own| {
                own.guards.retain(|(name, _)| name != link);
                own.guards.push((link.clone(), *allowed));
            });
            Ok(Reply::Done)
        }
        FilterOp::GetAntiSpoof { link } => {
            // Another attachment may have taken the name over.
            let own =
                space.firewall.of(owner).filter(|own| space.firewall.guarded.first(link) == Some(&own.key));
            let found = own.and_then(|own| own.guards.iter().find(|(name, _)| name == link));
            Ok(Reply::MaybeMac(found.map(|(_, allowed)| *allowed)))
        }
        FilterOp::RemoveAntiSpoof => {
            space.firewall.change(owner, |own| own.guards.clear());
            Ok(Reply::Done)
        }
    }
}

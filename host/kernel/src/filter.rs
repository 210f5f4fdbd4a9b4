//! `filter`: only an attachment's own hardware address leaves its bridge port.

use wharf_ops::filter::FilterOp;
use wharf_ops::{Attachment, Error, Reply};

use crate::common::check_port_name;
use crate::nftables::{self, taken_over};
use crate::real::RealKernel;

pub(crate) fn apply(kernel: &mut RealKernel, owner: &Attachment, op: &FilterOp) -> Result<Reply, Error> {
    if let FilterOp::AntiSpoof { link, .. } | FilterOp::GetAntiSpoof { link } = op {
        check_port_name(link)?;
    }
    let socket = kernel.netfilter()?;
    match op {
        FilterOp::AntiSpoof { link, allowed } => {
            nftables::guard(socket, owner, link, *allowed).map(|()| Reply::Done)
        }
        FilterOp::GetAntiSpoof { link } => {
            let own = nftables::get_guard(socket, owner, link)?;
            let found = if own.is_some() { own } else { taken_over::guard(socket, owner, link)? };
            Ok(Reply::MaybeMac(found))
        }
        FilterOp::RemoveAntiSpoof => {
            let own = nftables::remove_guards(socket, owner);
            own.and(taken_over::remove_guards(socket, owner)).map(|()| Reply::Done)
        }
    }
}

#[cfg(test)]
mod tests;

//! `filter`: only an attachment's own hardware address leaves its bridge port.

use wharf_ops::filter::FilterOp;
use wharf_ops::{Attachment, Error, Reply};

use crate::nftables;
use crate::real::RealKernel;

pub(crate) fn apply(kernel: &mut RealKernel, owner: &Attachment, op: &FilterOp) -> Result<Reply, Error> {
    let socket = kernel.netfilter()?;
    match op {
        FilterOp::AntiSpoof { link, allowed } => {
            nftables::guard(socket, owner, link, *allowed).map(|()| Reply::Done)
        }
        FilterOp::GetAntiSpoof { link } => nftables::get_guard(socket, owner, link).map(Reply::MaybeMac),
        FilterOp::RemoveAntiSpoof => nftables::remove_guards(socket, owner).map(|()| Reply::Done),
    }
}

#[cfg(test)]
mod tests;

//! `filter`: only an attachment's own hardware address leaves its bridge port.

use wharf_ops::filter::FilterOp;
use wharf_ops::{Attachment, Error, Reply};

use crate::nftables::{self, taken_over};
use crate::real::RealKernel;

pub(crate) fn apply(kernel: &mut RealKernel, owner: &Attachment, op: &FilterOp) -> Result<Reply, Error> {
    if let FilterOp::AntiSpoof { link, .. } | FilterOp::GetAntiSpoof { link } = op {
        check_name(link)?;
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

/// As the kernel's own dev_valid_name: what it would not call a link need not be guarded.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let odd =
        |byte: u8| byte == b'/' || byte == b':' || byte == 0 || byte.is_ascii_whitespace() || byte == 0x0b;
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || [".", ".."].contains(&name) || name.bytes().any(odd)
    {
        return Err(Error::invalid(format!(
            "{name:?} cannot be the name of a bridge port: give 1 to 15 bytes without '/', ':' and white space"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests;

//! What a DEL puts off to take it down at once: links, and the qdiscs of links that might go with them.
//!
//! Each deleted link, and each qdisc taken from a link that is up, costs a wait of the kernel; deleted together, links
//! wait once, and the qdiscs go with their link.

use wharf_kernel::Kernel;
use wharf_ops::links::LinkOp;
use wharf_ops::shaping::ShapingOp;
use wharf_ops::{Attachment, Error, KernelOp, Link, Reply};

/// What is put off.
#[derive(Debug, Default)]
pub(crate) struct Teardown {
    links: Vec<Link>,
    qdiscs: Vec<Link>,
}

impl Teardown {
    /// Whether the operation is put off. It counts as done.
    pub(crate) fn takes(&mut self, op: &KernelOp) -> bool {
        let (list, link) = match op {
            KernelOp::Link(LinkOp::Delete { link }) => (&mut self.links, link),
            KernelOp::Shaping(ShapingOp::Clear { on }) => (&mut self.qdiscs, on),
            _ => return false,
        };
        if !list.contains(link) {
            list.push(link.clone());
        }
        true
    }

    /// Does it. What was deleted has no qdiscs left to be cleared.
    pub(crate) fn flush(&mut self, kernel: &mut dyn Kernel, owner: &Attachment) -> Result<(), Error> {
        let links = std::mem::take(&mut self.links);
        let deleted = if links.is_empty() {
            Ok(Reply::Done)
        } else {
            let together = KernelOp::Link(LinkOp::DeleteMany { links: links.clone() });
            kernel.apply(owner, &together).or_else(|_| {
                // One that cannot be deleted must not keep the others.
                let one = |link| kernel.apply(owner, &KernelOp::Link(LinkOp::Delete { link }));
                links.into_iter().map(one).fold(Ok(Reply::Done), Result::and)
            })
        };
        let mut result = deleted.map(drop);
        for on in std::mem::take(&mut self.qdiscs) {
            let there = kernel.apply(owner, &KernelOp::Link(LinkOp::Info { link: on.clone() }));
            if there.is_ok_and(|reply| reply.info().is_ok_and(|info| info.name == on.name)) {
                let cleared = kernel.apply(owner, &KernelOp::Shaping(ShapingOp::Clear { on }));
                result = result.and(cleared.map(drop));
            }
        }
        result
    }
}

//! What a DEL puts off to take it down at once: links, and the qdiscs of links that might go with them.
//!
//! Each deleted link, and each qdisc taken from a link that is up, costs a wait of the kernel; deleted together, links
//! wait once, and the qdiscs go with their link.

use wharf_kernel::Kernel;
use wharf_ops::links::LinkOp;
use wharf_ops::shaping::ShapingOp;
use wharf_ops::{Attachment, Error, ErrorKind, KernelOp, Link, Reply};

use crate::repair::Owned;

/// A DEL while it runs: what is put off, and what the record still owns.
#[derive(Debug, Default)]
pub(crate) struct Removal {
    /// Put off.
    pub(crate) teardown: Teardown,
    /// Left to be swept.
    pub(crate) owned: Owned,
    /// Native plugins whose DEL succeeded.
    pub(crate) natives_done: Vec<String>,
}

impl Removal {
    /// Does what was put off.
    pub(crate) fn flush(&mut self, kernel: &mut dyn Kernel, owner: &Attachment) -> Result<(), Error> {
        self.teardown.flush(kernel, owner, &mut self.owned)
    }
}

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

    /// Does it, and crosses off what is done. What was deleted has no qdiscs left to be cleared.
    fn flush(&mut self, kernel: &mut dyn Kernel, of: &Attachment, owned: &mut Owned) -> Result<(), Error> {
        let links = std::mem::take(&mut self.links);
        let mut result = Ok(());
        if !links.is_empty() {
            let together = KernelOp::Link(LinkOp::DeleteMany { links: links.clone() });
            if kernel.apply(of, &together).is_ok() {
                for link in &links {
                    owned.link_gone(link);
                }
            } else {
                // One that cannot be deleted must not keep the others.
                for link in links {
                    let one = kernel.apply(of, &KernelOp::Link(LinkOp::Delete { link: link.clone() }));
                    match one {
                        Ok(_) => owned.link_gone(&link),
                        Err(error) => result = result.and(Err(error)),
                    }
                }
            }
        }
        for on in std::mem::take(&mut self.qdiscs) {
            let there = kernel.apply(of, &KernelOp::Link(LinkOp::Info { link: on.clone() }));
            let clear = KernelOp::Shaping(ShapingOp::Clear { on: on.clone() });
            let cleared = match there.and_then(Reply::info) {
                Ok(info) if info.name == on.name => kernel.apply(of, &clear),
                // It is gone, and another has its index.
                Ok(_) => Ok(Reply::Done),
                Err(error) if error.kind == ErrorKind::NotFound => Ok(Reply::Done),
                Err(error) => Err(error),
            };
            match cleared {
                Ok(_) => owned.kernel_done(&clear),
                Err(error) => result = result.and(Err(error)),
            }
        }
        result
    }
}

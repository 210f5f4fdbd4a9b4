//! Which links of the host a call may change: its own, and bridges, which are shared. As the real host has it.

use wharf_ops::filter::FilterOp;
use wharf_ops::links::LinkOp;
use wharf_ops::{Act, Attachment, Error, ErrorKind, KernelOp, Link, Ns};
use wharf_sim::{Kernel as _, SimKernel};

use crate::attachment::Record;
use crate::host::Verb;

/// Whose links may be changed.
pub(crate) struct Reach<'a> {
    pub(crate) attachment: &'a Attachment,
    pub(crate) container: bool,
    pub(crate) verb: &'a Verb,
    pub(crate) record: &'a Record,
}

impl Reach<'_> {
    /// Refuses an operation that changes a link of the host that is not the attachment's.
    pub(crate) fn check(&self, kernel: &mut SimKernel, op: &KernelOp) -> Result<(), Error> {
        if let KernelOp::Filter(FilterOp::AntiSpoof { link, .. }) = op {
            let get = KernelOp::Link(LinkOp::Get { ns: Ns::Host, name: link.clone() });
            let found = kernel.apply(self.attachment, &get)?.maybe_link()?;
            let reason = || Error::not_found(format!("the host has no link {link:?} to be guarded"));
            return self.cover(kernel, &found.ok_or_else(reason)?, Act::Delete, "guarded");
        }
        for (link, act) in op.changed_links() {
            if link.ns == Ns::Host {
                let done = if act == Act::Delete { "deleted" } else { "changed" };
                self.cover(kernel, link, act, done)?;
            }
        }
        Ok(())
    }

    fn cover(&self, kernel: &mut SimKernel, link: &Link, act: Act, done: &str) -> Result<(), Error> {
        if self.record.made(link) {
            return Ok(());
        }
        let info = KernelOp::Link(LinkOp::Info { link: link.clone() });
        let info = match kernel.apply(self.attachment, &info) {
            Ok(reply) => reply.info()?,
            // What the kernel says of a link that is gone is the answer.
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        let covered = match info.kind.as_str() {
            "bridge" => act == Act::Change,
            "veth" if self.container => {
                let peer = LinkOp::Peer { of: link.clone(), ns: Ns::Container };
                kernel.apply(self.attachment, &KernelOp::Link(peer))?.maybe_link()?.is_some()
            }
            "ifb" => self.names(info.alias.as_deref().unwrap_or_default()),
            _ => false,
        };
        if covered {
            return Ok(());
        }
        let Link { name, index, .. } = link;
        let reason = format!(
            "the host's link {name:?} (index {index}) was not made for this attachment, and may not be {done}"
        );
        Err(Error::new(ErrorKind::Denied, reason))
    }

    /// Whether an ifb says that it is the attachment's. In a GC, that it is nobody's who is valid.
    fn names(&self, alias: &str) -> bool {
        let Attachment { network, container, ifname } = self.attachment;
        match self.verb {
            Verb::Gc(valid) => {
                alias.starts_with(&format!("wharf:{network}/"))
                    && !valid.iter().any(|owner| alias == named(network, &owner.container, &owner.ifname))
            }
            Verb::Add | Verb::Del | Verb::Check | Verb::Status => alias == named(network, container, ifname),
        }
    }
}

fn named(network: &str, container: &str, ifname: &str) -> String {
    format!("wharf:{network}/{container}/{ifname}")
}

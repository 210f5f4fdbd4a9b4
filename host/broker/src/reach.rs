//! Which links of the host a call may change, whatever its grant allows: its own, and bridges, which are shared.
//!
//! A link is the attachment's own if this ADD made it, if the attachment's record says that an earlier one did, if it is
//! a veth whose other end is in the call's container, or if it is an ifb that names the attachment. In its container a
//! guest may do what is granted.

use wharf_kernel::{Kernel, reference};
use wharf_ops::filter::FilterOp;
use wharf_ops::links::{Info, LinkOp};
use wharf_ops::{Act, Attachment, Error, ErrorKind, KernelOp, Link, Ns};

use crate::collect::names_attachment;
use crate::pipeline::{Course, Handles};

/// Whose links may be changed.
pub(crate) struct Reach<'a> {
    pub(crate) attachment: &'a Attachment,
    /// Of a GC: container and interface of what stays.
    pub(crate) valid: Option<&'a [(String, String)]>,
    pub(crate) container_present: bool,
}

impl Reach<'_> {
    /// Refuses an operation that changes a link of the host that is not the attachment's.
    pub(crate) fn check(
        &self,
        kernel: &mut dyn Kernel,
        handles: &Handles,
        course: &Course,
        op: &KernelOp,
    ) -> Result<(), Error> {
        if let KernelOp::Filter(FilterOp::AntiSpoof { link, .. }) = op {
            self.check_guarded(kernel, handles, course, link)?;
        }
        for (link, act) in op.changed_links() {
            if link.ns == Ns::Host && !self.covers(kernel, handles, course, link, act)? {
                return Err(refusal(link, if act == Act::Delete { "deleted" } else { "changed" }));
            }
        }
        Ok(())
    }

    /// The guard of a port is set by name, and takes over what was set for an earlier link of that name: so the port has
    /// to be there, and the attachment's.
    fn check_guarded(
        &self,
        kernel: &mut dyn Kernel,
        handles: &Handles,
        course: &Course,
        name: &str,
    ) -> Result<(), Error> {
        if let Course::Add(running) = course
            && running.owns_name(Ns::Host, name)
        {
            return Ok(());
        }
        let get = LinkOp::Get { ns: Ns::Host, name: name.to_owned() };
        let link = kernel.apply(self.attachment, &KernelOp::Link(get))?.maybe_link()?;
        let link =
            link.ok_or_else(|| Error::not_found(format!("the host has no link {name:?} to be guarded")))?;
        if self.covers(kernel, handles, course, &link, Act::Delete)? {
            return Ok(());
        }
        Err(refusal(&link, "guarded"))
    }

    fn covers(
        &self,
        kernel: &mut dyn Kernel,
        handles: &Handles,
        course: &Course,
        link: &Link,
        act: Act,
    ) -> Result<bool, Error> {
        let recorded = match course {
            Course::Add(running) => running.owns(link) || running.made_before(link),
            Course::Del(removal) => removal.owned.has(link),
            // It changes nothing.
            Course::Look => true,
        };
        if recorded || handles.is_own(link) || (act == Act::Change && handles.is_bridge(link)) {
            return Ok(true);
        }
        let info = KernelOp::Link(LinkOp::Info { link: link.clone() });
        let info = match kernel.apply(self.attachment, &info) {
            Ok(reply) => reply.info()?,
            // What the kernel says of a link that is gone is the answer.
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(true),
            Err(error) => return Err(error),
        };
        Ok(match info.kind.as_str() {
            "bridge" => act == Act::Change,
            "veth" if self.container_present => {
                let peer = LinkOp::Peer { of: link.clone(), ns: Ns::Container };
                kernel.apply(self.attachment, &KernelOp::Link(peer))?.maybe_link()?.is_some()
            }
            "ifb" => self.names(&info),
            _ => false,
        })
    }

    /// Whether an ifb says that it is the attachment's: Wharf's by its alias, the reference's by its name. In a GC, that it
    /// is nobody's who is valid.
    fn names(&self, info: &Info) -> bool {
        let Attachment { network, container, ifname } = self.attachment;
        match (info.alias.as_deref().filter(|alias| !alias.is_empty()), self.valid) {
            (Some(alias), None) => names_attachment(alias, network, container, ifname),
            (Some(alias), Some(valid)) => {
                alias.starts_with(&crate::collect::alias_prefix(network))
                    && !valid
                        .iter()
                        .any(|(container, ifname)| names_attachment(alias, network, container, ifname))
            }
            (None, None) => info.name == reference::reference_ifb(network, container),
            (None, Some(_)) => false,
        }
    }
}

fn refusal(link: &Link, done: &str) -> Error {
    let Link { name, index, .. } = link;
    let reason = format!(
        "the host's link {name:?} (index {index}) was not made for this attachment, and may not be {done}"
    );
    Error::new(ErrorKind::Denied, reason)
}

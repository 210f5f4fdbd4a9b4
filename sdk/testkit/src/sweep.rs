//! What the host does after a guest's `del`: it takes away what the attachment's record still owns.

use wharf_ops::leases::LeaseOwner;
use wharf_ops::links::LinkOp;
use wharf_ops::{Attachment, KernelOp, Ns};
use wharf_sim::{Kernel as _, Space};

use crate::attachment::Owned;
use crate::machine::Machine;

/// Sweeps. Like the real one it goes on whatever happens: what is gone already is no failure.
pub(crate) fn sweep(machine: &Machine, attachment: &Attachment, container: Option<Space>, owned: &[Owned]) {
    let mut kernel = machine.kernel(container);
    for owned in owned {
        match owned {
            Owned::Kernel(op) => drop(kernel.apply(attachment, op)),
            // Either end takes the other along; the container's may be gone with its namespace.
            Owned::Link(ends) => {
                for link in ends.iter().filter(|end| end.ns == Ns::Host || container.is_some()) {
                    drop(kernel.apply(attachment, &KernelOp::Link(LinkOp::Delete { link: link.clone() })));
                }
            }
            Owned::Leases(pool) => {
                let Attachment { container, ifname, .. } = attachment.clone();
                if let Some(pool) = machine.leases.borrow_mut().get_mut(pool) {
                    pool.release(&LeaseOwner { container, ifname });
                }
            }
        }
    }
}

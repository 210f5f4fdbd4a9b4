//! The machine at one moment, to go back to.

use crate::kernel::locked;
use crate::sim::Sim;
use crate::world::World;

/// Everything that a machine was at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot(World);

impl Sim {
    /// Keeps what is now.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(locked(&self.world).clone())
    }

    /// Makes everything as it was then. Namespaces that came since are gone.
    pub fn restore(&self, snapshot: &Snapshot) {
        locked(&self.world).clone_from(&snapshot.0);
    }
}

#[cfg(test)]
mod tests {
    use wharf_kernel::Kernel as _;
    use wharf_ops::links::LinkOp;
    use wharf_ops::{Attachment, KernelOp, Ns};

    use crate::Sim;

    #[test]
    fn what_came_since_is_gone() {
        let sim = Sim::new(1);
        let before = sim.snapshot();
        let index = sim.add_device(sim.host(), "ens3", "");
        sim.restore(&before);
        let owner = Attachment { network: "n".into(), container: "c".into(), ifname: "eth0".into() };
        let get = KernelOp::Link(LinkOp::Get { ns: Ns::Host, name: "ens3".into() });
        let found = sim.kernel(sim.host(), None).apply(&owner, &get).unwrap().maybe_link().unwrap();
        assert_eq!(found, None);
        assert_eq!(sim.add_device(sim.host(), "ens3", ""), index, "numbers go on from there");
    }
}

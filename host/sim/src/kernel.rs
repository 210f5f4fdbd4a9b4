//! The simulated kernel as one call sees it: two namespaces, and one match over the rooms.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use wharf_kernel::Kernel;
use wharf_ops::{Attachment, Error, KernelOp, Ns, Reply};

use crate::call::Call;
use crate::history::Change;
use crate::world::{Space, World};
use crate::{
    addresses, bridge_ports, conntrack, filter, firewall, links, nat, neighbours, routes, shaping, sysctl,
};

/// Carries out operations on a simulated machine.
///
/// Nothing takes time: what would come true while somebody waits has come true already, and what is waited for in vain
/// is [`TimedOut`](wharf_ops::ErrorKind::TimedOut) at once, whatever the deadline.
#[derive(Clone, Debug)]
pub struct SimKernel {
    pub(crate) world: Arc<Mutex<World>>,
    pub(crate) host: Space,
    pub(crate) container: Option<Space>,
}

impl SimKernel {
    fn call<T>(&self, work: impl FnOnce(&mut Call<'_>) -> T) -> T {
        let mut world = locked(&self.world);
        work(&mut Call { world: &mut world, host: self.host, container: self.container })
    }
}

fn room(call: &mut Call<'_>, owner: &Attachment, op: &KernelOp) -> Result<Reply, Error> {
    match op {
        KernelOp::Link(op) => {
            let reply = links::apply(call, op)?;
            links::stamp(call, owner, &reply);
            Ok(reply)
        }
        KernelOp::BridgePort(op) => bridge_ports::apply(call, op),
        KernelOp::Address(op) => addresses::apply(call, op),
        KernelOp::Route(op) => routes::apply(call, op),
        KernelOp::Neighbour(op) => neighbours::apply(call, op),
        KernelOp::Sysctl(op) => sysctl::apply(call, op),
        KernelOp::Nat(op) => nat::apply(call, owner, op),
        KernelOp::Filter(op) => filter::apply(call, owner, op),
        KernelOp::Conntrack(op) => conntrack::apply(call, op),
        KernelOp::Shaping(op) => shaping::apply(call, op),
    }
}

/// A panic of somebody else, in the middle of an operation, leaves a state that can still be looked at.
pub(crate) fn locked(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kernel for SimKernel {
    fn apply(&mut self, owner: &Attachment, op: &KernelOp) -> Result<Reply, Error> {
        self.call(|call| {
            if !op.operation().changes {
                return room(call, owner, op);
            }
            let fault = call.world.history.next_fault();
            let answer = fault.map_or_else(|| room(call, owner, op), Err);
            let change = Change { owner: owner.clone(), op: op.clone(), answer: answer.clone() };
            call.world.history.note(change);
            answer
        })
    }

    fn owners(&mut self, network: &str) -> Result<Vec<Attachment>, Error> {
        self.call(|call| {
            let host = call.space(Ns::Host)?;
            let owners = call.world.space(host).map(|space| firewall::owners(space, network));
            Ok(owners.unwrap_or_default())
        })
    }

    fn sweep(&mut self, owner: &Attachment) -> Result<(), Error> {
        self.call(|call| {
            let host = call.space(Ns::Host)?;
            if let Some(space) = call.world.space_mut(host) {
                firewall::sweep(space, owner);
            }
            Ok(())
        })
    }

    fn set_deadline(&mut self, _deadline: Option<Instant>) {}
}

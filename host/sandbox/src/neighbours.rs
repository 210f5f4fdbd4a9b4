//! `wharf:net/neighbours`.

use wasmtime::component::Resource;
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::{KernelOp, Link, Op, Reply};

use crate::bindings::wharf::net::neighbours as wit;
use crate::convert::{address, mac, to_address, to_mac};
use crate::state::{Answer, State};

fn op(op: NeighbourOp) -> Op {
    Op::Kernel(KernelOp::Neighbour(op))
}

impl wit::Host for State {
    fn set(&mut self, on: Resource<Link>, whose: wit::Address, hardware: wit::Mac) -> Answer<()> {
        let on = self.link(&on)?;
        let operation = NeighbourOp::Set { on, address: address(whose), mac: mac(hardware) };
        self.ask(op(operation), Reply::done)
    }

    fn remove(&mut self, on: Resource<Link>, whose: wit::Address) -> Answer<()> {
        let on = self.link(&on)?;
        self.ask(op(NeighbourOp::Remove { on, address: address(whose) }), Reply::done)
    }

    fn get_all(&mut self, on: Resource<Link>) -> Answer<Vec<wit::Neighbour>> {
        let on = self.link(&on)?;
        self.ask(op(NeighbourOp::GetAll { on }), |reply| {
            Ok(reply
                .neighbours()?
                .into_iter()
                .map(|entry| wit::Neighbour {
                    address: to_address(entry.address),
                    mac: entry.mac.map(to_mac),
                    permanent: entry.permanent,
                })
                .collect())
        })
    }
}

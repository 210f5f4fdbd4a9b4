//! `wharf:net/addresses`.

use wasmtime::component::Resource;
use wharf_ops::addresses::AddressOp;
use wharf_ops::{KernelOp, Link, Op, Reply};

use crate::bindings::wharf::net::addresses as wit;
use crate::convert::{cidr, to_cidr};
use crate::state::{Answer, State, valid};

fn op(op: AddressOp) -> Op {
    Op::Kernel(KernelOp::Address(op))
}

impl wit::Host for State {
    fn add(&mut self, on: Resource<Link>, addr: wit::Cidr) -> Answer<()> {
        let on = self.link(&on)?;
        let address = valid!("addresses/add", cidr(addr));
        self.ask(op(AddressOp::Add { on, address }), Reply::done)
    }

    fn remove(&mut self, on: Resource<Link>, addr: wit::Cidr) -> Answer<()> {
        let on = self.link(&on)?;
        let address = valid!("addresses/remove", cidr(addr));
        self.ask(op(AddressOp::Remove { on, address }), Reply::done)
    }

    fn get_all(&mut self, on: Resource<Link>) -> Answer<Vec<wit::Cidr>> {
        let on = self.link(&on)?;
        self.ask(op(AddressOp::GetAll { on }), |reply| {
            Ok(reply.addresses()?.into_iter().map(to_cidr).collect())
        })
    }

    fn settle(&mut self, on: Resource<Link>) -> Answer<()> {
        let on = self.link(&on)?;
        self.ask(op(AddressOp::Settle { on }), Reply::done)
    }

    fn announce(&mut self, on: Resource<Link>) -> Answer<()> {
        let on = self.link(&on)?;
        self.ask(op(AddressOp::Announce { on }), Reply::done)
    }
}

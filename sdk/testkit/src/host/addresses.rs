//! `wharf:net/addresses`.

use wharf_ops::Reply;
use wharf_ops::addresses::AddressOp;
use wharf_sdk::native::wit::types::ip::Cidr;
use wharf_sdk::native::{Addresses, Link};

use super::{Answer, Host};
use crate::convert::{link, to_cidrs};

impl Addresses for Host {
    fn add(&self, on: &Link, address: Cidr) -> Answer<()> {
        self.ask(AddressOp::Add { on: link(on), address: address.into() }, Reply::done)
    }

    fn remove(&self, on: &Link, address: Cidr) -> Answer<()> {
        self.ask(AddressOp::Remove { on: link(on), address: address.into() }, Reply::done)
    }

    fn get_all(&self, on: &Link) -> Answer<Vec<Cidr>> {
        self.ask(AddressOp::GetAll { on: link(on) }, |reply| reply.addresses().map(to_cidrs))
    }

    fn settle(&self, on: &Link) -> Answer<()> {
        self.ask(AddressOp::Settle { on: link(on) }, Reply::done)
    }

    fn announce(&self, on: &Link) -> Answer<()> {
        self.ask(AddressOp::Announce { on: link(on) }, Reply::done)
    }
}

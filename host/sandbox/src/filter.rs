//! `wharf:firewall/filter`.

use wharf_ops::filter::FilterOp;
use wharf_ops::{KernelOp, Op, Reply};

use crate::bindings::wharf::firewall::filter as wit;
use crate::convert::{mac, to_mac};
use crate::state::{Answer, State};

fn op(op: FilterOp) -> Op {
    Op::Kernel(KernelOp::Filter(op))
}

impl wit::Host for State {
    fn anti_spoof(&mut self, link: String, allowed: wit::Mac) -> Answer<()> {
        self.ask(op(FilterOp::AntiSpoof { link, allowed: mac(allowed) }), Reply::done)
    }

    fn get_anti_spoof(&mut self, link: String) -> Answer<Option<wit::Mac>> {
        self.ask(op(FilterOp::GetAntiSpoof { link }), |reply| Ok(reply.maybe_mac()?.map(to_mac)))
    }

    fn remove_anti_spoof(&mut self) -> Answer<()> {
        self.ask(op(FilterOp::RemoveAntiSpoof), Reply::done)
    }
}

//! `wharf:tc/shaping`.

use wasmtime::component::Resource;
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::{KernelOp, Link, Op, Reply};

use crate::bindings::wharf::tc::shaping as wit;
use crate::state::{Answer, State};

fn op(op: ShapingOp) -> Op {
    Op::Kernel(KernelOp::Shaping(op))
}

impl wit::Host for State {
    fn set_egress(&mut self, on: Resource<Link>, rate: wit::Rate) -> Answer<()> {
        let on = self.link(&on)?;
        let wit::Rate { bits_per_second, burst_bits, latency_ms } = rate;
        let rate = Rate { bits_per_second, burst_bits, latency_ms };
        self.ask(op(ShapingOp::SetEgress { on, rate }), Reply::done)
    }

    fn get_egress(&mut self, on: Resource<Link>) -> Answer<Option<wit::Rate>> {
        let on = self.link(&on)?;
        self.ask(op(ShapingOp::GetEgress { on }), |reply| {
            Ok(reply.maybe_rate()?.map(|Rate { bits_per_second, burst_bits, latency_ms }| wit::Rate {
                bits_per_second,
                burst_bits,
                latency_ms,
            }))
        })
    }

    fn redirect_ingress(&mut self, on: Resource<Link>, to: Resource<Link>) -> Answer<()> {
        let (on, to) = (self.link(&on)?, self.link(&to)?);
        self.ask(op(ShapingOp::RedirectIngress { on, to }), Reply::done)
    }

    fn get_redirect(&mut self, on: Resource<Link>) -> Answer<Option<u32>> {
        let on = self.link(&on)?;
        self.ask(op(ShapingOp::GetRedirect { on }), Reply::maybe_index)
    }

    fn clear(&mut self, on: Resource<Link>) -> Answer<()> {
        let on = self.link(&on)?;
        self.ask(op(ShapingOp::Clear { on }), Reply::done)
    }
}

//! `wharf:tc/shaping`.

use wharf_ops::Reply;
use wharf_ops::shaping::{self, ShapingOp};
use wharf_sdk::native::wit::tc::shaping::Rate;
use wharf_sdk::native::{Link, Shaping};

use super::{Answer, Host};
use crate::convert::link;

impl Shaping for Host {
    fn set_egress(&self, on: &Link, rate: Rate) -> Answer<()> {
        let Rate { bits_per_second, burst_bits, latency_ms } = rate;
        let rate = shaping::Rate { bits_per_second, burst_bits, latency_ms };
        self.ask(ShapingOp::SetEgress { on: link(on), rate }, Reply::done)
    }

    fn get_egress(&self, on: &Link) -> Answer<Option<Rate>> {
        self.ask(ShapingOp::GetEgress { on: link(on) }, |reply| {
            Ok(reply.maybe_rate()?.map(|shaping::Rate { bits_per_second, burst_bits, latency_ms }| Rate {
                bits_per_second,
                burst_bits,
                latency_ms,
            }))
        })
    }

    fn redirect_ingress(&self, on: &Link, to: &Link) -> Answer<()> {
        self.ask(ShapingOp::RedirectIngress { on: link(on), to: link(to) }, Reply::done)
    }

    fn get_redirect(&self, on: &Link) -> Answer<Option<u32>> {
        self.ask(ShapingOp::GetRedirect { on: link(on) }, Reply::maybe_index)
    }

    fn clear(&self, on: &Link) -> Answer<()> {
        self.ask(ShapingOp::Clear { on: link(on) }, Reply::done)
    }
}

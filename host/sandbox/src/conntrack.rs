//! `wharf:firewall/conntrack`.

use wharf_ops::conntrack::{ConntrackOp, Family};
use wharf_ops::{KernelOp, Op, Reply};

use crate::bindings::wharf::firewall::conntrack as wit;
use crate::state::{Answer, State};

impl wit::Host for State {
    fn flush_udp(&mut self, family: wit::Family, port: u16) -> Answer<Option<u32>> {
        let family = match family {
            wit::Family::Ipv4 => Family::Ipv4,
            wit::Family::Ipv6 => Family::Ipv6,
        };
        self.ask(Op::Kernel(KernelOp::Conntrack(ConntrackOp::FlushUdp { family, port })), Reply::count)
    }
}

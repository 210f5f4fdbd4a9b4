//! `wharf:firewall/conntrack`.

use wharf_ops::Reply;
use wharf_ops::conntrack::{self, ConntrackOp};
use wharf_sdk::native::Conntrack;
use wharf_sdk::native::wit::firewall::conntrack::Family;

use super::{Answer, Host};

impl Conntrack for Host {
    fn flush_udp(&self, family: Family, port: u16) -> Answer<Option<u32>> {
        let family = match family {
            Family::Ipv4 => conntrack::Family::Ipv4,
            Family::Ipv6 => conntrack::Family::Ipv6,
        };
        self.ask(ConntrackOp::FlushUdp { family, port }, Reply::count)
    }
}

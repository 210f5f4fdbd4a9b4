//! `conntrack`: flows that the kernel remembers, with the addresses that it gave them.

use std::net::SocketAddr;

use wharf_ops::conntrack::{ConntrackOp, Family};
use wharf_ops::nat::Protocol;
use wharf_ops::{Error, Ns, Reply};

use crate::call::Call;

/// A flow: as it came, and as it went on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Of its packets.
    pub protocol: Protocol,
    /// Where it came from.
    pub source: SocketAddr,
    /// Where it was sent to.
    pub destination: SocketAddr,
    /// Where its receiver thinks that it came from.
    pub seen_source: SocketAddr,
    /// Where it really went.
    pub seen_destination: SocketAddr,
}

/// Carries out one operation. The kernel does not tell how many flows it forgot.
pub(crate) fn apply(call: &mut Call<'_>, op: &ConntrackOp) -> Result<Reply, Error> {
    let ConntrackOp::FlushUdp { family, port } = op;
    let space = call.space(Ns::Host)?;
    if let Some(space) = call.world.space_mut(space) {
        space.flows.retain(|flow| {
            let meant = flow.protocol == Protocol::Udp
                && flow.destination.port() == *port
                && flow.destination.is_ipv4() == (*family == Family::Ipv4);
            !meant
        });
    }
    Ok(Reply::Count(None))
}

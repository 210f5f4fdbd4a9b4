//! What becomes of a packet.

use std::net::SocketAddr;

use wharf_sim::{Probe, Space};

use crate::machine::Machine;

/// The way of a packet that might be sent. Nothing is changed by asking.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Where it ends.
    pub outcome: Outcome,
    /// The links that it passes, in order, each as `NAMESPACE/LINK`: `c1/eth0`, `host/ens3`.
    pub links: Vec<String>,
    /// The lowest rate on the way in bits per second, if something limits it.
    pub rate: Option<u64>,
    /// The lowest MTU on the way.
    pub mtu: Option<u32>,
}

/// Where the way of a packet ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody can receive it.
    Delivered {
        /// In the namespace of that name: `host`, `outside`, or a container's id.
        to: String,
        /// Where it comes from, as the receiver sees it.
        source: SocketAddr,
        /// Where it was sent to, as the receiver sees it.
        destination: SocketAddr,
    },
    /// It leaves by a device with nobody behind it.
    Left {
        /// The device, as `NAMESPACE/LINK`.
        link: String,
        /// Where it comes from, as the next one sees it.
        source: SocketAddr,
        /// Where it goes to.
        destination: SocketAddr,
    },
    /// It gets no further.
    Dropped {
        /// The name of the namespace where it was.
        at: String,
        /// Why, in one sentence.
        reason: String,
    },
}

impl Passage {
    /// Whether somebody can receive it.
    pub fn is_delivered(&self) -> bool {
        matches!(self.outcome, Outcome::Delivered { .. })
    }

    /// In which namespace somebody can receive it.
    pub fn delivered_to(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Delivered { to, .. } => Some(to),
            Outcome::Left { .. } | Outcome::Dropped { .. } => None,
        }
    }

    /// Where it comes from, as whoever gets it sees it.
    pub fn source(&self) -> Option<SocketAddr> {
        match &self.outcome {
            Outcome::Delivered { source, .. } | Outcome::Left { source, .. } => Some(*source),
            Outcome::Dropped { .. } => None,
        }
    }
}

pub(crate) fn tcp(machine: &Machine, from: Space, to: &str) -> Passage {
    passage(machine, from, to, Probe::tcp)
}

pub(crate) fn udp(machine: &Machine, from: Space, to: &str) -> Passage {
    passage(machine, from, to, Probe::udp)
}

fn passage(machine: &Machine, from: Space, to: &str, probe: fn(Space, SocketAddr) -> Probe) -> Passage {
    let Ok(to) = to.parse() else {
        let reason = format!("{to:?} is not ADDRESS:PORT, such as \"192.0.2.1:80\" or \"[2001:db8::1]:80\"");
        let outcome = Outcome::Dropped { at: machine.name(from), reason };
        return Passage { outcome, links: Vec::new(), rate: None, mtu: None };
    };
    let passage = machine.sim.probe(&probe(from, to));
    let named = |at, link: &str| format!("{}/{link}", machine.name(at));
    let outcome = match passage.outcome {
        wharf_sim::Outcome::Delivered { at, source, destination } => {
            Outcome::Delivered { to: machine.name(at), source, destination }
        }
        wharf_sim::Outcome::Left { at, link, source, destination } => {
            Outcome::Left { link: named(at, &link), source, destination }
        }
        wharf_sim::Outcome::Dropped { at, reason } => Outcome::Dropped { at: machine.name(at), reason },
    };
    let links = passage.hops.iter().map(|hop| named(hop.at, &hop.link)).collect();
    Passage { outcome, links, rate: passage.rate, mtu: passage.mtu }
}

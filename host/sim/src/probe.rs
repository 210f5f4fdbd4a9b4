//! Questions: would a packet from here to there pass, with which addresses, at which rate?

mod hooks;
mod receive;
mod segment;
mod send;

use std::net::{IpAddr, SocketAddr};

use wharf_ops::Mac;
use wharf_ops::nat::Protocol;

use crate::conntrack::Flow;
use crate::kernel::locked;
use crate::sim::Sim;
use crate::world::{At, Space, World};

/// A packet that might be sent. It opens a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// By somebody in this namespace.
    pub from: Space,
    /// From one of its addresses; none is the one that the kernel chooses.
    pub source: Option<IpAddr>,
    /// From this port.
    pub source_port: u16,
    /// Of this protocol.
    pub protocol: Protocol,
    /// To there.
    pub to: SocketAddr,
}

impl Probe {
    /// A UDP datagram from a usual port.
    pub fn udp(from: Space, to: SocketAddr) -> Self {
        Self { from, source: None, source_port: 40_000, protocol: Protocol::Udp, to }
    }

    /// The first packet of a TCP connection from a usual port.
    pub fn tcp(from: Space, to: SocketAddr) -> Self {
        Self { protocol: Protocol::Tcp, ..Self::udp(from, to) }
    }
}

/// What becomes of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Somebody in a namespace can receive it.
    Delivered {
        /// Where.
        at: Space,
        /// Where it comes from, as the receiver sees it.
        source: SocketAddr,
        /// Where it was sent to, as the receiver sees it.
        destination: SocketAddr,
    },
    /// It leaves the simulated machine by a device with nobody behind it.
    Left {
        /// In this namespace.
        at: Space,
        /// The device.
        link: String,
        /// Where it comes from, as the next one sees it.
        source: SocketAddr,
        /// Where it goes to.
        destination: SocketAddr,
    },
    /// It does not get further than this namespace.
    Dropped {
        /// Where it was.
        at: Space,
        /// Why, in one sentence.
        reason: String,
    },
}

/// A device on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hop {
    /// Its namespace.
    pub at: Space,
    /// Its name.
    pub link: String,
}

/// The way of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passage {
    /// Where it ends.
    pub outcome: Outcome,
    /// The devices that it passes, in order.
    pub hops: Vec<Hop>,
    /// The lowest rate on the way in bits per second, if something limits it.
    pub rate: Option<u64>,
    /// The lowest MTU on the way.
    pub mtu: Option<u32>,
}

impl Passage {
    /// Whether somebody receives it.
    pub fn is_delivered(&self) -> bool {
        matches!(self.outcome, Outcome::Delivered { .. })
    }
}

impl Sim {
    /// What would become of a packet. Nothing is changed, and nothing remembered.
    pub fn probe(&self, probe: &Probe) -> Passage {
        Walk::of(&locked(&self.world), probe).0
    }

    /// As [`Sim::probe`], and every namespace that the packet passes remembers the flow: what follows goes the same way,
    /// whatever the rules say by then.
    pub fn send(&self, probe: &Probe) -> Passage {
        let mut world = locked(&self.world);
        let (passage, tracked) = Walk::of(&world, probe);
        for (space, flow) in tracked {
            let flows = world.space_mut(space).map(|space| &mut space.flows);
            flows.into_iter().filter(|flows| !flows.contains(&flow)).for_each(|flows| flows.push(flow));
        }
        passage
    }

    /// The flows that a namespace remembers.
    pub fn flows(&self, space: Space) -> Vec<Flow> {
        locked(&self.world).space(space).map(|space| space.flows.clone()).unwrap_or_default()
    }
}

/// A packet on its way.
#[derive(Clone, Copy, Debug)]
struct Packet {
    protocol: Protocol,
    source: SocketAddr,
    destination: SocketAddr,
    mark: u32,
    /// The hardware address that sent it last.
    mac: Option<Mac>,
}

impl Packet {
    fn is_v4(&self) -> bool {
        self.destination.is_ipv4()
    }

    fn delivered(self, at: Space) -> Outcome {
        Outcome::Delivered { at, source: self.source, destination: self.destination }
    }
}

/// Why it goes no further.
type Stop = Outcome;

/// The way so far.
struct Walk<'a> {
    world: &'a World,
    hops: Vec<Hop>,
    rate: Option<u64>,
    mtu: Option<u32>,
    tracked: Vec<(Space, Flow)>,
}

impl<'a> Walk<'a> {
    fn of(world: &'a World, probe: &Probe) -> (Passage, Vec<(Space, Flow)>) {
        let mut walk = Self { world, hops: Vec::new(), rate: None, mtu: None, tracked: Vec::new() };
        let outcome = match walk.start(probe) {
            Ok(outcome) | Err(outcome) => outcome,
        };
        let Self { hops, rate, mtu, tracked, .. } = walk;
        (Passage { outcome, hops, rate, mtu }, tracked)
    }

    /// Notes a device on the way; `sends` if the packet leaves by it, and its qdisc holds it up.
    fn pass(&mut self, at: At, sends: bool) {
        let Some(device) = self.world.device(at) else { return };
        self.hops.push(Hop { at: at.space, link: device.name.clone() });
        self.mtu = Some(self.mtu.map_or(device.mtu, |mtu| mtu.min(device.mtu)));
        if let Some(crate::shaping::Root::Tbf(rate)) = device.root.as_ref().filter(|_| sends) {
            let bits = rate.bits_per_second;
            self.rate = Some(self.rate.map_or(bits, |rate| rate.min(bits)));
        }
    }
}

fn dropped<T>(at: Space, reason: impl Into<String>) -> Result<T, Stop> {
    Err(Outcome::Dropped { at, reason: reason.into() })
}

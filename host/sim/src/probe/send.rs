//! A packet leaves: routed, translated, and put on a wire.

use std::net::{IpAddr, SocketAddr};

use super::{Outcome, Packet, Probe, Stop, Walk, dropped};
use crate::device::Kind;
use crate::routes::lookup::{self, Question};
use crate::routes::{Entry, Type};
use crate::world::{At, Space};

/// More namespaces than this are a loop.
const MOST_HOPS: usize = 64;

impl Walk<'_> {
    /// From a socket.
    pub(super) fn start(&mut self, probe: &Probe) -> Result<Outcome, Stop> {
        let from = probe.from;
        let to = probe.to.ip();
        if self.world.space(from).is_none() {
            return dropped(from, "the namespace is not there");
        }
        let way = self.route(from, to, None)?;
        let chosen = || lookup::source(self.world, from, &way, to);
        let Some(source) = probe.source.or_else(chosen) else {
            return dropped(from, format!("there is no address to send to {to} from"));
        };
        if source.is_ipv4() != to.is_ipv4() {
            return dropped(from, format!("{source} and {to} are of two families"));
        }
        if !self.has(from, source) && !source.is_loopback() {
            return dropped(from, format!("{source} is no address of the sender"));
        }
        let mut packet = Packet {
            protocol: probe.protocol,
            source: SocketAddr::new(source, probe.source_port),
            destination: probe.to,
            mark: 0,
            mac: None,
        };
        let original = packet;
        let translated = self.translate_destination(from, &mut packet, None);
        let way = if translated { self.route(from, packet.destination.ip(), None)? } else { way };
        self.leave(from, packet, original, &way)
    }

    /// The way to an address. `input` is the link that the packet came by.
    pub(super) fn route(&self, space: Space, to: IpAddr, input: Option<u32>) -> Result<Entry, Stop> {
        // A link-local address is on the link that is meant.
        let link = input.filter(|_| matches!(to, IpAddr::V6(ip) if ip.is_unicast_link_local()));
        let question = Question { to, link, scope: 0 };
        match lookup::find(self.world, space, &question) {
            Some(way) => Ok(way.clone()),
            None => dropped(space, format!("there is no route to {to}")),
        }
    }

    /// By a way that is known: to somebody here, or to the next one.
    pub(super) fn leave(
        &mut self,
        space: Space,
        mut packet: Packet,
        original: Packet,
        way: &Entry,
    ) -> Result<Outcome, Stop> {
        let local = way.kind == Type::Local;
        let index = if local { 1 } else { way.link };
        let out = At { space, index };
        let Some(device) = self.world.device(out) else {
            return dropped(space, "the link of the route is gone");
        };
        let (name, kind) = (device.name.clone(), device.kind.clone());
        let from_loopback = packet.source.ip().is_loopback() && packet.is_v4();
        if !local && from_loopback && !self.routes_localnet(out) {
            return dropped(
                space,
                format!("{} does not leave by {name}: it has no route_localnet", packet.source.ip()),
            );
        }
        let next = way.next_hop().unwrap_or(packet.destination.ip());
        self.translate_source(&mut packet, original, out, next)?;
        if local {
            if !device.up {
                return dropped(space, format!("{name} is down"));
            }
            self.pass(out, true);
            return Ok(packet.delivered(space));
        }
        if way.kind == Type::Broadcast || packet.destination.ip().is_multicast() {
            return dropped(
                space,
                format!("{} is for many, and probes are for one", packet.destination.ip()),
            );
        }
        if self.hops.len() > MOST_HOPS {
            return dropped(space, "the packet goes round and round");
        }
        match kind {
            Kind::Loopback => dropped(
                space,
                format!(
                    "{} is routed to {name}, and is no address of the namespace",
                    packet.destination.ip()
                ),
            ),
            Kind::Other(_) => {
                if !self.world.operational(out) {
                    return dropped(space, format!("{name} is down"));
                }
                self.pass(out, true);
                let Packet { source, destination, .. } = packet;
                Ok(Outcome::Left { at: space, link: name, source, destination })
            }
            Kind::Ifb => dropped(space, format!("nobody is behind {name}")),
            Kind::Veth { .. } | Kind::Bridge { .. } => {
                let (there, port) = self.across(out, next, &mut packet)?;
                self.receive(there, port, packet)
            }
        }
    }

    /// Whether an address is one of the namespace's.
    pub(super) fn has(&self, space: Space, address: IpAddr) -> bool {
        if address.is_ipv4() {
            return lookup::is_local(self.world, space, address);
        }
        let mut held = self.world.devices(space).flat_map(|device| &device.v6);
        held.any(|held| held.address.ip() == address && !held.tentative)
    }

    /// Whether 127.0.0.0/8 may be used beyond the loopback.
    pub(super) fn routes_localnet(&self, at: At) -> bool {
        let own = self.world.device(at).and_then(|device| device.conf4.as_ref());
        let all = self.world.space(at.space).map(|space| &space.sysctls.all4);
        own.into_iter().chain(all).any(|conf| conf.get("route_localnet") != 0)
    }

    /// Notes the devices of a wire.
    pub(super) fn note(&mut self, path: Vec<(At, bool)>) {
        for (at, sends) in path {
            self.pass(at, sends);
        }
    }
}

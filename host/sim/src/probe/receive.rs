//! A packet arrives: for somebody here, or to be forwarded.

use std::net::IpAddr;

use super::{Outcome, Packet, Stop, Walk, dropped};
use crate::routes::Type;
use crate::routes::lookup::{self, Question};
use crate::world::At;

impl Walk<'_> {
    /// At a device that a frame was for; a bridge got it by one of its ports.
    pub(super) fn receive(&mut self, at: At, port: Option<At>, mut packet: Packet) -> Result<Outcome, Stop> {
        let space = at.space;
        let Some(device) = self.world.device(at) else { return dropped(space, "the link is gone") };
        let name = device.name.clone();
        let speaks = if packet.is_v4() { device.conf4.is_some() } else { device.has_ipv6() };
        if !speaks {
            return dropped(space, format!("{name} does not speak the protocol"));
        }
        let original = packet;
        self.translate_destination(space, &mut packet, Some(at));
        if packet.is_v4() {
            self.check_source(at, &packet)?;
        }
        let (from, to) = (packet.source.ip(), packet.destination.ip());
        if to.is_loopback() && packet.is_v4() && !self.routes_localnet(at) {
            return dropped(space, format!("{to} is not reached from beyond: {name} has no route_localnet"));
        }
        let way = self.route(space, to, Some(at.index))?;
        if way.kind == Type::Local {
            let forwarded = packet.destination != original.destination;
            if to.is_loopback() && !forwarded && self.guards_loopback(space) {
                return dropped(
                    space,
                    format!("the guard of the loopback drops what comes for {to} by {name}"),
                );
            }
            self.track(space, original, packet);
            return Ok(packet.delivered(space));
        }
        let elsewhere = packet.destination != original.destination;
        if let Some(port) =
            port.filter(|_| elsewhere && way.link == at.index && self.shows_rules(space, &packet))
        {
            // Its new receiver is at the same bridge: it never gets as far as to be routed.
            let next = way.next_hop().unwrap_or(to);
            self.translate_source(&mut packet, original, at, next)?;
            let (there, port) = self.onwards(at, port, next, &mut packet)?;
            return self.receive(there, port, packet);
        }
        if !self.forwards(at, packet.is_v4()) {
            return dropped(
                space,
                format!("{name} does not forward: {to} is not an address of the namespace"),
            );
        }
        let link_local = |ip: IpAddr| matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
        if (link_local(from) || link_local(to)) && way.link != at.index {
            return dropped(space, format!("{from} and {to} are not forwarded: they are of one link"));
        }
        self.leave(space, packet, original, &way)
    }

    /// What the kernel does not believe of a source.
    fn check_source(&self, at: At, packet: &Packet) -> Result<(), Stop> {
        let space = at.space;
        let from = packet.source.ip();
        let Some(device) = self.world.device(at) else { return dropped(space, "the link is gone") };
        let name = &device.name;
        if from.is_loopback() && !self.routes_localnet(at) {
            return dropped(space, format!("{from} is a martian on {name}"));
        }
        let switch = |key: &str| device.conf4.as_ref().map_or(0, |conf| conf.get(key));
        let all = |key: &str| self.world.space(space).map_or(0, |space| space.sysctls.all4.get(key));
        if lookup::is_local(self.world, space, from)
            && switch("accept_local") == 0
            && all("accept_local") == 0
        {
            return dropped(space, format!("{from} is an address of the receiver, and comes by {name}"));
        }
        let filter = switch("rp_filter").max(all("rp_filter"));
        if filter == 0 {
            return Ok(());
        }
        let back = lookup::find(self.world, space, &Question { to: from, link: None, scope: 0 });
        let fine = back.is_some_and(|way| filter == 2 || way.link == at.index);
        if fine {
            Ok(())
        } else {
            dropped(space, format!("rp_filter of {name}: {from} is not reached by it"))
        }
    }

    fn forwards(&self, at: At, v4: bool) -> bool {
        if v4 {
            let own = self.world.device(at).and_then(|device| device.conf4.as_ref());
            return own.is_some_and(|conf| conf.get("forwarding") != 0);
        }
        self.world.space(at.space).is_some_and(|space| space.sysctls.all6.get("forwarding") != 0)
    }

    fn guards_loopback(&self, space: crate::world::Space) -> bool {
        self.world.space(space).is_some_and(|space| space.firewall.guards_loopback)
    }
}

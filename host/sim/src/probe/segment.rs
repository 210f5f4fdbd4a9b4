//! One wire: who answers for an address, and which devices a frame passes to get there.

use std::collections::BTreeSet;
use std::net::IpAddr;

use wharf_ops::Mac;

use super::{Packet, Stop, Walk, dropped};
use crate::device::Kind;
use crate::shaping::Ingress;
use crate::world::{At, Space, World};

/// The devices of a way, and whether the frame leaves by them: then their qdiscs hold it up.
type Path = Vec<(At, bool)>;

/// Whom a frame is for.
#[derive(Clone, Copy, Debug)]
enum Goal {
    Mac(Mac),
    /// Whoever answers for it.
    Address(IpAddr),
}

impl Walk<'_> {
    /// Brings a packet from a device to the next hop: the device that takes it in, and the port of it that it came by.
    pub(super) fn across(
        &mut self,
        out: At,
        next: IpAddr,
        packet: &mut Packet,
    ) -> Result<(At, Option<At>), Stop> {
        self.over(out, None, next, packet)
    }

    /// As [`Walk::across`], but bridged: from one port to the others.
    pub(super) fn onwards(
        &mut self,
        bridge: At,
        came_by: At,
        next: IpAddr,
        packet: &mut Packet,
    ) -> Result<(At, Option<At>), Stop> {
        self.over(bridge, Some(came_by), next, packet)
    }

    fn over(
        &mut self,
        out: At,
        came_by: Option<At>,
        next: IpAddr,
        packet: &mut Packet,
    ) -> Result<(At, Option<At>), Stop> {
        let Some(device) = self.world.device(out) else { return dropped(out.space, "the link is gone") };
        let (name, own) = (device.name.clone(), device.mac);
        if !self.world.operational(out) {
            return dropped(out.space, format!("{name} is not operational"));
        }
        let known = device.neighbours.get(&next).copied();
        let goal = known.map_or(Goal::Address(next), Goal::Mac);
        let mut search = Search::new(self.world, own, goal);
        let found = match came_by {
            Some(port) => search.ports(out, Some(port)),
            None => search.from(out),
        };
        let Some((there, path)) = found else {
            let why = search.blocked.map_or_else(
                || match known {
                    Some(mac) => format!("nobody behind {name} has the hardware address {mac}"),
                    None => format!("nobody behind {name} answers for {next}"),
                },
                |blocked| format!("{blocked}, so that {next} is not reached by {name}"),
            );
            return dropped(out.space, why);
        };
        // Who was asked must be able to answer.
        if known.is_none() && !self.world.answers(there, out) {
            return dropped(out.space, format!("the answer of {next} does not get back to {name}"));
        }
        self.bridged(&path, packet)?;
        let port = path.iter().rev().map(|(at, _)| *at).find(|at| {
            let master = self.world.device(*at).and_then(|device| device.master);
            at.space == there.space && master == Some(there.index)
        });
        self.note(path);
        packet.mac = Some(own);
        Ok((there, port))
    }

    /// Bridges on the way that show what they carry to the rules of their namespace.
    fn bridged(&mut self, path: &Path, packet: &mut Packet) -> Result<(), Stop> {
        for pair in path.windows(2) {
            let [(came_by, false), (leaves_by, true)] = pair else { continue };
            let master = |at: &At| self.world.device(*at).and_then(|device| device.master);
            let Some(bridge) = master(came_by).filter(|bridge| master(leaves_by) == Some(*bridge)) else {
                continue;
            };
            if came_by.space == leaves_by.space && self.shows_rules(came_by.space, packet) {
                let original = *packet;
                let next = packet.destination.ip();
                self.translate_source(packet, original, At { index: bridge, ..*came_by }, next)?;
            }
        }
        Ok(())
    }

    /// Whether rules see what bridges carry.
    pub(super) fn shows_rules(&self, space: Space, packet: &Packet) -> bool {
        let family = if packet.is_v4() { "iptables" } else { "ip6tables" };
        self.world.sysctl(space, &format!("bridge/bridge-nf-call-{family}")) != 0
    }
}

impl World {
    /// Whether frames get from one device to another.
    fn answers(&self, from: At, to: At) -> bool {
        let (Some(own), Some(other)) = (self.device(from), self.device(to)) else { return false };
        let (own, goal) = (own.mac, Goal::Mac(other.mac));
        Search::new(self, own, goal).from(from).is_some_and(|(found, _)| found == to)
    }

    /// The devices that hear a frame to all which leaves by `at`.
    pub(crate) fn neighbourhood(&self, at: At) -> Vec<At> {
        let own = self.device(at).map(|device| device.mac).unwrap_or_default();
        // Nobody has this one, so that everybody is asked.
        let mut search = Search::new(self, own, Goal::Mac(Mac([0xff; 6])));
        search.from(at);
        search.heard
    }
}

/// A frame that is looked for its way.
struct Search<'a> {
    world: &'a World,
    /// Who sends it.
    source: Mac,
    goal: Goal,
    seen: BTreeSet<At>,
    /// Who got it and did not want it.
    heard: Vec<At>,
    /// What kept it from somewhere.
    blocked: Option<String>,
    /// The VLAN that it is in, on a bridge that filters.
    vlan: Option<u16>,
}

impl<'a> Search<'a> {
    fn new(world: &'a World, source: Mac, goal: Goal) -> Self {
        Self { world, source, goal, seen: BTreeSet::new(), heard: Vec::new(), blocked: None, vlan: None }
    }

    /// Where a frame gets that leaves by a device: who takes it in, and the way.
    fn from(&mut self, at: At) -> Option<(At, Path)> {
        if !self.world.operational(at) || !self.seen.insert(at) {
            return None;
        }
        let (there, mut path) = match self.world.device(at)?.kind {
            Kind::Veth { peer } => self.arrive(peer)?,
            Kind::Bridge { .. } => {
                self.vlan = self.world.device(at)?.vlans.inside().filter(|_| self.filters(at));
                self.ports(at, None)?
            }
            Kind::Loopback | Kind::Ifb | Kind::Other(_) => return None,
        };
        path.insert(0, (at, true));
        Some((there, path))
    }

    /// At the other end of a wire.
    fn arrive(&mut self, at: At) -> Option<(At, Path)> {
        let device = self.world.device(at).filter(|device| device.up)?;
        let mut path = vec![(at, false)];
        if let Some(Ingress::Redirect(Some(to))) = device.ingress {
            let ifb = At { index: to, ..at };
            if !self.world.device(ifb).is_some_and(|other| other.up && other.kind == Kind::Ifb) {
                let name = &device.name;
                self.blocked =
                    Some(format!("what {name} receives is redirected to a link that is gone or down"));
                return None;
            }
            path.push((ifb, true));
        }
        let Some(master) = device.master else {
            return self.take_in(at).map(|there| (there, path));
        };
        let firewall = &self.world.space(at.space)?.firewall;
        if let Some(guard) = firewall.guarded.first(&device.name).and_then(|owner| firewall.by_key(owner)) {
            let allowed =
                guard.guards.iter().find(|(name, _)| *name == device.name).map(|(_, allowed)| *allowed);
            if allowed.is_some_and(|allowed| allowed != self.source) {
                self.blocked = Some(format!("the guard of {} drops frames of {}", device.name, self.source));
                return None;
            }
        }
        let bridge = At { index: master, ..at };
        if !self.world.device(bridge).is_some_and(|bridge| bridge.up) {
            return None;
        }
        self.vlan = None;
        if self.filters(bridge) {
            self.vlan = Some(device.vlans.inside()?);
        }
        let for_bridge = self.vlan.is_none_or(|vlan| {
            self.world.device(bridge).is_some_and(|bridge| bridge.vlans.inside() == Some(vlan))
        });
        if for_bridge && let Some(there) = self.take_in(bridge) {
            path.push((there, false));
            return Some((there, path));
        }
        let (there, rest) = self.ports(bridge, Some(at))?;
        path.extend(rest);
        Some((there, path))
    }

    /// Out by the ports of a bridge, but not by the one that the frame came by.
    fn ports(&mut self, bridge: At, came_by: Option<At>) -> Option<(At, Path)> {
        let isolated = |at: At| self.world.device(at).is_some_and(|device| device.port.isolated);
        let from_isolated = came_by.is_some_and(isolated);
        for port in self.world.ports(bridge) {
            let device = self.world.device(port)?;
            if came_by == Some(port) && !device.port.hairpin {
                continue;
            }
            if from_isolated && device.port.isolated {
                self.blocked = Some(format!("{} is isolated from other isolated ports", device.name));
                continue;
            }
            if self.vlan.is_some_and(|vlan| !device.vlans.leaves_untagged(vlan)) {
                self.blocked = Some(format!("{} is in another VLAN", device.name));
                continue;
            }
            let vlan = self.vlan;
            if let Some(found) = self.from(port) {
                return Some(found);
            }
            self.vlan = vlan;
        }
        None
    }

    /// Whether a device, or the bridge itself, is the one that is meant.
    fn take_in(&mut self, at: At) -> Option<At> {
        let device = self.world.device(at)?;
        let meant = match self.goal {
            Goal::Mac(mac) => {
                // A bridge also answers to the addresses of its ports.
                let port = |port: &At| self.world.device(*port).is_some_and(|port| port.mac == mac);
                device.mac == mac || self.world.ports(at).iter().any(port)
            }
            Goal::Address(address) => self.world.answers_for(at, address),
        };
        if !meant {
            self.heard.push(at);
        }
        meant.then_some(at)
    }

    fn filters(&self, bridge: At) -> bool {
        matches!(
            self.world.device(bridge).map(|device| &device.kind),
            Some(Kind::Bridge { vlan_filtering: true, .. })
        )
    }
}

impl World {
    /// Whether who asks by ARP or NDP on a device for an address gets an answer: IPv4 answers for every address of the
    /// namespace and, where it is set, for what it would route elsewhere; IPv6 for those of the device.
    fn answers_for(&self, at: At, address: IpAddr) -> bool {
        let Some(device) = self.device(at) else { return false };
        if address.is_ipv6() {
            return device.v6.iter().any(|held| held.address.ip() == address && !held.tentative);
        }
        let Some(conf) = &device.conf4 else { return false };
        if crate::routes::lookup::is_local(self, at.space, address) {
            let everywhere = conf.get("arp_ignore") == 0;
            return everywhere || device.v4.iter().any(|held| held.address.ip() == address);
        }
        let all = self.space(at.space).is_some_and(|space| space.sysctls.all4.get("proxy_arp") != 0);
        let way = crate::routes::lookup::resolve(self, at.space, address);
        (all || conf.get("proxy_arp") != 0)
            && conf.get("forwarding") != 0
            && way.is_some_and(|way| way.link != at.index)
    }
}

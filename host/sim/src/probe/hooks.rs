//! Where rules see a packet: what they make of its destination as it comes, and of its source as it goes.

use std::net::{IpAddr, SocketAddr};

use ipnetwork::IpNetwork;
use wharf_kernel::common;
use wharf_ops::nat::{ForwardOptions, MasqueradeRule, PortForward};

use super::{Packet, Stop, Walk, dropped};
use crate::conntrack::Flow;
use crate::firewall::{Firewall, Forwards, Port, Rules};
use crate::routes::lookup::{self, Question};
use crate::world::{At, Space};

impl Walk<'_> {
    /// PREROUTING, or OUTPUT where the packet did not come by a link. Whether it goes elsewhere now.
    pub(super) fn translate_destination(&self, space: Space, packet: &mut Packet, input: Option<At>) -> bool {
        if let Some(flow) = self.known(space, packet) {
            let elsewhere = flow.seen_destination != packet.destination;
            packet.destination = flow.seen_destination;
            return elsewhere;
        }
        if !lookup::is_local(self.world, space, packet.destination.ip()) && packet.is_v4()
            || !packet.is_v4() && !self.has(space, packet.destination.ip())
        {
            return false;
        }
        let Some(firewall) = self.world.space(space).map(|space| &space.firewall) else { return false };
        let to = own_target(self, firewall, space, packet, input)
            .or_else(|| iptables_target(self, firewall, space, packet, input));
        if let Some(to) = to {
            packet.destination = to;
        }
        to.is_some()
    }

    /// POSTROUTING, and what is remembered of it all.
    pub(super) fn translate_source(
        &mut self,
        packet: &mut Packet,
        original: Packet,
        out: At,
        next: IpAddr,
    ) -> Result<(), Stop> {
        let space = out.space;
        if let Some(flow) = self.known(space, &original) {
            packet.source = flow.seen_source;
            return Ok(());
        }
        let forwarded = packet.destination != original.destination;
        let masquerades = self.world.space(space).is_some_and(|inside| {
            own_masquerades(&inside.firewall, packet, forwarded)
                || packet.mark != 0
                || iptables_masquerades(&inside.firewall, packet)
        });
        if masquerades {
            let Some(address) = self.address_of(out, next) else {
                return dropped(
                    space,
                    "there is no address to masquerade with on the link that it leaves by",
                );
            };
            packet.source = SocketAddr::new(address, packet.source.port());
        }
        self.track(space, original, *packet);
        Ok(())
    }

    /// Remembers a flow, where that is done.
    pub(super) fn track(&mut self, space: Space, original: Packet, seen: Packet) {
        let flow = Flow {
            protocol: seen.protocol,
            source: original.source,
            destination: original.destination,
            seen_source: seen.source,
            seen_destination: seen.destination,
        };
        if self.world.space(space).is_some_and(|inside| inside.firewall.tracks) {
            self.tracked.push((space, flow));
        }
    }

    /// The flow that a packet belongs to, if the namespace remembers it.
    fn known(&self, space: Space, packet: &Packet) -> Option<Flow> {
        let same = |flow: &&Flow| {
            (flow.protocol, flow.source, flow.destination)
                == (packet.protocol, packet.source, packet.destination)
        };
        self.world.space(space)?.flows.iter().find(same).copied()
    }

    /// What a packet that leaves by a device is masqueraded with.
    fn address_of(&self, out: At, next: IpAddr) -> Option<IpAddr> {
        let device = self.world.device(out)?;
        if next.is_ipv4() {
            let mut own = device.v4.iter().filter(|held| !held.secondary);
            let first = own.clone().next();
            return own.find(|held| held.address.contains(next)).or(first).map(|held| held.address.ip());
        }
        let question = Question { to: next, link: Some(out.index), scope: 0 };
        let way = lookup::find(self.world, out.space, &question)?;
        lookup::source(self.world, out.space, way, next)
    }

    fn compared<'p>(&self, space: Space, packet: &Packet, input: &'p str) -> common::Packet<'p> {
        common::Packet {
            source: packet.source.ip(),
            destination: packet.destination.ip(),
            protocol: common::protocol_number(packet.protocol),
            source_port: packet.source.port(),
            destination_port: packet.destination.port(),
            input,
            output: "",
            mac: packet.mac,
            mark: packet.mark,
            local: (self.has(space, packet.source.ip()), true),
        }
    }
}

fn name_of<'w>(walk: &Walk<'w>, input: Option<At>) -> &'w str {
    input.and_then(|at| walk.world.device(at)).map_or("", |device| &device.name)
}

/// Wharf's own tables: the most specific way first.
fn own_target(
    walk: &Walk<'_>,
    firewall: &Firewall,
    space: Space,
    packet: &Packet,
    input: Option<At>,
) -> Option<SocketAddr> {
    let any =
        Port { v4: packet.is_v4(), protocol: packet.protocol, host: None, number: packet.destination.port() };
    let exact = Port { host: Some(packet.destination.ip()), ..any };
    let behind = firewall.ports.others(&exact).chain(firewall.ports.others(&any));
    let ways = firewall.ports.first(&exact).into_iter().chain(firewall.ports.first(&any)).chain(behind);
    let compared = walk.compared(space, packet, name_of(walk, input));
    let mut forwards = ways.filter_map(|owner| firewall.by_key(owner)?.forwards.as_ref());
    forwards.find_map(|forwards| {
        let holds = forwards.conditions(packet.is_v4()).hold(&compared);
        forwards.rules.iter().find(|rule| holds && is_for(rule, packet)).map(target)
    })
}

fn iptables_target(
    walk: &Walk<'_>,
    firewall: &Firewall,
    space: Space,
    packet: &mut Packet,
    input: Option<At>,
) -> Option<SocketAddr> {
    let compared = walk.compared(space, packet, name_of(walk, input));
    for there in firewall.iptables.iter().filter(|there| there.v4 == packet.is_v4()) {
        let Rules::Forwards(forwards) = &there.rules else { continue };
        if !forwards.conditions(there.v4).hold(&compared) {
            continue;
        }
        if let Some(rule) = forwards.rules.iter().find(|rule| is_for(rule, packet)) {
            if rewrites(&forwards.options, rule, packet.source.ip()) {
                packet.mark |= 1;
            }
            return Some(target(rule));
        }
    }
    None
}

fn is_for(rule: &PortForward, packet: &Packet) -> bool {
    let host = rule.host_address.filter(|host| !host.is_unspecified());
    (rule.protocol, rule.host_port) == (packet.protocol, packet.destination.port())
        && rule.container_address.is_ipv4() == packet.is_v4()
        && host.is_none_or(|host| host == packet.destination.ip())
}

fn target(rule: &PortForward) -> SocketAddr {
    SocketAddr::new(rule.container_address, rule.container_port)
}

/// Whether the source of what was forwarded is rewritten, so that answers come back here.
fn rewrites(options: &ForwardOptions, rule: &PortForward, source: IpAddr) -> bool {
    if options.masquerade_all {
        return true;
    }
    if !options.snat {
        return false;
    }
    let mut subnets: Vec<IpNetwork> =
        options.subnets.iter().filter(|subnet| subnet.is_ipv4() == source.is_ipv4()).copied().collect();
    if subnets.is_empty() {
        subnets.push(rule.container_address.into());
    }
    subnets.iter().any(|subnet| subnet.contains(source)) || (source.is_loopback() && source.is_ipv4())
}

fn own_masquerades(firewall: &Firewall, packet: &Packet, forwarded: bool) -> bool {
    let (from, to) = (packet.source.ip(), packet.destination.ip());
    let rewrites_replies = |forwards: &Forwards| {
        forwards
            .rules
            .iter()
            .any(|rule| rule.container_address == to && rewrites(&forwards.options, rule, from))
    };
    let replies = firewall.replies.first(&to).into_iter().chain(firewall.replies.others(&to));
    let mut replies = replies.filter_map(|owner| firewall.by_key(owner)?.forwards.as_ref());
    if forwarded && replies.any(rewrites_replies) {
        return true;
    }
    let sources = firewall.sources.first(&from).into_iter().chain(firewall.sources.others(&from));
    let mut rules = sources.filter_map(|owner| firewall.by_key(owner)).flat_map(|own| &own.masquerades);
    rules.any(|rule| masquerades(rule, packet))
}

fn masquerades(rule: &MasqueradeRule, packet: &Packet) -> bool {
    let to = packet.destination.ip();
    rule.source == packet.source.ip()
        && !to.is_multicast()
        && !rule.except.iter().any(|network| network.contains(to))
}

/// The first chain that knows the source decides: its exceptions are accepted for good.
fn iptables_masquerades(firewall: &Firewall, packet: &Packet) -> bool {
    let rules = firewall.iptables.iter().filter_map(|there| match &there.rules {
        Rules::Masquerades(rules) => rules.iter().find(|rule| rule.source == packet.source.ip()),
        Rules::Forwards(_) => None,
    });
    rules.into_iter().next().is_some_and(|rule| masquerades(rule, packet))
}

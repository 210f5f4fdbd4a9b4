//! Everything that is there, as text: to see it, and to see what differs.

use std::fmt::Write as _;

use crate::device::Device;
use crate::firewall::{Firewall, Rules};
use crate::kernel::locked;
use crate::routes::{Entry, Type};
use crate::shaping::{Ingress, Root};
use crate::sim::Sim;
use crate::world::{Namespace, Space, World};

impl Sim {
    /// Everything that a namespace holds, but what the kernel has made by itself: one thing per line, in an order that does
    /// not depend on when it came. Numbers of links are left out.
    pub fn picture(&self, space: Space) -> String {
        let world = locked(&self.world);
        let Some(inside) = world.space(space) else { return String::new() };
        let mut lines = Vec::new();
        for device in inside.devices.values() {
            of_device(&world, space, device, &mut lines);
        }
        lines.extend(inside.routes.iter().filter_map(|route| of_route(inside, route)));
        let sysctls = inside.unusual_sysctls();
        lines.extend(sysctls.into_iter().map(|(key, value)| format!("sysctl {key} = {value}\n")));
        of_firewall(&inside.firewall, &mut lines);
        lines.sort();
        lines.concat()
    }
}

fn of_device(world: &World, space: Space, device: &Device, lines: &mut Vec<String>) {
    let name = &device.name;
    let info = world.info(space, device);
    let master = device.master.and_then(|master| world.device(crate::world::At { space, index: master }));
    let mut line = format!("link {name} {} {} mtu {}", device.kind.name(), device.mac, device.mtu);
    for (set, word) in [
        (device.up, "up"),
        (info.operational, "operational"),
        (device.promiscuous, "promiscuous"),
        (device.port.hairpin, "hairpin"),
        (device.port.isolated, "isolated"),
    ] {
        if set {
            let _ = write!(line, " {word}");
        }
    }
    if let Some(master) = master {
        let _ = write!(line, " master {}", master.name);
    }
    if let Some(alias) = &device.alias {
        let _ = write!(line, " alias {alias:?}");
    }
    lines.push(line + "\n");
    lines.extend(device.addresses().map(|held| format!("address {} dev {name}\n", held.address)));
    lines.extend(device.neighbours.iter().map(|(to, mac)| format!("neighbour {to} at {mac} dev {name}\n")));
    match &device.root {
        Some(Root::Tbf(rate)) => lines.push(format!(
            "qdisc tbf rate {} burst {} latency {} dev {name}\n",
            rate.bits_per_second, rate.burst_bits, rate.latency_ms
        )),
        Some(Root::Other(kind)) => lines.push(format!("qdisc {kind} dev {name}\n")),
        None => {}
    }
    match &device.ingress {
        Some(Ingress::Redirect(to)) => {
            let to = to.and_then(|index| world.device(crate::world::At { space, index }));
            let to = to.map_or("nowhere", |to| to.name.as_str());
            lines.push(format!("redirect to {to} dev {name}\n"));
        }
        Some(Ingress::Other(kind)) => lines.push(format!("qdisc {kind} dev {name}\n")),
        None => {}
    }
}

/// Routes that the kernel makes for addresses go without saying.
fn of_route(inside: &Namespace, route: &Entry) -> Option<String> {
    if route.kernel || route.kind != Type::Unicast {
        return None;
    }
    let mut line = format!("route {}", route.dst);
    if let Some(gateway) = route.gateway {
        let _ = write!(line, " via {gateway}");
    }
    let by = inside.devices.get(&route.link).map_or("nothing", |device| device.name.as_str());
    let _ = write!(line, " dev {by} table {} metric {}", route.table, route.metric);
    for (word, value) in [("mtu", route.mtu), ("advmss", route.advmss)] {
        if let Some(value) = value {
            let _ = write!(line, " {word} {value}");
        }
    }
    if let Some(source) = route.source {
        let _ = write!(line, " src {source}");
    }
    Some(line + "\n")
}

fn of_firewall(firewall: &Firewall, lines: &mut Vec<String>) {
    for own in &firewall.own {
        let who = format!("{}/{}/{}", own.owner.network, own.owner.container, own.owner.ifname);
        for rule in &own.masquerades {
            let except: Vec<String> = rule.except.iter().map(ToString::to_string).collect();
            lines.push(format!("masquerade {} except [{}] of {who}\n", rule.source, except.join(", ")));
        }
        let forwards = own.forwards.iter().flat_map(|forwards| &forwards.rules);
        lines.extend(forwards.map(|rule| format!("{} of {who}\n", forward(rule))));
        lines.extend(own.guards.iter().map(|(link, mac)| format!("guard {link} for {mac} of {who}\n")));
    }
    for there in &firewall.iptables {
        let who = format!("{}/{}/{}", there.owner.network, there.owner.container, there.owner.ifname);
        match &there.rules {
            Rules::Masquerades(rules) => {
                lines.extend(
                    rules.iter().map(|rule| format!("iptables masquerade {} of {who}\n", rule.source)),
                );
            }
            Rules::Forwards(forwards) => {
                lines.extend(
                    forwards.rules.iter().map(|rule| format!("iptables {} of {who}\n", forward(rule))),
                );
            }
        }
    }
}

fn forward(rule: &wharf_ops::nat::PortForward) -> String {
    let host = rule.host_address.map_or_else(|| "any".to_owned(), |host| host.to_string());
    format!(
        "forward {:?} {host} {} to {} {}",
        rule.protocol, rule.host_port, rule.container_address, rule.container_port
    )
}

//! What a change of a device means for the others, and for the protocols above it.

use wharf_ops::Mac;
use wharf_ops::links::Info;

use crate::device::{Device, Kind};
use crate::world::{At, Space, World};
use crate::{addresses, shaping};

impl World {
    /// What the kernel says about a device.
    pub(crate) fn info(&self, space: Space, device: &Device) -> Info {
        device.info(self.operational(At { space, index: device.index }))
    }

    /// Operstate UP or UNKNOWN of a device that is up.
    pub(crate) fn operational(&self, at: At) -> bool {
        self.device(at).is_some_and(|device| device.up && self.carrier(at))
    }

    /// A veth has a carrier when both ends are up, a bridge when one of its ports has.
    pub(crate) fn carrier(&self, at: At) -> bool {
        let Some(device) = self.device(at) else { return false };
        match device.kind {
            Kind::Loopback | Kind::Ifb | Kind::Other(_) => true,
            Kind::Veth { peer } => device.up && self.device(peer).is_some_and(|peer| peer.up),
            Kind::Bridge { looked, .. } => {
                !looked || (device.up && self.ports(at).into_iter().any(|port| self.operational(port)))
            }
        }
    }

    /// Sets a device up or down.
    pub(crate) fn set_up(&mut self, at: At, up: bool) {
        let Some(device) = self.device_mut(at).filter(|device| device.up != up) else { return };
        device.up = up;
        device.ready &= up;
        if up {
            addresses::v4::came_up(self, at);
            addresses::v6::came_up(self, at);
        } else {
            device.neighbours.clear();
            addresses::v4::went_down(self, at);
            addresses::v6::went_down(self, at);
        }
        self.carriers_changed();
    }

    /// Sets the MTU, by which a protocol may come or go. A bridge follows the lowest of its ports.
    pub(crate) fn set_mtu(&mut self, at: At, mtu: u32) {
        let Some(device) = self.device_mut(at).filter(|device| device.mtu != mtu) else { return };
        device.mtu = mtu;
        let is_bridge = matches!(device.kind, Kind::Bridge { .. });
        device.mtu_is_set |= is_bridge;
        let master = device.master;
        addresses::v4::mtu_changed(self, at);
        addresses::v6::mtu_changed(self, at);
        if let Some(master) = master {
            self.follow_ports_mtu(At { index: master, ..at });
        }
    }

    /// Sets the hardware address. Everything that was known of neighbours is forgotten.
    pub(crate) fn set_mac(&mut self, at: At, mac: Mac) {
        let Some(device) = self.device_mut(at) else { return };
        if let Kind::Bridge { looked, .. } = &mut device.kind {
            *looked |= device.mac != mac;
        }
        device.mac = mac;
        device.neighbours.clear();
        if let Some(master) = device.master {
            self.follow_ports_mac(At { index: master, ..at });
        }
    }

    /// Makes a device the port of a bridge.
    pub(crate) fn enslave(&mut self, at: At, bridge: At) {
        if let Some(port) = self.device_mut(at) {
            port.master = Some(bridge.index);
            port.vlans.join();
        }
        self.follow_ports_mac(bridge);
        self.follow_ports_mtu(bridge);
        self.carriers_changed();
    }

    /// Frees a port from its bridge.
    pub(crate) fn release(&mut self, at: At) {
        let Some(port) = self.device_mut(at) else { return };
        let Some(master) = port.master.take() else { return };
        port.port = wharf_ops::bridge_ports::PortState { hairpin: false, isolated: false };
        port.vlans = crate::bridge_ports::Vlans::default();
        let bridge = At { index: master, ..at };
        self.follow_ports_mac(bridge);
        self.follow_ports_mtu(bridge);
        self.carriers_changed();
    }

    /// A bridge whose hardware address nobody chose has the lowest of its ports.
    fn follow_ports_mac(&mut self, bridge: At) {
        let macs = self.ports(bridge).into_iter().filter_map(|port| Some(self.device(port)?.mac));
        let lowest = macs.min().unwrap_or_default();
        if self.device(bridge).is_some_and(|device| !device.mac_is_set && device.mac != lowest) {
            self.set_mac(bridge, lowest);
        }
    }

    fn follow_ports_mtu(&mut self, bridge: At) {
        let mtus = self.ports(bridge).into_iter().filter_map(|port| Some(self.device(port)?.mtu));
        let lowest = mtus.min().unwrap_or(1500);
        // What a bridge cannot have it does not follow.
        let (least, most) = (68, 65535);
        let follows = |device: &Device| !device.mtu_is_set && (least..=most).contains(&lowest);
        if self.device(bridge).is_some_and(follows) {
            self.set_mtu(bridge, lowest);
            if let Some(device) = self.device_mut(bridge) {
                device.mtu_is_set = false;
            }
        }
    }

    /// Takes a device away, with the other end of a veth and everything that named it.
    pub(crate) fn remove_device(&mut self, at: At) {
        for port in self.ports(at) {
            self.release(port);
        }
        self.release(at);
        let Some(space) = self.space_mut(at.space) else { return };
        let Some(device) = space.devices.remove(&at.index) else { return };
        space.routes.retain(|route| route.link != at.index);
        addresses::v4::forget_sources(self, at.space, device.v4.iter().map(|held| held.address.ip()));
        addresses::v6::forget_sources(self, at.space, device.v6.iter().map(|held| held.address.ip()));
        shaping::target_gone(self, at);
        if let Kind::Veth { peer } = device.kind {
            self.remove_device(peer);
        }
        self.carriers_changed();
    }

    /// Tells IPv6 of every device that has got its first carrier since it is up.
    pub(crate) fn carriers_changed(&mut self) {
        let all: Vec<At> = self
            .spaces
            .iter()
            .flat_map(|(space, inside)| {
                inside.devices.keys().map(|index| At { space: *space, index: *index })
            })
            .collect();
        for at in all.into_iter().filter(|at| self.operational(*at)).collect::<Vec<_>>() {
            let Some(device) = self.device_mut(at).filter(|device| !device.ready) else { continue };
            device.ready = true;
            addresses::v6::make_link_local(self, at);
        }
    }
}

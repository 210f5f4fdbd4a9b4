//! Who is on one wire: what a frame reaches without being routed.

use std::collections::BTreeSet;

use crate::device::Kind;
use crate::world::{At, World};

impl World {
    /// The devices that a frame which leaves by `at` reaches, and that pass it on to their namespace.
    pub(crate) fn neighbourhood(&self, at: At) -> Vec<At> {
        let mut seen = BTreeSet::from([at]);
        let mut heard = Vec::new();
        let mut on_wire: Vec<At> = self.out(at);
        while let Some(next) = on_wire.pop() {
            if !seen.insert(next) {
                continue;
            }
            let Some(device) = self.device(next).filter(|device| device.up) else { continue };
            let Some(master) = device.master else {
                heard.push(next);
                continue;
            };
            let bridge = At { index: master, ..next };
            if seen.insert(bridge) && self.device(bridge).is_some_and(|bridge| bridge.up) {
                heard.push(bridge);
            }
            on_wire.extend(self.ports(bridge).into_iter().filter(|port| *port != next).flat_map(|port| self.out(port)));
        }
        heard
    }

    /// The other side of a device: the end of a veth, the other ends of a bridge's ports.
    fn out(&self, at: At) -> Vec<At> {
        match self.device(at).filter(|device| device.up).map(|device| &device.kind) {
            Some(Kind::Veth { peer }) => vec![*peer],
            Some(Kind::Bridge { .. }) => self.ports(at).into_iter().flat_map(|port| self.out(port)).collect(),
            _ => Vec::new(),
        }
    }
}

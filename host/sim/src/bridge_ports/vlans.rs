//! Which VLANs may pass a port.

use std::collections::BTreeMap;

use wharf_ops::bridge_ports::VlanRange;

/// The VLANs of a port, with their two flags.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Vlans(BTreeMap<u16, Flags>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Flags {
    pvid: bool,
    untagged: bool,
}

impl Vlans {
    /// A new port of a bridge has VLAN 1, untagged in both directions, whether the bridge filters or not.
    pub(crate) fn join(&mut self) {
        self.0 = BTreeMap::from([(1, Flags { pvid: true, untagged: true })]);
    }

    /// Lets VLANs pass. There is one for untagged frames that come in.
    pub(crate) fn add(&mut self, range: VlanRange) {
        if range.pvid {
            self.0.values_mut().for_each(|flags| flags.pvid = false);
        }
        for vlan in range.first..=range.last {
            self.0.insert(vlan, Flags { pvid: range.pvid, untagged: range.untagged });
        }
    }

    pub(crate) fn remove(&mut self, range: VlanRange) {
        self.0.retain(|vlan, _| !(range.first..=range.last).contains(vlan));
    }

    /// As runs of the same flags. The VLAN of untagged frames stands alone.
    pub(crate) fn ranges(&self) -> Vec<VlanRange> {
        let mut ranges: Vec<VlanRange> = Vec::new();
        for (vlan, Flags { pvid, untagged }) in &self.0 {
            match ranges.last_mut() {
                Some(open)
                    if open.last + 1 == *vlan
                        && (open.pvid, open.untagged) == (false, *untagged)
                        && !pvid =>
                {
                    open.last = *vlan;
                }
                _ => ranges.push(VlanRange { first: *vlan, last: *vlan, pvid: *pvid, untagged: *untagged }),
            }
        }
        ranges
    }

    /// The VLAN of frames that come in untagged.
    pub(crate) fn inside(&self) -> Option<u16> {
        self.0.iter().find(|(_, flags)| flags.pvid).map(|(vlan, _)| *vlan)
    }

    /// Whether frames of the VLAN may leave, and without a tag.
    pub(crate) fn leaves_untagged(&self, vlan: u16) -> bool {
        self.0.get(&vlan).is_some_and(|flags| flags.untagged)
    }
}

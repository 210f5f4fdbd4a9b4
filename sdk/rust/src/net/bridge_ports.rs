//! What a link is as the port of a bridge.

use super::Link;
use crate::bindings::wharf::net::bridge_ports as wit;
use crate::error::HostResult;

/// The flags of a bridge port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortState {
    /// Frames may leave by the port they came in.
    pub hairpin: bool,
    /// It talks to ports that are not isolated, and to no others.
    pub isolated: bool,
}

/// A run of VLANs on a bridge port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VlanRange {
    /// 1 to 4094.
    pub first: u16,
    /// Not below `first`.
    pub last: u16,
    /// The VLAN of untagged frames that come in. One VLAN only.
    pub pvid: bool,
    /// Frames leave without their tag.
    pub untagged: bool,
}

impl VlanRange {
    /// One tagged VLAN.
    pub fn tagged(id: u16) -> Self {
        Self { first: id, last: id, pvid: false, untagged: false }
    }

    /// The VLAN of the port's untagged traffic.
    pub fn native(id: u16) -> Self {
        Self { first: id, last: id, pvid: true, untagged: true }
    }

    fn to_wit(self) -> wit::VlanRange {
        let Self { first, last, pvid, untagged } = self;
        wit::VlanRange { first, last, pvid, untagged }
    }
}

impl Link {
    /// The flags of the port that the link is.
    pub fn port_state(&self) -> HostResult<PortState> {
        let wit::State { hairpin, isolated } = wit::get(&self.raw)?;
        Ok(PortState { hairpin, isolated })
    }

    /// Whether frames may leave by the port they came in.
    pub fn set_hairpin(&self, on: bool) -> HostResult<()> {
        Ok(wit::set_hairpin(&self.raw, on)?)
    }

    /// Whether the port is kept from other isolated ports.
    pub fn set_isolated(&self, on: bool) -> HostResult<()> {
        Ok(wit::set_isolated(&self.raw, on)?)
    }

    /// Adds VLANs to the port.
    pub fn add_vlan(&self, range: VlanRange) -> HostResult<()> {
        Ok(wit::add_vlan(&self.raw, range.to_wit())?)
    }

    /// Removes VLANs from the port.
    pub fn remove_vlan(&self, range: VlanRange) -> HostResult<()> {
        Ok(wit::remove_vlan(&self.raw, range.to_wit())?)
    }

    /// The VLANs of the port.
    pub fn vlans(&self) -> HostResult<Vec<VlanRange>> {
        let all = wit::get_vlans(&self.raw)?.into_iter();
        Ok(all
            .map(|wit::VlanRange { first, last, pvid, untagged }| VlanRange { first, last, pvid, untagged })
            .collect())
    }
}

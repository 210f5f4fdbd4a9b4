//! What a link is as the port of a bridge.

use super::Link;
use crate::bindings::wharf::net::bridge_ports as wit;
use crate::error::HostResult;

/// The flags of a bridge port.
///
/// ```
/// use wharf_sdk::net::PortState;
/// assert_eq!(PortState::default(), PortState { hairpin: false, isolated: false });
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortState {
    /// Frames may leave by the port they came in.
    pub hairpin: bool,
    /// It talks to ports that are not isolated, and to no others.
    pub isolated: bool,
}

/// A run of VLANs on a bridge port.
///
/// ```
/// use wharf_sdk::net::VlanRange;
/// let guests = VlanRange { last: 199, ..VlanRange::tagged(100) };
/// assert_eq!((guests.first, guests.last, guests.pvid), (100, 199, false));
/// ```
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
    ///
    /// ```
    /// use wharf_sdk::net::VlanRange;
    /// assert_eq!(VlanRange::tagged(100), VlanRange { first: 100, last: 100, pvid: false, untagged: false });
    /// ```
    pub fn tagged(id: u16) -> Self {
        Self { first: id, last: id, pvid: false, untagged: false }
    }

    /// The VLAN of the port's untagged traffic.
    ///
    /// ```
    /// use wharf_sdk::net::VlanRange;
    /// assert_eq!(VlanRange::native(100), VlanRange { first: 100, last: 100, pvid: true, untagged: true });
    /// ```
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
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::{Bridge, LinkCommon, VethEnd};
    /// let (bridge, _) = host.ensure_bridge(&Bridge { common: LinkCommon::new("br0"), vlan_filtering: true })?;
    /// let (port, _inside) = host.create_veth(&VethEnd::new("port0"), container, &VethEnd::new("eth0"))?;
    /// port.set_master(Some(&bridge))?;
    /// assert!(!port.port_state()?.hairpin);
    /// assert!(bridge.port_state().is_err(), "a bridge is no port");
    /// # Ok(())
    /// # });
    /// ```
    pub fn port_state(&self) -> HostResult<PortState> {
        let wit::State { hairpin, isolated } = wit::get(&self.raw)?;
        Ok(PortState { hairpin, isolated })
    }

    /// Whether frames may leave by the port they came in.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::{Bridge, LinkCommon, VethEnd};
    /// let (bridge, _) = host.ensure_bridge(&Bridge { common: LinkCommon::new("br0"), vlan_filtering: true })?;
    /// let (port, _inside) = host.create_veth(&VethEnd::new("port0"), container, &VethEnd::new("eth0"))?;
    /// port.set_master(Some(&bridge))?;
    /// port.set_hairpin(true)?;
    /// assert!(port.port_state()?.hairpin);
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_hairpin(&self, on: bool) -> HostResult<()> {
        Ok(wit::set_hairpin(&self.raw, on)?)
    }

    /// Whether the port is kept from other isolated ports.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::{Bridge, LinkCommon, VethEnd};
    /// let (bridge, _) = host.ensure_bridge(&Bridge { common: LinkCommon::new("br0"), vlan_filtering: true })?;
    /// let (port, _inside) = host.create_veth(&VethEnd::new("port0"), container, &VethEnd::new("eth0"))?;
    /// port.set_master(Some(&bridge))?;
    /// port.set_isolated(true)?;
    /// assert!(port.port_state()?.isolated);
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_isolated(&self, on: bool) -> HostResult<()> {
        Ok(wit::set_isolated(&self.raw, on)?)
    }

    /// Adds VLANs to the port.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::VlanRange;
    /// use wharf_sdk::net::{Bridge, LinkCommon, VethEnd};
    /// let (bridge, _) = host.ensure_bridge(&Bridge { common: LinkCommon::new("br0"), vlan_filtering: true })?;
    /// let (port, _inside) = host.create_veth(&VethEnd::new("port0"), container, &VethEnd::new("eth0"))?;
    /// port.set_master(Some(&bridge))?;
    /// port.add_vlan(VlanRange::tagged(100))?;
    /// assert!(port.vlans()?.contains(&VlanRange::tagged(100)));
    /// # Ok(())
    /// # });
    /// ```
    pub fn add_vlan(&self, range: VlanRange) -> HostResult<()> {
        Ok(wit::add_vlan(&self.raw, range.to_wit())?)
    }

    /// Removes VLANs from the port.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::VlanRange;
    /// use wharf_sdk::net::{Bridge, LinkCommon, VethEnd};
    /// let (bridge, _) = host.ensure_bridge(&Bridge { common: LinkCommon::new("br0"), vlan_filtering: true })?;
    /// let (port, _inside) = host.create_veth(&VethEnd::new("port0"), container, &VethEnd::new("eth0"))?;
    /// port.set_master(Some(&bridge))?;
    /// port.add_vlan(VlanRange::tagged(100))?;
    /// port.remove_vlan(VlanRange::tagged(100))?;
    /// assert!(!port.vlans()?.contains(&VlanRange::tagged(100)));
    /// # Ok(())
    /// # });
    /// ```
    pub fn remove_vlan(&self, range: VlanRange) -> HostResult<()> {
        Ok(wit::remove_vlan(&self.raw, range.to_wit())?)
    }

    /// The VLANs of the port.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::VlanRange;
    /// use wharf_sdk::net::{Bridge, LinkCommon, VethEnd};
    /// let (bridge, _) = host.ensure_bridge(&Bridge { common: LinkCommon::new("br0"), vlan_filtering: true })?;
    /// let (port, _inside) = host.create_veth(&VethEnd::new("port0"), container, &VethEnd::new("eth0"))?;
    /// port.set_master(Some(&bridge))?;
    /// assert_eq!(port.vlans()?, [VlanRange::native(1)], "what every new port has");
    /// # Ok(())
    /// # });
    /// ```
    pub fn vlans(&self) -> HostResult<Vec<VlanRange>> {
        let all = wit::get_vlans(&self.raw)?.into_iter();
        Ok(all
            .map(|wit::VlanRange { first, last, pvid, untagged }| VlanRange { first, last, pvid, untagged })
            .collect())
    }
}

//! Interface addresses.

use ipnetwork::IpNetwork;

use super::Link;
use crate::bindings::wharf::net::addresses as wit;
use crate::error::HostResult;

impl Link {
    /// Adds an address; IPv4 below /31 gets its broadcast address.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let link = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// link.add_address("10.22.0.2/16".parse().expect("a constant"))?;
    /// assert_eq!(link.addresses()?.len(), 1);
    /// # Ok(())
    /// # });
    /// ```
    pub fn add_address(&self, address: IpNetwork) -> HostResult<()> {
        Ok(wit::add(&self.raw, address.into())?)
    }

    /// Removes an address; absent is success.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let link = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// let address = "10.22.0.2/16".parse().expect("a constant");
    /// link.add_address(address)?;
    /// link.remove_address(address)?;
    /// link.remove_address(address)?;
    /// assert!(link.addresses()?.is_empty());
    /// # Ok(())
    /// # });
    /// ```
    pub fn remove_address(&self, address: IpNetwork) -> HostResult<()> {
        Ok(wit::remove(&self.raw, address.into())?)
    }

    /// Every address of the link.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// let lo = container.link("lo")?.expect("every namespace has one");
    /// lo.set_up()?;
    /// let addresses: Vec<_> = lo.addresses()?.iter().map(ToString::to_string).collect();
    /// assert_eq!(addresses, ["127.0.0.1/8", "::1/128"]);
    /// # Ok(())
    /// # });
    /// ```
    pub fn addresses(&self) -> HostResult<Vec<IpNetwork>> {
        Ok(wit::get_all(&self.raw)?.into_iter().map(Into::into).collect())
    }

    /// Waits for duplicate address detection of all IPv6 addresses; `conflict` names one that somebody else holds.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let link = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// link.set_up()?;
    /// link.add_address("fd00::2/64".parse().expect("a constant"))?;
    /// link.settle()?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn settle(&self) -> HostResult<()> {
        Ok(wit::settle(&self.raw)?)
    }

    /// Tells the neighbours about every address of the link.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::VethEnd;
    /// let (veth0, eth0) = host.create_veth(&VethEnd::new("veth0"), container, &VethEnd::new("eth0"))?;
    /// veth0.set_up()?;
    /// eth0.set_up()?;
    /// eth0.add_address("10.22.0.2/16".parse().expect("a constant"))?;
    /// eth0.announce()?;
    /// # Ok(())
    /// # });
    /// ```
    pub fn announce(&self) -> HostResult<()> {
        Ok(wit::announce(&self.raw)?)
    }
}

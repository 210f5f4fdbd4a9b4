//! Traffic control.

use crate::bindings::wharf::tc::shaping as wit;
pub use crate::bindings::wharf::tc::shaping::Rate;
use crate::error::HostResult;
use crate::net::Link;

impl Link {
    /// A token bucket at the root: what the link sends.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::tc::Rate;
    /// use wharf_sdk::net::LinkCommon;
    /// let link = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// let rate = Rate { bits_per_second: 8_000_000, burst_bits: 800_000, latency_ms: 25 };
    /// link.set_egress(rate)?;
    /// assert_eq!(link.egress()?.map(|rate| rate.bits_per_second), Some(8_000_000));
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_egress(&self, rate: Rate) -> HostResult<()> {
        Ok(wit::set_egress(&self.raw, rate)?)
    }

    /// The token bucket at the root, as far as the kernel tells; none if the root is another qdisc.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let link = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// assert!(link.egress()?.is_none());
    /// # Ok(())
    /// # });
    /// ```
    pub fn egress(&self) -> HostResult<Option<Rate>> {
        Ok(wit::get_egress(&self.raw)?)
    }

    /// Redirects what the link receives to `to`, an ifb that [`Link::set_egress`] shapes.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, host, container| {
    /// use wharf_sdk::net::{LinkCommon, VethEnd};
    /// let (outside, _inside) = host.create_veth(&VethEnd::new("veth0"), container, &VethEnd::new("eth0"))?;
    /// let ifb = host.create_ifb(&LinkCommon::new("ifb0"))?;
    /// outside.redirect_ingress(&ifb)?;
    /// assert_eq!(outside.redirect()?, Some(ifb.info()?.index));
    /// # Ok(())
    /// # });
    /// ```
    pub fn redirect_ingress(&self, to: &Link) -> HostResult<()> {
        Ok(wit::redirect_ingress(&self.raw, &to.raw)?)
    }

    /// The index of the link that [`Link::redirect_ingress`] sends to.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let link = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// assert_eq!(link.redirect()?, None);
    /// # Ok(())
    /// # });
    /// ```
    pub fn redirect(&self) -> HostResult<Option<u32>> {
        Ok(wit::get_redirect(&self.raw)?)
    }

    /// Removes the root and the ingress qdisc; absent is success.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::tc::Rate;
    /// use wharf_sdk::net::LinkCommon;
    /// let link = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// link.set_egress(Rate { bits_per_second: 8_000_000, burst_bits: 800_000, latency_ms: 25 })?;
    /// link.clear_shaping()?;
    /// assert!(link.egress()?.is_none());
    /// # Ok(())
    /// # });
    /// ```
    pub fn clear_shaping(&self) -> HostResult<()> {
        Ok(wit::clear(&self.raw)?)
    }
}

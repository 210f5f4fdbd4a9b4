//! Traffic control.

use crate::bindings::wharf::tc::shaping as wit;
pub use crate::bindings::wharf::tc::shaping::Rate;
use crate::error::HostResult;
use crate::net::Link;

impl Link {
    /// A token bucket at the root: what the link sends.
    pub fn set_egress(&self, rate: Rate) -> HostResult<()> {
        Ok(wit::set_egress(&self.raw, rate)?)
    }

    /// The token bucket at the root, as far as the kernel tells; none if the root is another qdisc.
    pub fn egress(&self) -> HostResult<Option<Rate>> {
        Ok(wit::get_egress(&self.raw)?)
    }

    /// Redirects what the link receives to `to`, an ifb that [`Link::set_egress`] shapes.
    pub fn redirect_ingress(&self, to: &Link) -> HostResult<()> {
        Ok(wit::redirect_ingress(&self.raw, &to.raw)?)
    }

    /// The index of the link that [`Link::redirect_ingress`] sends to.
    pub fn redirect(&self) -> HostResult<Option<u32>> {
        Ok(wit::get_redirect(&self.raw)?)
    }

    /// Removes the root and the ingress qdisc; absent is success.
    pub fn clear_shaping(&self) -> HostResult<()> {
        Ok(wit::clear(&self.raw)?)
    }
}

//! Interface addresses.

use ipnetwork::IpNetwork;

use super::Link;
use crate::bindings::wharf::net::addresses as wit;
use crate::error::HostResult;

impl Link {
    /// Adds an address; IPv4 below /31 gets its broadcast address.
    pub fn add_address(&self, address: IpNetwork) -> HostResult<()> {
        Ok(wit::add(&self.raw, address.into())?)
    }

    /// Removes an address; absent is success.
    pub fn remove_address(&self, address: IpNetwork) -> HostResult<()> {
        Ok(wit::remove(&self.raw, address.into())?)
    }

    /// Every address of the link.
    pub fn addresses(&self) -> HostResult<Vec<IpNetwork>> {
        Ok(wit::get_all(&self.raw)?.into_iter().map(Into::into).collect())
    }

    /// Waits for duplicate address detection of all IPv6 addresses; `conflict` names one that somebody else holds.
    pub fn settle(&self) -> HostResult<()> {
        Ok(wit::settle(&self.raw)?)
    }

    /// Tells the neighbours about every address of the link.
    pub fn announce(&self) -> HostResult<()> {
        Ok(wit::announce(&self.raw)?)
    }
}

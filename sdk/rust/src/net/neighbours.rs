//! The neighbour tables: ARP and NDP.

use std::net::IpAddr;

use super::Link;
use crate::addr::Mac;
use crate::bindings::wharf::net::neighbours as wit;
use crate::error::HostResult;

/// An entry of a neighbour table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Neighbour {
    /// Whose.
    pub address: IpAddr,
    /// Its hardware address, once known.
    pub mac: Option<Mac>,
    /// Never asked for again.
    pub permanent: bool,
}

impl Link {
    /// Sets a permanent neighbour; one that is there is replaced.
    pub fn set_neighbour(&self, address: IpAddr, mac: Mac) -> HostResult<()> {
        Ok(wit::set(&self.raw, address.into(), mac.into())?)
    }

    /// Removes a neighbour; absent is success.
    pub fn remove_neighbour(&self, address: IpAddr) -> HostResult<()> {
        Ok(wit::remove(&self.raw, address.into())?)
    }

    /// Every neighbour of the link.
    pub fn neighbours(&self) -> HostResult<Vec<Neighbour>> {
        let all = wit::get_all(&self.raw)?.into_iter();
        Ok(all
            .map(|wit::Neighbour { address, mac, permanent }| Neighbour {
                address: address.into(),
                mac: mac.map(Into::into),
                permanent,
            })
            .collect())
    }
}

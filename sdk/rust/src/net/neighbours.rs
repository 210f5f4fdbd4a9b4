//! The neighbour tables: ARP and NDP.

use std::net::IpAddr;

use super::Link;
use crate::addr::Mac;
use crate::bindings::wharf::net::neighbours as wit;
use crate::error::HostResult;

/// An entry of a neighbour table.
///
/// ```
/// use wharf_sdk::net::Neighbour;
/// let gateway = Neighbour { address: [10, 22, 0, 1].into(), mac: None, permanent: false };
/// assert!(gateway.mac.is_none(), "asked for, and not answered yet");
/// ```
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
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let link = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// let mac = "0a:58:0a:16:00:01".parse().expect("a constant");
    /// link.set_up()?;
    /// link.set_neighbour([10, 22, 0, 1].into(), mac)?;
    /// assert_eq!(link.neighbours()?[0].mac, Some(mac));
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_neighbour(&self, address: IpAddr, mac: Mac) -> HostResult<()> {
        Ok(wit::set(&self.raw, address.into(), mac.into())?)
    }

    /// Removes a neighbour; absent is success.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// use wharf_sdk::net::LinkCommon;
    /// let link = container.create_ifb(&LinkCommon::new("ifb0"))?;
    /// link.set_up()?;
    /// link.set_neighbour([10, 22, 0, 1].into(), "0a:58:0a:16:00:01".parse().expect("a constant"))?;
    /// link.remove_neighbour([10, 22, 0, 1].into())?;
    /// assert!(link.neighbours()?.is_empty());
    /// # Ok(())
    /// # });
    /// ```
    pub fn remove_neighbour(&self, address: IpAddr) -> HostResult<()> {
        Ok(wit::remove(&self.raw, address.into())?)
    }

    /// Every neighbour of the link.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// let lo = container.link("lo")?.expect("every namespace has one");
    /// assert!(lo.neighbours()?.is_empty());
    /// # Ok(())
    /// # });
    /// ```
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

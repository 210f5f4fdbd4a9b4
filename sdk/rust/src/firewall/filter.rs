//! Packet filters for the attachment of the call.

use crate::addr::Mac;
use crate::bindings::wharf::firewall::filter as wit;
use crate::error::HostResult;

/// Frames that enter the host by bridge port `link` must come from `allowed`; others are dropped.
///
/// ```
/// # wharf_testkit::run(|_request, host, container| {
/// use wharf_sdk::{firewall::filter, net::VethEnd};
/// host.create_veth(&VethEnd::new("port0"), container, &VethEnd::new("eth0"))?;
/// let mac = "0a:58:0a:16:00:02".parse().expect("a constant");
/// filter::anti_spoof("port0", mac)?;
/// assert_eq!(filter::allowed_source("port0")?, Some(mac));
/// # Ok(())
/// # });
/// ```
pub fn anti_spoof(link: &str, allowed: Mac) -> HostResult<()> {
    Ok(wit::anti_spoof(link, allowed.into())?)
}

/// Which hardware address `link` is held to, if it is.
///
/// ```
/// # wharf_testkit::run(|_, _, _| {
/// assert_eq!(wharf_sdk::firewall::filter::allowed_source("port0")?, None);
/// # Ok(())
/// # });
/// ```
pub fn allowed_source(link: &str) -> HostResult<Option<Mac>> {
    Ok(wit::get_anti_spoof(link)?.map(Into::into))
}

/// Removes the attachment's filter; absent is success.
///
/// ```
/// # wharf_testkit::run(|_request, host, container| {
/// use wharf_sdk::{firewall::filter, net::VethEnd};
/// host.create_veth(&VethEnd::new("port0"), container, &VethEnd::new("eth0"))?;
/// let mac = "0a:58:0a:16:00:02".parse().expect("a constant");
/// filter::anti_spoof("port0", mac)?;
/// filter::remove_anti_spoof()?;
/// assert_eq!(filter::allowed_source("port0")?, None);
/// # Ok(())
/// # });
/// ```
pub fn remove_anti_spoof() -> HostResult<()> {
    Ok(wit::remove_anti_spoof()?)
}

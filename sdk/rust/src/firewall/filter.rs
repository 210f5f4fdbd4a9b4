//! Packet filters for the attachment of the call.

use crate::addr::Mac;
use crate::bindings::wharf::firewall::filter as wit;
use crate::error::HostResult;

/// Frames that enter the host by bridge port `link` must come from `allowed`; others are dropped.
pub fn anti_spoof(link: &str, allowed: Mac) -> HostResult<()> {
    Ok(wit::anti_spoof(link, allowed.into())?)
}

/// Which hardware address `link` is held to, if it is.
pub fn allowed_source(link: &str) -> HostResult<Option<Mac>> {
    Ok(wit::get_anti_spoof(link)?.map(Into::into))
}

/// Removes the attachment's filter; absent is success.
pub fn remove_anti_spoof() -> HostResult<()> {
    Ok(wit::remove_anti_spoof()?)
}

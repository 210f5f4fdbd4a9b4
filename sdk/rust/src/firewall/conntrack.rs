//! Connection tracking.

use crate::bindings::wharf::firewall::conntrack as wit;
pub use crate::bindings::wharf::firewall::conntrack::Family;
use crate::error::HostResult;

/// Forgets the UDP flows to a host port, so that they are looked up again. Answers how many there were, if the
/// kernel tells.
///
/// ```
/// # wharf_testkit::run(|_, _, _| {
/// use wharf_sdk::firewall::conntrack::{Family, flush_udp};
/// if let Some(flows) = flush_udp(Family::Ipv4, 53)? {
///     wharf_sdk::debug!("forgot {flows} flows");
/// }
/// # Ok(())
/// # });
/// ```
pub fn flush_udp(family: Family, port: u16) -> HostResult<Option<u32>> {
    Ok(wit::flush_udp(family, port)?)
}

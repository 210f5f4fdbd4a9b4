//! Kernel parameters of one namespace.

use super::Netns;
use crate::bindings::wharf::net::sysctl as wit;
use crate::error::HostResult;

impl Netns {
    /// Reads a parameter: `key` is the path below /proc/sys/net with slashes, e.g. `ipv4/ip_forward`.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// assert_eq!(container.sysctl("ipv4/ip_forward")?, "0");
    /// # Ok(())
    /// # });
    /// ```
    pub fn sysctl(&self, key: &str) -> HostResult<String> {
        Ok(wit::read(self, key)?)
    }

    /// Writes a parameter if its value differs.
    ///
    /// ```
    /// # wharf_testkit::run(|_request, _host, container| {
    /// container.set_sysctl("ipv4/ip_forward", "1")?;
    /// assert_eq!(container.sysctl("ipv4/ip_forward")?, "1");
    /// # Ok(())
    /// # });
    /// ```
    pub fn set_sysctl(&self, key: &str, value: &str) -> HostResult<()> {
        Ok(wit::write(self, key, value)?)
    }
}

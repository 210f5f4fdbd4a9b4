//! Kernel parameters of one namespace.

use super::Netns;
use crate::bindings::wharf::net::sysctl as wit;
use crate::error::HostResult;

impl Netns {
    /// Reads a parameter: `key` is the path below /proc/sys/net with slashes, e.g. `ipv4/ip_forward`.
    pub fn sysctl(&self, key: &str) -> HostResult<String> {
        Ok(wit::read(self, key)?)
    }

    /// Writes a parameter if its value differs.
    pub fn set_sysctl(&self, key: &str, value: &str) -> HostResult<()> {
        Ok(wit::write(self, key, value)?)
    }
}

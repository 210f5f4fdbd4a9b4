//! Running another plugin, IPAM above all, under the same attachment.

use serde::Deserialize;

use crate::bindings::wharf::host::delegate as wit;
use crate::config::{Config, null_as_default};
use crate::error::{Error, Result};
use crate::request::Request;
use crate::result::NetworkResult;

/// ADD of another plugin. `config` is what it reads on its standard input.
pub fn add(plugin: &str, config: &str) -> Result<NetworkResult> {
    Ok(wit::add(plugin, config)?.into())
}

/// CHECK of another plugin.
pub fn check(plugin: &str, config: &str) -> Result<()> {
    Ok(wit::check(plugin, config)?)
}

/// DEL of another plugin.
pub fn del(plugin: &str, config: &str) -> Result<()> {
    Ok(wit::del(plugin, config)?)
}

/// STATUS of another plugin.
pub fn status(plugin: &str, config: &str) -> Result<()> {
    Ok(wit::status(plugin, config)?)
}

/// GC of another plugin.
pub fn gc(plugin: &str, config: &str) -> Result<()> {
    Ok(wit::gc(plugin, config)?)
}

/// The address manager that a configuration names as `ipam.type`.
///
/// ```
/// use wharf_sdk::{Config, delegate::Ipam};
/// let config = Config::new(r#"{"ipam": {"type": "host-local"}}"#);
/// assert_eq!(Ipam::of(&config)?.unwrap().plugin(), "host-local");
/// assert!(Ipam::of(&Config::new(r#"{"ipam": {}}"#))?.is_none());
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ipam {
    plugin: String,
    config: Config,
}

impl Ipam {
    /// The address manager of a configuration, if it names one.
    pub fn of(config: &Config) -> Result<Option<Self>> {
        #[derive(Default, Deserialize)]
        struct Section {
            #[serde(default, rename = "type", deserialize_with = "null_as_default")]
            plugin: String,
        }
        #[derive(Deserialize)]
        struct Root {
            #[serde(default, deserialize_with = "null_as_default")]
            ipam: Section,
        }
        let plugin = config.parse::<Root>()?.ipam.plugin;
        Ok((!plugin.is_empty()).then(|| Self { plugin, config: config.clone() }))
    }

    /// The address manager of a request, if its configuration names one.
    pub fn of_request(request: &Request) -> Result<Option<Self>> {
        Self::of(request.raw_config())
    }

    /// Its name.
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Asks for addresses and validates the answer: at least one address, no interfaces.
    pub fn add(&self) -> Result<NetworkResult> {
        validate(&self.plugin, add(&self.plugin, self.config.as_str())?)
    }

    /// Whether it still knows the attachment.
    pub fn check(&self) -> Result<()> {
        check(&self.plugin, self.config.as_str())
    }

    /// Gives the addresses back.
    pub fn del(&self) -> Result<()> {
        del(&self.plugin, self.config.as_str())
    }

    /// Whether it can serve an ADD.
    pub fn status(&self) -> Result<()> {
        status(&self.plugin, self.config.as_str())
    }

    /// Collects what no valid attachment holds.
    pub fn gc(&self) -> Result<()> {
        gc(&self.plugin, self.config.as_str())
    }
}

/// An answer of an address manager: at least one address; interfaces and indices, which are not its to give, dropped.
fn validate(plugin: &str, mut result: NetworkResult) -> Result<NetworkResult> {
    if result.ips.is_empty() {
        return Err(Error::plugin(format!("IPAM plugin {plugin:?} returned missing IP config")));
    }
    result.interfaces.clear();
    for ip in &mut result.ips {
        ip.interface = None;
    }
    Ok(result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::{Interface, IpConfig};

    #[test]
    fn an_answer_without_addresses_is_refused() {
        let error = validate("mine", NetworkResult::default()).unwrap_err();
        assert_eq!(error.msg, "IPAM plugin \"mine\" returned missing IP config");
    }

    #[test]
    fn interfaces_of_an_address_manager_are_dropped() {
        let mut result = NetworkResult::default();
        let index = result.add_interface(Interface::new("eth0"));
        result.ips.push(IpConfig::new("10.0.0.2/24".parse().unwrap()).on(index));
        let result = validate("mine", result).unwrap();
        assert!(result.interfaces.is_empty());
        assert_eq!(result.ips[0].interface, None);
    }
}

//! Running another plugin, IPAM above all, under the same attachment.

use serde::Deserialize;

use crate::bindings::wharf::host::delegate as wit;
use crate::config::{Config, null_as_default};
use crate::error::{Error, Result};
use crate::request::Request;
use crate::result::NetworkResult;

/// ADD of another plugin. `config` is what it reads on its standard input.
///
/// ```
/// use wharf_sdk::{IpConfig, NetworkResult, delegate};
/// let node = wharf_testkit::Node::new();
/// let ips = vec![IpConfig::new("10.22.0.2/16".parse()?)];
/// node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
/// let config = r#"{"ipam": {"type": "always"}}"#;
/// node.run(&node.container("c1"), |_, _, _| {
///     assert_eq!(delegate::add("always", config)?.ips.len(), 1);
///     assert!(delegate::add("nobody", config).is_err());
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn add(plugin: &str, config: &str) -> Result<NetworkResult> {
    Ok(wit::add(plugin, config)?.into())
}

/// CHECK of another plugin.
///
/// ```
/// use wharf_sdk::{IpConfig, NetworkResult, delegate};
/// let node = wharf_testkit::Node::new();
/// let ips = vec![IpConfig::new("10.22.0.2/16".parse()?)];
/// node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
/// let config = r#"{"ipam": {"type": "always"}}"#;
/// node.run(&node.container("c1"), |_, _, _| {
///     delegate::check("always", config)?;
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check(plugin: &str, config: &str) -> Result<()> {
    Ok(wit::check(plugin, config)?)
}

/// DEL of another plugin.
///
/// ```
/// use wharf_sdk::{IpConfig, NetworkResult, delegate};
/// let node = wharf_testkit::Node::new();
/// let ips = vec![IpConfig::new("10.22.0.2/16".parse()?)];
/// node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
/// let config = r#"{"ipam": {"type": "always"}}"#;
/// node.run(&node.container("c1"), |_, _, _| {
///     delegate::del("always", config)?;
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn del(plugin: &str, config: &str) -> Result<()> {
    Ok(wit::del(plugin, config)?)
}

/// STATUS of another plugin.
///
/// ```
/// use wharf_sdk::{IpConfig, NetworkResult, delegate};
/// let node = wharf_testkit::Node::new();
/// let ips = vec![IpConfig::new("10.22.0.2/16".parse()?)];
/// node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
/// let config = r#"{"ipam": {"type": "always"}}"#;
/// node.run(&node.container("c1"), |_, _, _| {
///     delegate::status("always", config)?;
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn status(plugin: &str, config: &str) -> Result<()> {
    Ok(wit::status(plugin, config)?)
}

/// GC of another plugin.
///
/// ```
/// use wharf_sdk::{IpConfig, NetworkResult, delegate};
/// let node = wharf_testkit::Node::new();
/// let ips = vec![IpConfig::new("10.22.0.2/16".parse()?)];
/// node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
/// let config = r#"{"ipam": {"type": "always"}}"#;
/// node.run(&node.container("c1"), |_, _, _| {
///     delegate::gc("always", config)?;
///     Ok(())
/// })?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
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
    ///
    /// ```
    /// use wharf_sdk::{Config, delegate::Ipam};
    /// assert!(Ipam::of(&Config::new("{}"))?.is_none());
    /// # Ok::<(), wharf_sdk::Error>(())
    /// ```
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
    ///
    /// ```
    /// # wharf_testkit::run(|request, _, _| {
    /// use wharf_sdk::delegate::Ipam;
    /// assert!(Ipam::of_request(request)?.is_none(), "a layer 2 network");
    /// # Ok(())
    /// # });
    /// ```
    pub fn of_request(request: &Request) -> Result<Option<Self>> {
        Self::of(request.raw_config())
    }

    /// Its name.
    ///
    /// ```
    /// use wharf_sdk::{Config, delegate::Ipam};
    /// let ipam = Ipam::of(&Config::new(r#"{"ipam": {"type": "host-local"}}"#))?;
    /// assert_eq!(ipam.expect("it is named").plugin(), "host-local");
    /// # Ok::<(), wharf_sdk::Error>(())
    /// ```
    pub fn plugin(&self) -> &str {
        &self.plugin
    }

    /// Asks for addresses and validates the answer: at least one address, no interfaces.
    ///
    /// ```
    /// use wharf_sdk::{IpConfig, NetworkResult, Config, delegate};
    /// let node = wharf_testkit::Node::new();
    /// let ips = vec![IpConfig::new("10.22.0.2/16".parse()?)];
    /// node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
    /// let config = Config::new(r#"{"ipam": {"type": "always"}}"#);
    /// let ipam = delegate::Ipam::of(&config)?.expect("it is named");
    /// node.run(&node.container("c1"), |_, _, _| {
    ///     assert_eq!(ipam.add()?.ips[0].address.to_string(), "10.22.0.2/16");
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn add(&self) -> Result<NetworkResult> {
        validate(&self.plugin, add(&self.plugin, self.config.as_str())?)
    }

    /// Whether it still knows the attachment.
    ///
    /// ```
    /// use wharf_sdk::{IpConfig, NetworkResult, Config, delegate};
    /// let node = wharf_testkit::Node::new();
    /// let ips = vec![IpConfig::new("10.22.0.2/16".parse()?)];
    /// node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
    /// let config = Config::new(r#"{"ipam": {"type": "always"}}"#);
    /// let ipam = delegate::Ipam::of(&config)?.expect("it is named");
    /// node.run(&node.container("c1"), |_, _, _| {
    ///     ipam.check()?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn check(&self) -> Result<()> {
        check(&self.plugin, self.config.as_str())
    }

    /// Gives the addresses back.
    ///
    /// ```
    /// use wharf_sdk::{IpConfig, NetworkResult, Config, delegate};
    /// let node = wharf_testkit::Node::new();
    /// let ips = vec![IpConfig::new("10.22.0.2/16".parse()?)];
    /// node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
    /// let config = Config::new(r#"{"ipam": {"type": "always"}}"#);
    /// let ipam = delegate::Ipam::of(&config)?.expect("it is named");
    /// node.run(&node.container("c1"), |_, _, _| {
    ///     ipam.del()?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn del(&self) -> Result<()> {
        del(&self.plugin, self.config.as_str())
    }

    /// Whether it can serve an ADD.
    ///
    /// ```
    /// use wharf_sdk::{IpConfig, NetworkResult, Config, delegate};
    /// let node = wharf_testkit::Node::new();
    /// let ips = vec![IpConfig::new("10.22.0.2/16".parse()?)];
    /// node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
    /// let config = Config::new(r#"{"ipam": {"type": "always"}}"#);
    /// let ipam = delegate::Ipam::of(&config)?.expect("it is named");
    /// node.run(&node.container("c1"), |_, _, _| {
    ///     ipam.status()?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn status(&self) -> Result<()> {
        status(&self.plugin, self.config.as_str())
    }

    /// Collects what no valid attachment holds.
    ///
    /// ```
    /// use wharf_sdk::{IpConfig, NetworkResult, Config, delegate};
    /// let node = wharf_testkit::Node::new();
    /// let ips = vec![IpConfig::new("10.22.0.2/16".parse()?)];
    /// node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
    /// let config = Config::new(r#"{"ipam": {"type": "always"}}"#);
    /// let ipam = delegate::Ipam::of(&config)?.expect("it is named");
    /// node.run(&node.container("c1"), |_, _, _| {
    ///     ipam.gc()?;
    ///     Ok(())
    /// })?;
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
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

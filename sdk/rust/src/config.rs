//! The plugin's configuration: JSON in, a guest's own type out, errors that name the key.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::error::{Error, Result, code};
use crate::json::Json;

/// A plugin object as the host passes it: `name`, `cniVersion` and `runtimeConfig` included, `prevResult` removed.
///
/// ```
/// use wharf_sdk::Config;
/// #[derive(serde::Deserialize)]
/// struct Ipam { subnet: String }
/// #[derive(serde::Deserialize)]
/// struct Mine { ipam: Ipam }
///
/// let config = Config::new(r#"{"name": "lan", "ipam": {"subnet": "10.0.0.0/24"}}"#);
/// assert_eq!(config.parse::<Mine>()?.ipam.subnet, "10.0.0.0/24");
///
/// let error = Config::new(r#"{"ipam": {"subnet": 7}}"#).parse::<Mine>().err().unwrap();
/// assert_eq!(error.msg, "invalid network config: ipam.subnet: expected a string, found 7");
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    text: String,
}

impl Config {
    /// A configuration of this JSON text.
    ///
    /// ```
    /// assert_eq!(wharf_sdk::Config::new("{}").as_str(), "{}");
    /// ```
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// The JSON text: what a delegate is given.
    ///
    /// ```
    /// let config = wharf_sdk::Config::new(r#"{"mtu": 1400}"#);
    /// assert_eq!(config.as_str(), r#"{"mtu": 1400}"#);
    /// ```
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads it as `T`. Keys that `T` does not know are ignored, as CNI wants it, unless `T` denies them; keys match
    /// without regard to case if none matches exactly.
    ///
    /// ```
    /// #[derive(serde::Deserialize)]
    /// #[serde(rename_all = "camelCase")]
    /// struct Mine { host_port: u16 }
    ///
    /// let config = wharf_sdk::Config::new(r#"{"HostPort": 80, "unknown": true}"#);
    /// assert_eq!(config.parse::<Mine>()?.host_port, 80);
    /// # Ok::<(), wharf_sdk::Error>(())
    /// ```
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let value: Value = serde_json::from_str(&self.text).map_err(|error| {
            Error::new(code::DECODING_FAILURE, format!("the network config is not JSON: {error}"))
        })?;
        T::deserialize(Json(&value)).map_err(|error| {
            let path = error.path();
            if path.is_empty() {
                Error::new(code::INVALID_CONFIG, format!("invalid network config: {error}"))
            } else {
                Error::config(path, error)
            }
        })
    }
}

/// For `#[serde(default, deserialize_with = "...")]`: `null` counts as absent, as it does for other CNI plugins.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Mine {
///     #[serde(default, deserialize_with = "wharf_sdk::config::null_as_default")]
///     rates: Vec<u64>,
/// }
/// assert!(wharf_sdk::Config::new(r#"{"rates": null}"#).parse::<Mine>()?.rates.is_empty());
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
pub fn null_as_default<'de, D, T>(from: D) -> std::result::Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(from).map(Option::unwrap_or_default)
}

/// For `deserialize_with`: an address, with a message that names a value which is none.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Mine {
///     #[serde(deserialize_with = "wharf_sdk::config::address")]
///     value: std::net::IpAddr,
/// }
/// let config = wharf_sdk::Config::new(r#"{"value": "10.22.0.1"}"#);
/// assert_eq!(config.parse::<Mine>()?.value, std::net::IpAddr::from([10, 22, 0, 1]));
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
pub fn address<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<IpAddr, D::Error> {
    parse_address(&String::deserialize(from)?).map_err(de::Error::custom)
}

/// For `deserialize_with`: an address; `null` and `""` count as none.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Mine {
///     #[serde(default, deserialize_with = "wharf_sdk::config::optional_address")]
///     value: Option<std::net::IpAddr>,
/// }
/// let config = wharf_sdk::Config::new(r#"{"value": ""}"#);
/// assert_eq!(config.parse::<Mine>()?.value, None);
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
pub fn optional_address<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<IpAddr>, D::Error> {
    let text = Option::<String>::deserialize(from)?.filter(|text| !text.is_empty());
    text.map(|text| parse_address(&text)).transpose().map_err(de::Error::custom)
}

/// For `deserialize_with`: an address with its prefix length, host bits allowed.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Mine {
///     #[serde(deserialize_with = "wharf_sdk::config::cidr")]
///     value: wharf_sdk::IpNetwork,
/// }
/// let config = wharf_sdk::Config::new(r#"{"value": "10.22.0.1/16"}"#);
/// assert_eq!(config.parse::<Mine>()?.value, "10.22.0.1/16".parse().expect("a constant"));
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
pub fn cidr<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<IpNetwork, D::Error> {
    parse_cidr(&String::deserialize(from)?).map_err(de::Error::custom)
}

/// For `deserialize_with`: an address with its prefix length; `null` and `""` count as none.
///
/// ```
/// #[derive(serde::Deserialize)]
/// struct Mine {
///     #[serde(default, deserialize_with = "wharf_sdk::config::optional_cidr")]
///     value: Option<wharf_sdk::IpNetwork>,
/// }
/// let config = wharf_sdk::Config::new(r#"{"value": null}"#);
/// assert_eq!(config.parse::<Mine>()?.value, None);
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
pub fn optional_cidr<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<IpNetwork>, D::Error> {
    let text = Option::<String>::deserialize(from)?.filter(|text| !text.is_empty());
    text.map(|text| parse_cidr(&text)).transpose().map_err(de::Error::custom)
}

/// Reads an address; an IPv4-mapped IPv6 one is IPv4. The error is a text that names the value.
///
/// ```
/// use wharf_sdk::config::parse_address;
/// assert_eq!(parse_address("::ffff:10.0.0.1"), Ok([10, 0, 0, 1].into()));
/// assert_eq!(parse_address("10.0.0"), Err("\"10.0.0\" is not an IP address".into()));
/// ```
pub fn parse_address(text: &str) -> std::result::Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| format!("{text:?} is not an IP address"))?;
    Ok(address.to_canonical())
}

/// Reads `ADDRESS/PREFIX`. The error is a text that names the value.
///
/// ```
/// use wharf_sdk::config::parse_cidr;
/// assert_eq!(parse_cidr("10.22.0.1/16").map(|cidr| cidr.prefix()), Ok(16));
/// assert!(parse_cidr("10.22.0.1").is_err());
/// ```
pub fn parse_cidr(text: &str) -> std::result::Result<IpNetwork, String> {
    let wrong = || format!("{text:?} is not an address with a prefix length, such as \"10.22.0.0/16\"");
    let (address, prefix) = text.split_once('/').ok_or_else(wrong)?;
    if prefix.is_empty() || !prefix.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let address: IpAddr = address.parse().map_err(|_| wrong())?;
    let prefix = prefix.parse().map_err(|_| wrong())?;
    IpNetwork::new(address, prefix).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    struct Sample {
        #[serde(default, deserialize_with = "optional_address")]
        gw: Option<IpAddr>,
        #[serde(default, deserialize_with = "optional_cidr")]
        net: Option<IpNetwork>,
    }

    fn sample(json: &str) -> Result<Sample> {
        Config::new(json).parse()
    }

    #[test]
    fn addresses_are_read_as_other_plugins_read_them() {
        for (json, gw, net) in [
            ("{}", None, None),
            (r#"{"gw":"","net":null}"#, None, None),
            (r#"{"gw":"::ffff:10.0.0.1","net":"10.0.0.1/8"}"#, Some("10.0.0.1"), Some("10.0.0.1/8")),
            (r#"{"gw":"FD00::1","net":"fd00::/0"}"#, Some("fd00::1"), Some("fd00::/0")),
        ] {
            let read = sample(json).unwrap();
            let shown = (read.gw.map(|gw| gw.to_string()), read.net.map(|net| net.to_string()));
            assert_eq!(shown, (gw.map(str::to_owned), net.map(str::to_owned)), "{json}");
        }
    }

    #[test]
    fn bad_input_has_a_code_and_names_key_and_value() {
        for (json, code, key, value) in [
            (r#"{"gw":"10.0.0"}"#, code::INVALID_CONFIG, "gw", "\"10.0.0\""),
            (r#"{"gw":"10.0.0.01"}"#, code::INVALID_CONFIG, "gw", "\"10.0.0.01\""),
            (r#"{"gw":7}"#, code::INVALID_CONFIG, "gw", "7"),
            (r#"{"net":"10.0.0.0/"}"#, code::INVALID_CONFIG, "net", "\"10.0.0.0/\""),
            (r#"{"net":"10.0.0.0/33"}"#, code::INVALID_CONFIG, "net", "\"10.0.0.0/33\""),
            (r#"{"net":"10.0.0.0/255.0.0.0"}"#, code::INVALID_CONFIG, "net", "255.0.0.0"),
            (r#"{"net":"fd00::/129"}"#, code::INVALID_CONFIG, "net", "\"fd00::/129\""),
            ("[]", code::INVALID_CONFIG, "", "expected an object, found an array of 0"),
            (r#"{"gw":"#, code::DECODING_FAILURE, "", "EOF"),
            ("{} {}", code::DECODING_FAILURE, "", "trailing characters"),
            ("", code::DECODING_FAILURE, "", "EOF"),
        ] {
            let error = sample(json).unwrap_err();
            assert_eq!(error.code, code, "{json}: {error}");
            assert!(error.msg.contains(key) && error.msg.contains(value), "{json}: {error}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error_and_no_stack_overflow() {
        let error = sample(&"[".repeat(100_000)).unwrap_err();
        assert_eq!(error.code, code::DECODING_FAILURE);
    }
}

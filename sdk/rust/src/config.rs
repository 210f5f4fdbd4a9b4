//! The plugin's configuration: JSON in, a guest's own type out, errors that name the key.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::de::{self, DeserializeOwned};
use serde::{Deserialize, Deserializer};

use crate::error::{Error, Result, code};

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
/// assert_eq!(error.msg, "invalid network config: ipam.subnet: invalid type: integer `7`, expected a string");
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    text: String,
}

impl Config {
    /// A configuration of this JSON text.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }

    /// The JSON text: what a delegate is given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Reads it as `T`. Keys that `T` does not know are ignored, as CNI wants it, unless `T` denies them.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T> {
        let mut json = serde_json::Deserializer::from_str(&self.text);
        let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            let cause = error.inner();
            let reason = without_position(&cause.to_string());
            match cause.classify() {
                serde_json::error::Category::Data if path == "." => {
                    Error::new(code::INVALID_CONFIG, format!("invalid network config: {reason}"))
                }
                serde_json::error::Category::Data => Error::config(path, reason),
                _ => Error::new(code::DECODING_FAILURE, format!("the network config is not JSON: {cause}")),
            }
        })?;
        json.end().map_err(|error| {
            Error::new(code::DECODING_FAILURE, format!("the network config is not JSON: {error}"))
        })?;
        Ok(value)
    }
}

/// The host wrote the text anew, so serde's ` at line 1 column 9` points nowhere in the user's file.
fn without_position(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(text, _)| text).to_owned()
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
pub fn address<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<IpAddr, D::Error> {
    parse_address(&String::deserialize(from)?).map_err(de::Error::custom)
}

/// For `deserialize_with`: an address; `null` and `""` count as none.
pub fn optional_address<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<IpAddr>, D::Error> {
    let text = Option::<String>::deserialize(from)?.filter(|text| !text.is_empty());
    text.map(|text| parse_address(&text)).transpose().map_err(de::Error::custom)
}

/// For `deserialize_with`: an address with its prefix length, host bits allowed.
pub fn cidr<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<IpNetwork, D::Error> {
    parse_cidr(&String::deserialize(from)?).map_err(de::Error::custom)
}

/// For `deserialize_with`: an address with its prefix length; `null` and `""` count as none.
pub fn optional_cidr<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<Option<IpNetwork>, D::Error> {
    let text = Option::<String>::deserialize(from)?.filter(|text| !text.is_empty());
    text.map(|text| parse_cidr(&text)).transpose().map_err(de::Error::custom)
}

/// Reads an address; an IPv4-mapped IPv6 one is IPv4. The error is a text that names the value.
pub fn parse_address(text: &str) -> std::result::Result<IpAddr, String> {
    let address: IpAddr = text.parse().map_err(|_| format!("{text:?} is not an IP address"))?;
    Ok(address.to_canonical())
}

/// Reads `ADDRESS/PREFIX`. The error is a text that names the value.
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

//! Addresses: `std` and `ipnetwork` types outside, WIT types at the border, and what both lack.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnetwork::IpNetwork;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::bindings::wharf::types::ip as wit;

/// An EUI-48 hardware address.
///
/// ```
/// let mac: wharf_sdk::Mac = "0a:58:0A:16:00:02".parse()?;
/// assert_eq!(mac.to_string(), "0a:58:0a:16:00:02");
/// assert!("0a:58".parse::<wharf_sdk::Mac>().is_err());
/// # Ok::<(), wharf_sdk::ParseMacError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac(pub [u8; 6]);

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            let colon = if index == 0 { "" } else { ":" };
            write!(f, "{colon}{byte:02x}")?;
        }
        Ok(())
    }
}

/// A text is not a hardware address.
///
/// ```
/// let error = "10.0.0.1".parse::<wharf_sdk::Mac>().unwrap_err();
/// assert!(error.to_string().contains("\"10.0.0.1\" is not a MAC address"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a MAC address; write six bytes, such as \"0a:58:0a:16:00:02\"")]
pub struct ParseMacError {
    /// The text.
    pub text: String,
}

impl FromStr for Mac {
    type Err = ParseMacError;

    /// Six bytes of two hexadecimal digits, all separated by `:` or all by `-`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = || ParseMacError { text: text.to_owned() };
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; 6];
        let mut parts = text.split(separator);
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(wrong)?;
            if part.len() != 2 || !part.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() { Err(wrong()) } else { Ok(Self(bytes)) }
    }
}

impl<'de> Deserialize<'de> for Mac {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(de::Error::custom)
    }
}

impl Serialize for Mac {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl From<wit::Mac> for Mac {
    fn from(mac: wit::Mac) -> Self {
        Self(mac.into())
    }
}

impl From<Mac> for wit::Mac {
    fn from(mac: Mac) -> Self {
        mac.0.into()
    }
}

impl From<wit::Address> for IpAddr {
    fn from(address: wit::Address) -> Self {
        match address {
            wit::Address::V4(octets) => Self::V4(Ipv4Addr::from(<[u8; 4]>::from(octets))),
            wit::Address::V6(groups) => Self::V6(Ipv6Addr::from(<[u16; 8]>::from(groups))),
        }
    }
}

impl From<IpAddr> for wit::Address {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(v4) => Self::V4(v4.octets().into()),
            IpAddr::V6(v6) => Self::V6(v6.segments().into()),
        }
    }
}

impl From<wit::Cidr> for IpNetwork {
    fn from(cidr: wit::Cidr) -> Self {
        let address = IpAddr::from(cidr.address);
        // The contract bounds the prefix; a host that breaks it names one address, which is the safest reading.
        Self::new(address, cidr.prefix).unwrap_or_else(|_| Self::from(address))
    }
}

impl From<IpNetwork> for wit::Cidr {
    fn from(network: IpNetwork) -> Self {
        Self { address: network.ip().into(), prefix: network.prefix() }
    }
}

/// Whether two addresses are of one family.
///
/// ```
/// use wharf_sdk::addr::same_family;
/// assert!(same_family([10, 0, 0, 1].into(), [192, 0, 2, 1].into()));
/// assert!(!same_family([10, 0, 0, 1].into(), "fd00::1".parse()?));
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn same_family(a: IpAddr, b: IpAddr) -> bool {
    a.is_ipv4() == b.is_ipv4()
}

/// The address after this one, unless it is the family's last.
///
/// ```
/// use wharf_sdk::addr::successor;
/// assert_eq!(successor("10.0.0.255".parse()?), Some("10.0.1.0".parse()?));
/// assert_eq!(successor("255.255.255.255".parse()?), None);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn successor(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => IpAddr::V4(u32::from(v4).checked_add(1)?.into()),
        IpAddr::V6(v6) => IpAddr::V6(u128::from(v6).checked_add(1)?.into()),
    })
}

/// The address before this one, unless it is the family's first.
///
/// ```
/// use wharf_sdk::addr::predecessor;
/// assert_eq!(predecessor("10.0.1.0".parse()?), Some("10.0.0.255".parse()?));
/// assert_eq!(predecessor("::".parse()?), None);
/// # Ok::<(), std::net::AddrParseError>(())
/// ```
pub fn predecessor(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(v4) => IpAddr::V4(u32::from(v4).checked_sub(1)?.into()),
        IpAddr::V6(v6) => IpAddr::V6(u128::from(v6).checked_sub(1)?.into()),
    })
}

/// The first host of the subnet that holds the address: where a gateway is by default.
///
/// ```
/// use wharf_sdk::addr::first_host;
/// assert_eq!(first_host("10.22.7.9/16".parse()?), "10.22.0.1".parse::<std::net::IpAddr>()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn first_host(subnet: IpNetwork) -> IpAddr {
    let network = subnet.network();
    successor(network).filter(|first| subnet.contains(*first)).unwrap_or(network)
}

/// `0.0.0.0/0` or `::/0`, the destination of a default route, in the family of `like`.
///
/// ```
/// use wharf_sdk::addr::default_destination;
/// assert_eq!(default_destination("10.1.0.1".parse()?), "0.0.0.0/0".parse()?);
/// assert_eq!(default_destination("fd00::1".parse()?), "::/0".parse()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn default_destination(like: IpAddr) -> IpNetwork {
    let unspecified = match like {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
    };
    IpNetwork::new(unspecified, 0).unwrap_or_else(|_| IpNetwork::from(unspecified))
}

/// Whether this is `0.0.0.0/0` or `::/0`.
///
/// ```
/// use wharf_sdk::addr::is_default;
/// assert!(is_default("0.0.0.0/0".parse()?) && !is_default("10.0.0.0/8".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn is_default(destination: IpNetwork) -> bool {
    destination.prefix() == 0 && destination.ip().is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_has_six_bytes_of_two_digits() {
        for (text, wanted) in [
            ("0a:58:0A:16:00:02", Some("0a:58:0a:16:00:02")),
            ("0a-58-0a-16-00-02", Some("0a:58:0a:16:00:02")),
            ("", None),
            ("0a:58:0a:16:00", None),
            ("0a:58:0a:16:00:02:03", None),
            ("0a:58:0a:16:0:002", None),
            ("0a:58:0a:16:00:+2", None),
            ("0a:58:0a:16:00-02", None),
            ("zz:58:0a:16:00:02", None),
        ] {
            let parsed = text.parse::<Mac>();
            assert_eq!(parsed.as_ref().ok().map(ToString::to_string).as_deref(), wanted, "{text}");
            if let Err(error) = parsed {
                assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
            }
        }
    }

    #[test]
    fn addresses_cross_the_border_unchanged() {
        for text in ["10.22.0.2/16", "255.255.255.255/32", "0.0.0.0/0", "fd00:1:2:3:4:5:6:7/64", "::/0"] {
            let network: IpNetwork = text.parse().unwrap();
            assert_eq!(IpNetwork::from(wit::Cidr::from(network)), network);
            assert_eq!(IpAddr::from(wit::Address::from(network.ip())), network.ip());
        }
        let mac: Mac = "0a:58:0a:16:00:02".parse().unwrap();
        assert_eq!(Mac::from(wit::Mac::from(mac)), mac);
        assert!(is_default(default_destination("fd00::1".parse().unwrap())));
        assert!(!is_default("10.0.0.0/0".parse().unwrap()));
    }
}

//! What constraints are made of: globs, networks, ranges. Each is checked when the file is read, so that a typing error is
//! an error and not a line that never matches.

use std::fmt;
use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::de::{Error as _, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

/// Stands for `CNI_IFNAME`.
pub(crate) const IFNAME: &str = "{ifname}";
/// The longest glob, in bytes: as long as the longest sysctl key.
const LONGEST: usize = 255;

/// `*` is any text without a slash, `?` one character other than a slash, `{ifname}` the attachment's interface.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Glob(String);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Token {
    Any,
    One,
    Is(char),
}

impl Glob {
    fn parse(text: String) -> Result<Self, String> {
        let reason = if text.is_empty() {
            "is empty"
        } else if text.len() > LONGEST {
            "is longer than 255 bytes"
        } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
            "has white space or control characters"
        } else if text.replace(IFNAME, "").contains(['{', '}', '[', ']']) {
            "has brackets: the only ones are {ifname}, the rest is `*`, `?` and plain characters"
        } else {
            return Ok(Self(text));
        };
        Err(format!("{text:?} {reason}"))
    }

    /// Without a name for `{ifname}` (a GC is about no interface), patterns that have it match nothing.
    fn matches(&self, text: &str, ifname: &str) -> bool {
        if ifname.is_empty() && self.0.contains(IFNAME) {
            return false;
        }
        wild(&self.tokens(ifname), &text.chars().collect::<Vec<_>>())
    }

    /// The interface's name goes in as plain characters, whatever the runtime called it.
    fn tokens(&self, ifname: &str) -> Vec<Token> {
        let mut tokens = Vec::with_capacity(self.0.len());
        for (index, part) in self.0.split(IFNAME).enumerate() {
            if index > 0 {
                tokens.extend(ifname.chars().map(Token::Is));
            }
            tokens.extend(part.chars().map(|c| match c {
                '*' => Token::Any,
                '?' => Token::One,
                c => Token::Is(c),
            }));
        }
        tokens
    }
}

/// Goes back to the last `*` only, which is enough and keeps the time bounded by the product of the lengths: a slash
/// ends what any earlier one could take.
fn wild(pattern: &[Token], text: &[char]) -> bool {
    let (mut at, mut from) = (0, 0);
    let mut star = None;
    while let Some(c) = text.get(from) {
        match pattern.get(at) {
            Some(Token::Any) => {
                star = Some((at, from));
                at += 1;
            }
            Some(token) if *token == Token::Is(*c) || (*token == Token::One && *c != '/') => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((back, taken)) if text.get(taken) != Some(&'/') => {
                    star = Some((back, taken + 1));
                    at = back + 1;
                    from = taken + 1;
                }
                _ => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|token| *token == Token::Any)
}

/// A glob over names: of links, of plugins.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Name(Glob);

impl Name {
    pub(crate) fn matches(&self, name: &str, ifname: &str) -> bool {
        self.0.matches(name, ifname)
    }
}

impl TryFrom<String> for Name {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text.contains('/') {
            return Err(format!("{text:?} has a slash, which no name has: give a glob such as \"veth*\""));
        }
        let glob = Glob::parse(text);
        glob.map(Self).map_err(|reason| format!("{reason}: give a name or a glob such as \"veth*\""))
    }
}

/// A glob over sysctl keys: paths below /proc/sys/net.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct SysctlKey(Glob);

impl SysctlKey {
    pub(crate) fn matches(&self, key: &str, ifname: &str) -> bool {
        self.0.matches(key, ifname)
    }
}

impl TryFrom<String> for SysctlKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let example = "write the path below /proc/sys/net, as in \"ipv4/conf/*/forwarding\"";
        if text.split('/').any(|part| part.is_empty() || part.starts_with('.')) {
            return Err(format!("{text:?} names no sysctl: {example}"));
        }
        Glob::parse(text).map(Self).map_err(|reason| format!("{reason}: {example}"))
    }
}

/// A network; an address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Cidr(IpNetwork);

impl Cidr {
    /// Whether all of `network` is inside.
    pub(crate) fn covers(self, network: IpNetwork) -> bool {
        self.0.prefix() <= network.prefix() && self.0.contains(network.ip())
    }

    /// Whether the address is inside.
    pub(crate) fn contains(self, address: IpAddr) -> bool {
        self.0.contains(address)
    }
}

impl TryFrom<String> for Cidr {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let network: IpNetwork = text
            .parse()
            .map_err(|_| format!("{text:?} is no network: give a CIDR such as \"10.0.0.0/8\""))?;
        if network.network() == network.ip() {
            return Ok(Self(network));
        }
        let right = format!("{}/{}", network.network(), network.prefix());
        Err(format!("{text:?} has bits behind its prefix: write {right:?}"))
    }
}

/// Where a route may lead: into a network, or to everything that has no route of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(crate) enum Destination {
    /// `default`: the default routes of both families, and nothing else.
    Default,
    /// All that is inside.
    Within(Cidr),
}

impl Destination {
    /// Whether a route to `network` is allowed.
    pub(crate) fn covers(self, network: IpNetwork) -> bool {
        match self {
            Self::Default => network.prefix() == 0,
            Self::Within(cidr) => cidr.covers(network),
        }
    }
}

impl TryFrom<String> for Destination {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "default" {
            return Ok(Self::Default);
        }
        Cidr::try_from(text).map(Self::Within).map_err(|reason| format!("{reason}, or \"default\""))
    }
}

/// A number from 1 to `MAX`, or a range of them: `80`, `"80"`, `"1024-65535"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span<const MAX: u16> {
    first: u16,
    last: u16,
}

/// Ports of a transport protocol.
pub(crate) type Ports = Span<65535>;
/// VLAN IDs.
pub(crate) type Vlans = Span<4094>;

impl<const MAX: u16> Span<MAX> {
    /// Whether all of `first` to `last` is inside.
    pub(crate) fn covers(self, first: u16, last: u16) -> bool {
        self.first <= first && first <= last && last <= self.last
    }

    fn parse(text: &str) -> Result<Self, String> {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.parse().ok().filter(|number| (1..=MAX).contains(number));
        match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Ok(Self { first, last }),
            (Some(_), Some(_)) => Err(format!("{text:?} ends before it begins")),
            _ => Err(format!("{text:?} is out of range: give 1 to {MAX}, or a range such as \"100-199\"")),
        }
    }
}

impl<'de, const MAX: u16> Deserialize<'de> for Span<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NumberOrText<const MAX: u16>;

        impl<const MAX: u16> Visitor<'_> for NumberOrText<MAX> {
            type Value = Span<MAX>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "a number from 1 to {MAX} or a range such as \"100-199\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
                Span::parse(text).map_err(E::custom)
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                let valid = u16::try_from(number).ok().filter(|number| (1..=MAX).contains(number));
                let number = valid.ok_or_else(|| E::invalid_value(Unexpected::Signed(number), &self))?;
                Ok(Span { first: number, last: number })
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_i64(i64::try_from(number).unwrap_or(i64::MAX))
            }
        }

        deserializer.deserialize_any(NumberOrText).map_err(D::Error::custom)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl fmt::Display for SysctlKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Within(cidr) => cidr.fmt(f),
        }
    }
}

impl<const MAX: u16> fmt::Display for Span<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last { self.first.fmt(f) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        Name::try_from(text.to_string()).unwrap()
    }

    fn key(text: &str) -> SysctlKey {
        SysctlKey::try_from(text.to_string()).unwrap()
    }

    fn net(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    #[test]
    fn globs_match_whole_names() {
        for (pattern, yes, no) in [
            ("cni0", &["cni0"][..], &["cni", "cni00", "xcni0", ""][..]),
            ("veth*", &["veth", "veth0", "vethé"], &["vet", "xveth0", "veth/0"]),
            ("*", &["a", ""], &["a/b", "/"]),
            ("v?t*x", &["vetx", "vatxx", "vétyx"], &["vtx", "vet", "v/tx"]),
            ("a*b*c", &["abc", "aXbYc", "abbcc", "abcbc"], &["ab", "acb", "abcd"]),
        ] {
            assert!(yes.iter().all(|text| name(pattern).matches(text, "eth0")), "{pattern}");
            assert!(!no.iter().any(|text| name(pattern).matches(text, "eth0")), "{pattern}");
        }
    }

    #[test]
    fn a_star_does_not_cross_a_slash() {
        let forwarding = key("ipv4/conf/*/forwarding");
        assert!(forwarding.matches("ipv4/conf/eth0.5/forwarding", ""));
        assert!(!forwarding.matches("ipv4/conf/a/b/forwarding", ""));
        assert!(!forwarding.matches("ipv4/conf/forwarding", ""));
        assert!(
            key("ipv4/*/x*/y").matches("ipv4/a/xb/y", "") && !key("ipv4/*/x*/y").matches("ipv4/a/b/y", "")
        );
    }

    #[test]
    fn ifname_is_the_interface_and_never_a_glob() {
        assert!(name("{ifname}").matches("eth0", "eth0") && !name("{ifname}").matches("eth1", "eth0"));
        assert!(!name("{ifname}").matches("eth0", "*") && name("{ifname}").matches("*", "*"));
        assert!(!name("{ifname}").matches("", "") && !name("*{ifname}").matches("x", ""));
        assert!(key("ipv6/conf/{ifname}/accept_dad").matches("ipv6/conf/eth0/accept_dad", "eth0"));
    }

    #[test]
    fn many_stars_are_no_trap() {
        let started = std::time::Instant::now();
        assert!(!name(&("*a".repeat(120) + "b")).matches(&"a".repeat(100_000), ""));
        assert!(started.elapsed().as_secs() < 2);
    }

    #[test]
    fn bad_globs_say_what_is_right() {
        for (text, says) in [
            ("", "veth*"),
            ("a/b", "slash"),
            ("a b", "white space"),
            ("[ab]", "{ifname}"),
            ("{name}", "{ifname}"),
        ] {
            let error = Name::try_from(text.to_string()).unwrap_err();
            assert!(error.contains(says) && error.contains(&format!("{text:?}")), "{error}");
        }
        for text in ["", "/ipv4", "ipv4//x", "ipv4/../x", "ipv4/.x", "a b"] {
            let error = SysctlKey::try_from(text.to_string()).unwrap_err();
            assert!(error.contains("ipv4/conf/*/forwarding"), "{error}");
        }
        assert!(Name::try_from("x".repeat(256)).is_err());
    }

    #[test]
    fn a_network_covers_what_is_all_inside() {
        let ten = Cidr::try_from("10.0.0.0/8".to_string()).unwrap();
        assert!(ten.covers(net("10.1.2.3/24")) && ten.covers(net("10.255.255.255/32")));
        // An address with a short prefix would bring a route to all of it.
        assert!(
            !ten.covers(net("10.1.2.3/7")) && !ten.covers(net("11.0.0.1/24")) && !ten.covers(net("::/0"))
        );
        assert!(
            ten.contains("10.9.9.9".parse().unwrap()) && !ten.contains("::ffff:10.0.0.1".parse().unwrap())
        );
        let error = Cidr::try_from("10.1.0.0/8".to_string()).unwrap_err();
        assert!(error.contains(r#"write "10.0.0.0/8""#), "{error}");
        assert!(Cidr::try_from("10.0.0/8".to_string()).unwrap_err().contains("CIDR"));
    }

    #[test]
    fn default_is_the_default_route_and_not_everything() {
        let default = Destination::try_from("default".to_string()).unwrap();
        assert!(default.covers(net("0.0.0.0/0")) && default.covers(net("::/0")));
        assert!(!default.covers(net("10.0.0.0/8")) && !default.covers(net("0.0.0.0/1")));
        let all = Destination::try_from("0.0.0.0/0".to_string()).unwrap();
        assert!(all.covers(net("0.0.0.0/0")) && all.covers(net("10.0.0.0/8")) && !all.covers(net("::/0")));
        assert!(Destination::try_from("defualt".to_string()).unwrap_err().contains("\"default\""));
    }

    #[test]
    fn ranges_are_numbers_or_texts() {
        #[derive(Debug, Deserialize)]
        struct Both {
            ports: Vec<Ports>,
            vlans: Vec<Vlans>,
        }
        let both: Both = toml::from_str("ports = [80, \"443\", \"1024-65535\"]\nvlans = [4094]").unwrap();
        let texts: Vec<String> = both.ports.iter().map(ToString::to_string).collect();
        assert_eq!(texts, ["80", "443", "1024-65535"]);
        assert!(both.ports[2].covers(1024, 65535) && !both.ports[2].covers(1023, 1024));
        assert!(both.vlans[0].covers(4094, 4094) && !both.vlans[0].covers(4094, 4093));
        for bad in ["0", "65536", "-1", "\"0-5\"", "\"9-5\"", "\"x\"", "\"1-2-3\"", "1.5", "true"] {
            let error =
                toml::from_str::<Both>(&format!("ports = [{bad}]\nvlans = []")).unwrap_err().to_string();
            assert!(error.contains("range") || error.contains("begins"), "{bad}: {error}");
        }
        assert!(toml::from_str::<Both>("ports = []\nvlans = [4095]").is_err());
    }
}

//! What ADD answers and `prevResult` carries, in one shape for every cniVersion.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::Deserialize;

use crate::addr::{Mac, is_default};
use crate::bindings::wharf::cni::types as wit;
use crate::config::{cidr, optional_address};

/// A CNI result.
///
/// ```
/// use wharf_sdk::{Interface, IpConfig, NetworkResult};
/// let mut result = NetworkResult::default();
/// let eth0 = result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/a"));
/// let gateway: std::net::IpAddr = "10.22.0.1".parse()?;
/// result.ips.push(IpConfig::new("10.22.0.2/16".parse()?).with_gateway(gateway).on(eth0));
/// assert_eq!(result.ips_of("eth0").count(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkResult {
    /// The links of the attachment, on both sides.
    pub interfaces: Vec<Interface>,
    /// The addresses.
    pub ips: Vec<IpConfig>,
    /// The routes inside the container.
    pub routes: Vec<ResultRoute>,
    /// What the container's resolver should use.
    pub dns: Dns,
}

impl NetworkResult {
    /// Appends an interface and answers its index, for [`IpConfig::on`].
    ///
    /// ```
    /// use wharf_sdk::{Interface, NetworkResult};
    /// let mut result = NetworkResult::default();
    /// assert_eq!(result.add_interface(Interface::new("cni0")), 0);
    /// assert_eq!(result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/c1")), 1);
    /// ```
    pub fn add_interface(&mut self, interface: Interface) -> u32 {
        self.interfaces.push(interface);
        u32::try_from(self.interfaces.len() - 1).unwrap_or(u32::MAX)
    }

    /// The interface that an address names, if it names one that is listed.
    ///
    /// ```
    /// use wharf_sdk::{Interface, IpConfig, NetworkResult};
    /// let mut result = NetworkResult::default();
    /// let eth0 = result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/c1"));
    /// result.ips.push(IpConfig::new("10.22.0.2/16".parse()?).with_gateway(std::net::IpAddr::from([10, 22, 0, 1])).on(eth0));
    /// assert_eq!(result.interface_of(&result.ips[0]).map(|of| of.name.as_str()), Some("eth0"));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn interface_of(&self, ip: &IpConfig) -> Option<&Interface> {
        self.interfaces.get(usize::try_from(ip.interface?).ok()?)
    }

    /// The container's interface of that name: the one that has a sandbox.
    ///
    /// ```
    /// use wharf_sdk::{Interface, IpConfig, NetworkResult};
    /// let mut result = NetworkResult::default();
    /// let eth0 = result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/c1"));
    /// result.ips.push(IpConfig::new("10.22.0.2/16".parse()?).with_gateway(std::net::IpAddr::from([10, 22, 0, 1])).on(eth0));
    /// assert!(result.container_interface("eth0").is_some() && result.container_interface("cni0").is_none());
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn container_interface(&self, name: &str) -> Option<&Interface> {
        self.interfaces.iter().find(|interface| interface.name == name && interface.sandbox.is_some())
    }

    /// The container's addresses on interface `name`: those that name it, and those that name no listed interface.
    ///
    /// ```
    /// use wharf_sdk::{Interface, IpConfig, NetworkResult};
    /// let mut result = NetworkResult::default();
    /// let eth0 = result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/c1"));
    /// result.ips.push(IpConfig::new("10.22.0.2/16".parse()?).with_gateway(std::net::IpAddr::from([10, 22, 0, 1])).on(eth0));
    /// assert_eq!((result.ips_of("eth0").count(), result.ips_of("net1").count()), (1, 0));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn ips_of<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a IpConfig> {
        self.ips.iter().filter(move |ip| match self.interface_of(ip) {
            Some(interface) => interface.name == name && interface.sandbox.is_some(),
            None => true,
        })
    }

    /// The first gateway of the family of `like`.
    ///
    /// ```
    /// use wharf_sdk::{Interface, IpConfig, NetworkResult};
    /// let mut result = NetworkResult::default();
    /// let eth0 = result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/c1"));
    /// result.ips.push(IpConfig::new("10.22.0.2/16".parse()?).with_gateway(std::net::IpAddr::from([10, 22, 0, 1])).on(eth0));
    /// assert_eq!(result.gateway_for([192, 0, 2, 7].into()), Some([10, 22, 0, 1].into()));
    /// assert_eq!(result.gateway_for("2001:db8::7".parse()?), None);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn gateway_for(&self, like: IpAddr) -> Option<IpAddr> {
        let mut gateways = self.ips.iter().filter_map(|ip| ip.gateway);
        gateways.find(|gateway| gateway.is_ipv4() == like.is_ipv4())
    }

    /// Whether there is a default route for the family of `like`.
    ///
    /// ```
    /// use wharf_sdk::{NetworkResult, ResultRoute};
    /// let routes = vec![ResultRoute::new("0.0.0.0/0".parse()?)];
    /// let result = NetworkResult { routes, ..NetworkResult::default() };
    /// assert!(result.has_default_route([10, 22, 0, 1].into()) && !result.has_default_route("fd00::1".parse()?));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn has_default_route(&self, like: IpAddr) -> bool {
        self.routes.iter().any(|route| is_default(route.dst) && route.dst.is_ipv4() == like.is_ipv4())
    }

    /// Takes the configuration's `dns` instead of what IPAM said, if it has any key. An empty list counts.
    ///
    /// ```
    /// use wharf_sdk::{DnsConfig, NetworkResult};
    /// let mut result = NetworkResult::default();
    /// result.override_dns(Some(&DnsConfig { domain: Some("lan".into()), ..DnsConfig::default() }));
    /// assert_eq!(result.dns.domain.as_deref(), Some("lan"));
    /// ```
    pub fn override_dns(&mut self, config: Option<&DnsConfig>) {
        if let Some(config) = config.filter(|config| config.has_any_key()) {
            self.dns = config.to_dns();
        }
    }
}

/// A link of the attachment.
///
/// ```
/// use wharf_sdk::Interface;
/// let eth0 = Interface::new("eth0").with_mtu(1400).in_sandbox("/run/netns/c1");
/// assert_eq!((eth0.mtu, eth0.sandbox.as_deref()), (Some(1400), Some("/run/netns/c1")));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: Option<Mac>,
    /// Its MTU in bytes.
    pub mtu: Option<u32>,
    /// The namespace's path for a link inside a container, none for one of the host.
    pub sandbox: Option<String>,
    /// A socket that stands for the interface.
    pub socket_path: Option<String>,
    /// The PCI device behind the interface.
    pub pci_id: Option<String>,
}

impl Interface {
    /// An interface of the host with only a name.
    ///
    /// ```
    /// assert_eq!(wharf_sdk::Interface::new("cni0").sandbox, None);
    /// ```
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The same interface with this hardware address.
    ///
    /// ```
    /// let mac: wharf_sdk::Mac = "0a:58:0a:16:00:02".parse()?;
    /// assert_eq!(wharf_sdk::Interface::new("eth0").with_mac(mac).mac, Some(mac));
    /// # Ok::<(), wharf_sdk::ParseMacError>(())
    /// ```
    #[must_use]
    pub fn with_mac(mut self, mac: impl Into<Option<Mac>>) -> Self {
        self.mac = mac.into();
        self
    }

    /// The same interface with this MTU.
    ///
    /// ```
    /// assert_eq!(wharf_sdk::Interface::new("eth0").with_mtu(1400).mtu, Some(1400));
    /// ```
    #[must_use]
    pub fn with_mtu(mut self, mtu: impl Into<Option<u32>>) -> Self {
        self.mtu = mtu.into();
        self
    }

    /// The same interface inside the namespace of this path.
    ///
    /// ```
    /// let eth0 = wharf_sdk::Interface::new("eth0").in_sandbox("/run/netns/c1");
    /// assert_eq!(eth0.sandbox.as_deref(), Some("/run/netns/c1"));
    /// ```
    #[must_use]
    pub fn in_sandbox(mut self, path: impl Into<String>) -> Self {
        self.sandbox = Some(path.into());
        self
    }
}

/// An address of the attachment.
///
/// ```
/// use wharf_sdk::IpConfig;
/// let ip = IpConfig::new("10.22.0.2/16".parse()?).on(0);
/// assert_eq!((ip.gateway, ip.interface), (None, Some(0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpConfig {
    /// The address with its subnet's prefix; host bits are kept.
    pub address: IpNetwork,
    /// The subnet's gateway.
    pub gateway: Option<IpAddr>,
    /// An index into [`NetworkResult::interfaces`].
    pub interface: Option<u32>,
}

impl IpConfig {
    /// An address without gateway or interface.
    ///
    /// ```
    /// let ip = wharf_sdk::IpConfig::new("10.22.0.2/16".parse()?);
    /// assert_eq!(ip.address.prefix(), 16);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(address: IpNetwork) -> Self {
        Self { address, gateway: None, interface: None }
    }

    /// The same address with this gateway.
    ///
    /// ```
    /// let gateway = std::net::IpAddr::from([10, 22, 0, 1]);
    /// let ip = wharf_sdk::IpConfig::new("10.22.0.2/16".parse()?).with_gateway(gateway);
    /// assert_eq!(ip.gateway, Some(gateway));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn with_gateway(mut self, gateway: impl Into<Option<IpAddr>>) -> Self {
        self.gateway = gateway.into();
        self
    }

    /// The same address on the interface of that index.
    ///
    /// ```
    /// assert_eq!(wharf_sdk::IpConfig::new("10.22.0.2/16".parse()?).on(2).interface, Some(2));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn on(mut self, interface: u32) -> Self {
        self.interface = Some(interface);
        self
    }
}

/// A route inside the container. It reads from a configuration's `routes`, too.
///
/// ```
/// use wharf_sdk::{Config, ResultRoute};
/// let route: ResultRoute = Config::new(r#"{"dst": "0.0.0.0/0", "gw": "10.22.0.1", "priority": 100}"#).parse()?;
/// assert_eq!((route.gw, route.priority), (Some([10, 22, 0, 1].into()), Some(100)));
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ResultRoute {
    /// `0.0.0.0/0` or `::/0` is the default route.
    #[serde(deserialize_with = "cidr")]
    pub dst: IpNetwork,
    /// The next hop; without one, the gateway of the family's address.
    #[serde(default, deserialize_with = "optional_address")]
    pub gw: Option<IpAddr>,
    /// Path MTU in bytes.
    #[serde(default)]
    pub mtu: Option<u32>,
    /// The maximum segment size to advertise, in bytes.
    #[serde(default)]
    pub advmss: Option<u32>,
    /// The metric; the lower wins.
    #[serde(default)]
    pub priority: Option<u32>,
    /// The routing table; none is main.
    #[serde(default)]
    pub table: Option<u32>,
    /// rtnetlink(7): 0 universe, 200 site, 253 link, 254 host.
    #[serde(default)]
    pub scope: Option<u32>,
}

impl ResultRoute {
    /// A route with only a destination.
    ///
    /// ```
    /// let route = wharf_sdk::ResultRoute::new("0.0.0.0/0".parse()?);
    /// assert_eq!((route.gw, route.mtu), (None, None));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn new(dst: IpNetwork) -> Self {
        Self { dst, gw: None, mtu: None, advmss: None, priority: None, table: None, scope: None }
    }

    /// The same route with this next hop.
    ///
    /// ```
    /// let gateway = std::net::IpAddr::from([10, 22, 0, 1]);
    /// assert_eq!(wharf_sdk::ResultRoute::new("0.0.0.0/0".parse()?).via(gateway).gw, Some(gateway));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    #[must_use]
    pub fn via(mut self, gateway: impl Into<Option<IpAddr>>) -> Self {
        self.gw = gateway.into();
        self
    }
}

/// Resolver settings.
///
/// ```
/// use wharf_sdk::Dns;
/// let dns = Dns { nameservers: vec!["192.0.2.53".into()], ..Dns::default() };
/// assert!(dns.search.is_empty());
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Addresses of name servers.
    pub nameservers: Vec<String>,
    /// The local domain.
    pub domain: Option<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// Resolver options.
    pub options: Vec<String>,
}

/// A configuration's `dns` object, which remembers which keys were there.
///
/// ```
/// use wharf_sdk::{Config, DnsConfig};
/// let dns: DnsConfig = Config::new(r#"{"search": []}"#).parse()?;
/// assert_eq!((dns.search, dns.domain), (Some(vec![]), None));
/// # Ok::<(), wharf_sdk::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct DnsConfig {
    /// Addresses of name servers.
    #[serde(default)]
    pub nameservers: Option<Vec<String>>,
    /// The local domain.
    #[serde(default)]
    pub domain: Option<String>,
    /// Search domains.
    #[serde(default)]
    pub search: Option<Vec<String>>,
    /// Resolver options.
    #[serde(default)]
    pub options: Option<Vec<String>>,
}

impl DnsConfig {
    /// Whether the object had any of its keys.
    ///
    /// ```
    /// use wharf_sdk::DnsConfig;
    /// assert!(!DnsConfig::default().has_any_key());
    /// assert!(DnsConfig { search: Some(vec![]), ..DnsConfig::default() }.has_any_key());
    /// ```
    pub fn has_any_key(&self) -> bool {
        self.nameservers.is_some() || self.domain.is_some() || self.search.is_some() || self.options.is_some()
    }

    /// The settings, keys that were not there being empty.
    ///
    /// ```
    /// use wharf_sdk::{Dns, DnsConfig};
    /// assert_eq!(DnsConfig::default().to_dns(), Dns::default());
    /// ```
    pub fn to_dns(&self) -> Dns {
        let list = |of: &Option<Vec<String>>| of.clone().unwrap_or_default();
        Dns {
            nameservers: list(&self.nameservers),
            domain: self.domain.clone(),
            search: list(&self.search),
            options: list(&self.options),
        }
    }
}

impl From<wit::NetworkResult> for NetworkResult {
    #[inline(never)]
    fn from(from: wit::NetworkResult) -> Self {
        let wit::Dns { nameservers, domain, search, options } = from.dns;
        Self {
            interfaces: from
                .interfaces
                .into_iter()
                .map(|wit::NetworkInterface { name, mac, mtu, sandbox, socket_path, pci_id }| Interface {
                    name,
                    mac: mac.map(Into::into),
                    mtu,
                    sandbox,
                    socket_path,
                    pci_id,
                })
                .collect(),
            ips: from
                .ips
                .into_iter()
                .map(|wit::IpConfig { address, gateway, interface }| IpConfig {
                    address: address.into(),
                    gateway: gateway.map(Into::into),
                    interface,
                })
                .collect(),
            routes: from
                .routes
                .into_iter()
                .map(|wit::ResultRoute { dst, gw, mtu, advmss, priority, table, scope }| ResultRoute {
                    dst: dst.into(),
                    gw: gw.map(Into::into),
                    mtu,
                    advmss,
                    priority,
                    table,
                    scope,
                })
                .collect(),
            dns: Dns { nameservers, domain, search, options },
        }
    }
}

impl From<NetworkResult> for wit::NetworkResult {
    fn from(from: NetworkResult) -> Self {
        let Dns { nameservers, domain, search, options } = from.dns;
        Self {
            interfaces: from
                .interfaces
                .into_iter()
                .map(|Interface { name, mac, mtu, sandbox, socket_path, pci_id }| wit::NetworkInterface {
                    name,
                    mac: mac.map(Into::into),
                    mtu,
                    sandbox,
                    socket_path,
                    pci_id,
                })
                .collect(),
            ips: from
                .ips
                .into_iter()
                .map(|IpConfig { address, gateway, interface }| wit::IpConfig {
                    address: address.into(),
                    gateway: gateway.map(Into::into),
                    interface,
                })
                .collect(),
            routes: from
                .routes
                .into_iter()
                .map(|ResultRoute { dst, gw, mtu, advmss, priority, table, scope }| wit::ResultRoute {
                    dst: dst.into(),
                    gw: gw.map(Into::into),
                    mtu,
                    advmss,
                    priority,
                    table,
                    scope,
                })
                .collect(),
            dns: wit::Dns { nameservers, domain, search, options },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn a_result_crosses_the_border_unchanged() {
        let mut result = NetworkResult {
            dns: Dns { nameservers: vec!["192.0.2.1".into()], domain: Some("d".into()), ..Dns::default() },
            ..NetworkResult::default()
        };
        let mac: Mac = "0a:58:0a:16:00:02".parse().unwrap();
        let interface = Interface::new("eth0").with_mac(mac).with_mtu(1400).in_sandbox("/run/netns/a");
        let index = result.add_interface(interface);
        let gateway: IpAddr = "fd00::1".parse().unwrap();
        result.ips.push(IpConfig::new("fd00::2/64".parse().unwrap()).with_gateway(gateway).on(index));
        result.routes.push(ResultRoute {
            mtu: Some(1),
            advmss: Some(2),
            priority: Some(3),
            table: Some(0),
            scope: Some(5),
            ..ResultRoute::new("::/0".parse().unwrap()).via(gateway)
        });
        assert_eq!(NetworkResult::from(wit::NetworkResult::from(result.clone())), result);
    }

    #[test]
    fn addresses_belong_to_the_interface_they_name_or_to_any() {
        let mut result = NetworkResult::default();
        let bridge = result.add_interface(Interface::new("cni0"));
        let eth0 = result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/a"));
        let eth1 = result.add_interface(Interface::new("eth1").in_sandbox("/run/netns/a"));
        for (address, index) in [
            ("10.0.0.1/24", Some(bridge)),
            ("10.0.0.2/24", Some(eth0)),
            ("10.0.0.3/24", Some(eth1)),
            ("10.0.0.4/24", None),
            ("10.0.0.5/24", Some(9)),
        ] {
            result.ips.push(IpConfig { interface: index, ..IpConfig::new(address.parse().unwrap()) });
        }
        let of = |name| result.ips_of(name).map(|ip| ip.address.to_string()).collect::<Vec<_>>();
        assert_eq!(of("eth0"), ["10.0.0.2/24", "10.0.0.4/24", "10.0.0.5/24"]);
        assert_eq!(of("cni0"), ["10.0.0.4/24", "10.0.0.5/24"]);
        assert!(result.container_interface("cni0").is_none() && result.container_interface("eth1").is_some());
    }

    #[test]
    fn a_configured_dns_wins_if_it_has_any_key_even_an_empty_one() {
        let from_ipam = Dns { nameservers: vec!["192.0.2.1".into()], ..Dns::default() };
        for (json, wanted) in [
            ("{}", from_ipam.clone()),
            (r#"{"search":null,"other":1}"#, from_ipam.clone()),
            (r#"{"search":[]}"#, Dns::default()),
            (r#"{"domain":"d"}"#, Dns { domain: Some("d".into()), ..Dns::default() }),
        ] {
            let mut result = NetworkResult { dns: from_ipam.clone(), ..NetworkResult::default() };
            result.override_dns(Some(&Config::new(json).parse().unwrap()));
            assert_eq!(result.dns, wanted, "{json}");
        }
    }

    #[test]
    fn a_configured_route_has_every_field() {
        let json =
            r#"{"dst":"10.0.0.0/8","gw":"10.1.0.1","mtu":1,"advmss":2,"priority":3,"table":4,"scope":5}"#;
        let route: ResultRoute = Config::new(json).parse().unwrap();
        let wanted = ResultRoute {
            mtu: Some(1),
            advmss: Some(2),
            priority: Some(3),
            table: Some(4),
            scope: Some(5),
            ..ResultRoute::new("10.0.0.0/8".parse().unwrap()).via("10.1.0.1".parse::<IpAddr>().unwrap())
        };
        assert_eq!(route, wanted);
    }
}

//! The configuration: read, checked as a whole before anything is done, and turned into what the rest works with.

use serde::Deserialize;
use wharf_sdk::delegate::Ipam;
use wharf_sdk::firewall::nat::Backend;
use wharf_sdk::{DnsConfig, Error, IpConfig, Mac, Request, Result, code};

use crate::vlan::{TrunkEntry, Vlans};

const DEFAULT_BRIDGE: &str = "cni0";

/// The longest name that the kernel gives a link, in bytes.
const LINK_NAME_BYTES: usize = 15;

/// Where the last of the MAC addresses comes from, as errors name it.
const ARGUMENT: &str = "CNI_ARGS: MAC";

/// What the kernel takes for an Ethernet link that is to carry IPv4.
const MTU: std::ops::RangeInclusive<i64> = 68..=65535;

/// The least that a link needs to have IPv6 (RFC 8200).
const MTU_OF_IPV6: u32 = 1280;

/// A configuration without contradictions.
#[derive(Clone, Debug, PartialEq)]
#[allow(clippy::struct_excessive_bools, reason = "each is an option of the configuration")]
pub(crate) struct Config {
    pub(crate) bridge: String,
    /// Whether the host carries the gateway.
    pub(crate) gateway: bool,
    pub(crate) default_gateway: bool,
    pub(crate) force_address: bool,
    /// The masquerade backend, if there is to be masquerading.
    pub(crate) masquerade: Option<Backend>,
    pub(crate) mtu: Option<u32>,
    pub(crate) hairpin: bool,
    pub(crate) promiscuous: bool,
    pub(crate) isolated: bool,
    pub(crate) vlans: Vlans,
    pub(crate) anti_spoof: bool,
    /// Whether the container's side detects duplicate addresses.
    pub(crate) detect_duplicates: bool,
    /// Whether the container's link goes up.
    pub(crate) up: bool,
    pub(crate) mac: Option<Mac>,
    /// The address management plugin; none is a layer 2 network.
    pub(crate) ipam: Option<Ipam>,
    pub(crate) dns: Option<DnsConfig>,
}

/// The members as they are written. A `null` is an absent member.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    bridge: Option<String>,
    is_gateway: Option<bool>,
    is_default_gateway: Option<bool>,
    force_address: Option<bool>,
    ip_masq: Option<bool>,
    ip_masq_backend: Option<String>,
    mtu: Option<i64>,
    hairpin_mode: Option<bool>,
    promisc_mode: Option<bool>,
    vlan: Option<i64>,
    vlan_trunk: Option<Vec<TrunkEntry>>,
    preserve_default_vlan: Option<bool>,
    macspoofchk: Option<bool>,
    enabledad: Option<bool>,
    disable_container_interface: Option<bool>,
    port_isolation: Option<bool>,
    dns: Option<DnsConfig>,
    args: Option<Args>,
    runtime_config: Option<RuntimeConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Args {
    cni: Option<RuntimeConfig>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RuntimeConfig {
    mac: Option<String>,
}

impl Config {
    /// The configuration and arguments of an attachment.
    pub(crate) fn of(request: &Request) -> Result<Self> {
        request.args().expect(&["MAC"])?;
        Self::read(request.raw_config(), request.args().get("MAC"))
    }

    /// The configuration; `mac` is the address that `CNI_ARGS` asks for, where there is an attachment.
    pub(crate) fn read(config: &wharf_sdk::Config, mac: Option<&str>) -> Result<Self> {
        let raw: Raw = config.parse()?;
        let vlans = Vlans::parse(
            raw.vlan.unwrap_or(0),
            raw.vlan_trunk.as_deref().unwrap_or_default(),
            raw.preserve_default_vlan.unwrap_or(false),
        )?;
        let config = Self {
            mac: requested_mac(&raw, mac)?,
            bridge: match raw.bridge {
                Some(name) if !name.is_empty() => link_name("bridge", name)?,
                _ => DEFAULT_BRIDGE.to_owned(),
            },
            gateway: raw.is_gateway == Some(true) || raw.is_default_gateway == Some(true),
            default_gateway: raw.is_default_gateway.unwrap_or(false),
            force_address: raw.force_address.unwrap_or(false),
            masquerade: match backend(raw.ip_masq_backend.as_deref())? {
                chosen if raw.ip_masq == Some(true) => Some(chosen),
                _ => None,
            },
            mtu: mtu(raw.mtu.unwrap_or(0))?,
            hairpin: raw.hairpin_mode.unwrap_or(false),
            promiscuous: raw.promisc_mode.unwrap_or(false),
            isolated: raw.port_isolation.unwrap_or(false),
            vlans,
            anti_spoof: raw.macspoofchk.unwrap_or(false),
            detect_duplicates: raw.enabledad.unwrap_or(false),
            up: raw.disable_container_interface != Some(true),
            ipam: Ipam::of(config)?,
            dns: raw.dns,
        };
        config.refuse_contradictions()?;
        Ok(config)
    }

    fn refuse_contradictions(&self) -> Result<()> {
        if self.hairpin && self.promiscuous {
            return Err(Error::config("promiscMode", "true excludes hairpinMode true: set one of them"));
        }
        if let (false, Some(ipam)) = (self.up, &self.ipam) {
            let reason = "excludes disableContainerInterface: a link that stays down carries no address";
            return Err(Error::config("ipam.type", format_args!("{:?} {reason}", ipam.plugin())));
        }
        if let Some(name) = self.vlan_gateway() {
            link_name("vlan", name)?;
        }
        Ok(())
    }

    /// Whether links of the configured MTU can have these addresses: below a certain one, Linux takes IPv6 away.
    pub(crate) fn can_carry(&self, ips: &[IpConfig]) -> Result<()> {
        let Some(mtu) = self.mtu.filter(|mtu| *mtu < MTU_OF_IPV6) else { return Ok(()) };
        let Some(ip) = ips.iter().find(|ip| ip.address.is_ipv6()) else { return Ok(()) };
        let reason = format!("{mtu} is too little for IPv6, for {}: give {MTU_OF_IPV6} or more", ip.address);
        Err(Error::config("mtu", reason))
    }

    /// The name of the host's link into the VLAN, which carries the gateway where there is one.
    pub(crate) fn vlan_gateway(&self) -> Option<String> {
        let id = self.vlans.native?;
        self.carries_gateway().then(|| format!("{}.{id}", self.bridge))
    }

    /// Whether there are addresses, and the host answers to their gateways.
    pub(crate) fn carries_gateway(&self) -> bool {
        self.gateway && self.ipam.is_some()
    }

    /// The sysctls of the container's link, set before it has addresses. Without duplicate address detection an
    /// IPv6 address can be used at once.
    pub(crate) fn container_sysctls(&self, ifname: &str) -> Vec<(String, &'static str)> {
        let ipv6 = |key: &str| format!("ipv6/conf/{ifname}/{key}");
        let mut sysctls = Vec::new();
        if self.detect_duplicates {
            sysctls.push((ipv6("enhanced_dad"), "1"));
        }
        sysctls.push((ipv6("accept_dad"), if self.detect_duplicates { "1" } else { "0" }));
        sysctls
    }

    /// The options that a layer 2 network has no use for.
    pub(crate) fn ignored(&self) -> Vec<&'static str> {
        let options = [(self.gateway, "isGateway"), (self.masquerade.is_some(), "ipMasq")];
        let set = options.into_iter().filter(|(set, _)| *set && self.ipam.is_none());
        set.map(|(_, option)| option).collect()
    }
}

fn backend(name: Option<&str>) -> Result<Backend> {
    match name {
        None | Some("") => Ok(Backend::Automatic),
        Some("iptables") => Ok(Backend::Iptables),
        Some("nftables") => Ok(Backend::Nftables),
        Some(other) => {
            let reason = format!("{other:?} is unknown: give \"iptables\" or \"nftables\"");
            Err(Error::config("ipMasqBackend", reason))
        }
    }
}

fn mtu(value: i64) -> Result<Option<u32>> {
    if value == 0 {
        return Ok(None);
    }
    let valid = u32::try_from(value).ok().filter(|_| MTU.contains(&value));
    let reason = "is out of range: give 68 to 65535, or 0 for the kernel's default";
    valid.map(Some).ok_or_else(|| Error::config("mtu", format_args!("{value} {reason}")))
}

fn link_name(path: &str, name: String) -> Result<String> {
    let reason = if name.len() > LINK_NAME_BYTES {
        "makes a link name of more than 15 bytes"
    } else if matches!(name.as_str(), "." | "..") || name.contains(['/', ':', '%']) {
        "makes a link name that the kernel refuses: no '/', ':' or '%', not '.' or '..'"
    } else if name.contains(|c: char| c.is_whitespace() || c.is_control()) {
        "makes a link name with white space or control characters"
    } else {
        return Ok(name);
    };
    Err(Error::config(path, format_args!("{name:?} {reason}")))
}

/// The MAC address that was asked for: `runtimeConfig`, then `args`, then `CNI_ARGS`.
fn requested_mac(raw: &Raw, arg: Option<&str>) -> Result<Option<Mac>> {
    let runtime = raw.runtime_config.as_ref().and_then(|runtime| runtime.mac.as_deref());
    let args = raw.args.as_ref().and_then(|args| args.cni.as_ref()).and_then(|cni| cni.mac.as_deref());
    let sources = [("runtimeConfig.mac", runtime), ("args.cni.mac", args), (ARGUMENT, arg)];
    let given = |(source, text): (_, Option<_>)| Some((source, text.filter(|text: &&str| !text.is_empty())?));
    let Some((source, text)) = sources.into_iter().find_map(given) else {
        return Ok(None);
    };
    let reason = match text.parse::<Mac>() {
        Ok(Mac([first, ..])) if first & 1 == 1 => "is a multicast address: a link needs a unicast one",
        Ok(Mac([0, 0, 0, 0, 0, 0])) => "is no address of a link",
        Ok(mac) => return Ok(Some(mac)),
        Err(_) => "is not a MAC address: give six bytes such as \"0a:58:0a:16:00:02\"",
    };
    let reason = format!("{text:?} {reason}");
    Err(match source {
        ARGUMENT => Error::new(code::INVALID_ENVIRONMENT, format!("{ARGUMENT}: {reason}")),
        _ => Error::config(source, reason),
    })
}

//! CHECK: what ADD made is still there and still as configured.

use wharf_sdk::firewall::nat::MasqueradeRule;
use wharf_sdk::firewall::{filter, nat};
use wharf_sdk::net::PortState;
use wharf_sdk::{
    Context, Error, Interface, IpNetwork, Link, LinkInfo, Netns, NetworkResult, Request, Result, interface,
};

use crate::config::Config;
use crate::{add, gateway, host, vlan};

pub(crate) fn check(request: &Request, host: &Netns, container: &Netns) -> Result<()> {
    let config = Config::of(request)?;
    let previous = request.require_previous()?;
    let (ifname, listed) = (request.ifname(), Listed::of(previous, &config, request)?);

    let (bridge, bridge_info) = found(host, &config.bridge, "bridge", "host")?;
    compare_bridge(&bridge_info, listed.bridge, &config)?;

    let (inner, inner_info) = found(container, ifname, "veth", "container")?;
    compare_mac(&inner_info, listed.container)?;
    let port =
        inner.peer(host)?.ok_or_else(|| Error::check(format!("the peer of {ifname:?} left the host")))?;
    let port_info = port.info()?;
    compare_port(&port_info, bridge_info.index, previous, &config)?;
    compare_flags(&port_info.name, port.port_state()?, &config)?;
    if config.vlans.configured() && !vlan::covers(&port.vlans()?, &config.vlans.port()) {
        let name = &port_info.name;
        return Err(Error::check(format!(
            "the bridge port {name:?} lacks VLANs that vlan or vlanTrunk names"
        )));
    }

    if let Some(ipam) = &config.ipam {
        ipam.check()?;
        interface::check(container, &inner, previous)?;
    }
    check_gateways(host, &bridge, previous, ifname, &config)?;
    if config.masquerade.is_some() {
        compare_masquerades(&nat::masquerades().context("ipMasq")?, &add::masquerades(previous, ifname))?;
    }
    if config.anti_spoof && filter::allowed_source(&port_info.name).context("macspoofchk")? != inner_info.mac
    {
        let name = &port_info.name;
        return Err(Error::check(format!(
            "macspoofchk: {name:?} is not held to the MAC address of {ifname:?}"
        )));
    }
    Ok(())
}

/// The interfaces of the earlier result.
#[derive(Debug)]
struct Listed<'a> {
    bridge: &'a Interface,
    container: &'a Interface,
}

impl<'a> Listed<'a> {
    fn of(previous: &'a NetworkResult, config: &Config, request: &Request) -> Result<Self> {
        let missing = |name: &str| Error::check(format!("prevResult does not list the interface {name:?}"));
        let mut host_side = previous.interfaces.iter().filter(|interface| interface.sandbox.is_none());
        let bridge = host_side.find(|interface| interface.name == config.bridge);
        let container = previous.container_interface(request.ifname());
        let listed = Self {
            bridge: bridge.ok_or_else(|| missing(&config.bridge))?,
            container: container.ok_or_else(|| missing(request.ifname()))?,
        };
        if listed.container.sandbox.as_deref() != request.netns_path() {
            let name = request.ifname();
            let was = listed.container.sandbox.as_deref().unwrap_or("the host's");
            let is = request.netns_path().unwrap_or("not given");
            return Err(Error::check(format!("{name:?} was made in the namespace {was}, CNI_NETNS is {is}")));
        }
        Ok(listed)
    }
}

fn found(namespace: &Netns, name: &str, kind: &str, side: &str) -> Result<(Link, LinkInfo)> {
    let link =
        namespace.link(name)?.ok_or_else(|| Error::check(format!("the {side} has no link {name:?}")))?;
    let info = link.info()?;
    if info.kind == kind {
        return Ok((link, info));
    }
    Err(Error::check(format!("{name:?} is a link of kind {:?}, not {kind:?}", info.kind)))
}

fn compare_mac(info: &LinkInfo, listed: &Interface) -> Result<()> {
    match listed.mac {
        Some(mac) if info.mac != Some(mac) => {
            let now = info.mac.map_or_else(|| "none".to_owned(), |mac| mac.to_string());
            Err(Error::check(format!("the MAC address of {:?} is {now}, ADD answered {mac}", info.name)))
        }
        _ => Ok(()),
    }
}

/// A bridge's own MAC address follows its ports until it carries a gateway.
pub(crate) fn compare_bridge(info: &LinkInfo, listed: &Interface, config: &Config) -> Result<()> {
    if !info.up {
        return Err(Error::check(format!("the bridge {:?} is down", info.name)));
    }
    if config.promiscuous && !info.promiscuous {
        return Err(Error::check(format!("promiscMode: the bridge {:?} is not promiscuous", info.name)));
    }
    if config.carries_gateway() && config.vlan_gateway().is_none() {
        compare_mac(info, listed)?;
    }
    Ok(())
}

pub(crate) fn compare_port(
    info: &LinkInfo,
    bridge: u32,
    previous: &NetworkResult,
    config: &Config,
) -> Result<()> {
    let name = &info.name;
    let host_side = |interface: &&Interface| interface.sandbox.is_none() && interface.name == *name;
    let Some(listed) = previous.interfaces.iter().find(host_side) else {
        return Err(Error::check(format!("prevResult does not list the host's end {name:?}")));
    };
    if info.master != Some(bridge) {
        return Err(Error::check(format!("{name:?} is not a port of the bridge {:?}", config.bridge)));
    }
    if !info.up {
        return Err(Error::check(format!("the bridge port {name:?} is down")));
    }
    compare_mac(info, listed)
}

pub(crate) fn compare_flags(name: &str, state: PortState, config: &Config) -> Result<()> {
    let flags =
        [("hairpinMode", state.hairpin, config.hairpin), ("portIsolation", state.isolated, config.isolated)];
    match flags.into_iter().find(|(_, is, wanted)| is != wanted) {
        Some((option, is, _)) => Err(Error::check(format!("{option} of the bridge port {name:?} is {is}"))),
        None => Ok(()),
    }
}

fn check_gateways(
    host: &Netns,
    bridge: &Link,
    previous: &NetworkResult,
    ifname: &str,
    config: &Config,
) -> Result<()> {
    if !config.carries_gateway() {
        return Ok(());
    }
    let gateways = gateway::carried(previous, ifname)?;
    if let Some(name) = config.vlan_gateway() {
        let (carrier, _) = found(host, &name, "veth", "host")?;
        compare_gateways(&name, &carrier.addresses()?, &gateways)?;
    } else {
        compare_gateways(&config.bridge, &bridge.addresses()?, &gateways)?;
    }
    for sysctl in host::forwarding(&gateways) {
        let value = host.sysctl(sysctl)?;
        if value.trim() == "0" {
            return Err(Error::check(format!("forwarding is off: {sysctl} is 0")));
        }
    }
    Ok(())
}

pub(crate) fn compare_gateways(name: &str, present: &[IpNetwork], wanted: &[IpNetwork]) -> Result<()> {
    match wanted.iter().find(|gateway| !present.contains(gateway)) {
        Some(gateway) => Err(Error::check(format!("the gateway {gateway} is missing on {name:?}"))),
        None => Ok(()),
    }
}

pub(crate) fn compare_masquerades(present: &[MasqueradeRule], wanted: &[MasqueradeRule]) -> Result<()> {
    match wanted.iter().find(|rule| !present.contains(rule)) {
        Some(rule) => Err(Error::check(format!("ipMasq: {} is not masqueraded as configured", rule.source))),
        None => Ok(()),
    }
}

//! ADD: the bridge, the veth pair, the addresses, and what lets traffic through.

use wharf_sdk::firewall::nat::MasqueradeRule;
use wharf_sdk::firewall::{filter, nat};
use wharf_sdk::net::VethEnd;
use wharf_sdk::{
    Context, Error, Interface, IpNetwork, LinkInfo, Mac, Netns, NetworkResult, Request, Result, interface,
    warn,
};

use crate::config::Config;
use crate::host::{Ensured, tune};
use crate::port::{self, Pair};
use crate::{gateway, host};

/// Where the container's link is in the result: after the bridge and the host's end.
const CONTAINER_INDEX: u32 = 2;

/// Nothing is undone here when something fails: the host knows every effect, the address manager's too.
pub(crate) fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult> {
    let config = Config::of(request)?;
    for option in config.ignored() {
        warn!("{option} does nothing without ipam");
    }
    let bridge = host::ensure_bridge(host, &config)?;
    let end = VethEnd { mtu: config.mtu, mac: config.mac, ..VethEnd::new(request.ifname()) };
    let pair = port::create(host, container, &end)?;
    if config.detect_duplicates {
        // Somebody else's use of an address is heard over the bridge only.
        port::attach(host, &pair, &bridge.link, &config)?;
    } else {
        port::raise(host, &pair)?;
    }

    let mut result = match &config.ipam {
        Some(ipam) => ipam.add()?,
        None => NetworkResult::default(),
    };
    config.can_carry(&result.ips)?;
    let gateways = if config.carries_gateway() {
        gateway::complete(&mut result, config.default_gateway);
        gateway::carried(&result, request.ifname())?
    } else {
        Vec::new()
    };
    let inside = pair.inner.info()?;
    let netns = request.netns_path().unwrap_or_default();
    list_interfaces(&mut result, &config.bridge, [&pair.host.info()?, &inside], netns);
    if config.anti_spoof {
        hold_to_mac(&pair, inside.mac)?;
    }
    raise_container(container, &pair, &result, &config)?;
    if !config.detect_duplicates {
        // Not before: what a new link tells the world when it comes up, a bridge would flood to every port.
        port::join(&pair, &bridge.link, &config)?;
    }
    // Not before, either: a bridge that nobody gave an address takes a port's, and the smallest MTU of all.
    let bridge_info = bridge.link.info()?;
    if let Some(first) = result.interfaces.first_mut() {
        *first = listed(&bridge_info);
    }
    if !gateways.is_empty() {
        carry_gateways(host, &bridge, bridge_info.mac, &gateways, &mut result, &config)?;
    }
    if let Some(backend) = config.masquerade.filter(|_| !result.ips.is_empty()) {
        nat::masquerade(&masquerades(&result, request.ifname()), backend).context("ipMasq")?;
    }
    if config.up {
        pair.host.wait_operational().context(format_args!("bridge port {:?}", pair.name))?;
        if !gateways.is_empty() && !bridge_info.operational {
            host::await_carrier(&bridge.link, &config.bridge);
        }
        if bridge.created && gateways.iter().any(IpNetwork::is_ipv6) && !config.detect_duplicates {
            host::settle(&bridge.link, &config.bridge);
        }
    }
    if !result.ips.is_empty() {
        // From now on the kernel announces by itself. Before, it would have done so when the link came up, and a bridge
        // floods each of that to every port.
        tune(container, &format!("ipv4/conf/{}/arp_notify", pair.inner_name), "1");
    }
    if config.up {
        announce(&pair, &result);
    }
    result.override_dns(config.dns.as_ref());
    Ok(result)
}

fn list_interfaces(result: &mut NetworkResult, bridge: &str, [port, inside]: [&LinkInfo; 2], netns: &str) {
    result.interfaces = vec![Interface::new(bridge), listed(port), listed(inside).in_sandbox(netns)];
    for ip in &mut result.ips {
        ip.interface = Some(CONTAINER_INDEX);
    }
}

fn listed(info: &LinkInfo) -> Interface {
    Interface::new(&info.name).with_mac(info.mac).with_mtu(info.mtu)
}

/// Only frames from the container's own address may enter the bridge.
fn hold_to_mac(pair: &Pair, mac: Option<Mac>) -> Result<()> {
    let mac =
        mac.ok_or_else(|| Error::plugin(format!("macspoofchk: the peer of {:?} has no MAC", pair.name)))?;
    filter::anti_spoof(&pair.name, mac).context("macspoofchk")
}

/// Addresses, state and routes of the container's end.
fn raise_container(container: &Netns, pair: &Pair, result: &NetworkResult, config: &Config) -> Result<()> {
    if !result.ips.is_empty() {
        for (key, value) in config.container_sysctls(&pair.inner_name) {
            tune(container, &key, value);
        }
        return interface::configure(container, &pair.inner, result);
    }
    if config.up {
        pair.inner.set_up().context(format_args!("raise {:?}", pair.inner_name))?;
    }
    Ok(())
}

/// Puts the gateways onto the bridge, or onto the host's link into the VLAN, and lets traffic through.
fn carry_gateways(
    host: &Netns,
    bridge: &Ensured,
    mac: Option<Mac>,
    gateways: &[IpNetwork],
    result: &mut NetworkResult,
    config: &Config,
) -> Result<()> {
    if let Some(name) = config.vlan_gateway() {
        let carrier = host::ensure_vlan_gateway(host, &bridge.link, &name, config)?;
        host::carry(host, &name, &carrier, None, gateways, config)?;
        result.add_interface(listed(&carrier.link.info()?));
    } else {
        host::carry(host, &config.bridge, bridge, mac, gateways, config)?;
    }
    host::forward(host, gateways)
}

/// What leaves a container's subnet takes the host's address.
pub(crate) fn masquerades(result: &NetworkResult, ifname: &str) -> Vec<MasqueradeRule> {
    let rule =
        |address: IpNetwork| MasqueradeRule { source: address.ip(), except: vec![gateway::subnet(address)] };
    result.ips_of(ifname).map(|ip| rule(ip.address)).collect()
}

/// Neighbours that knew the address by another link learn the new one at once; else they do a little later.
fn announce(pair: &Pair, result: &NetworkResult) {
    if result.ips.is_empty() {
        return;
    }
    if let Err(error) = pair.inner.announce() {
        warn!("the addresses of {} were not announced: {error}", pair.inner_name);
    }
}

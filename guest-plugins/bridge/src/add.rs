//! ADD: the bridge, the veth pair, the addresses, and what lets traffic through.

use wharf_sdk::firewall::{filter, nat};
use wharf_sdk::{
    Context, Error, HostErrorKind, Interface, IpNetwork, Link, LinkInfo, Netns, NetworkResult, Request, Result, code,
    interface, warn,
};

use crate::config::Config;
use crate::{gateway, host, port};

/// The container's link in the result's list, after the bridge and the host's end.
const CONTAINER_INDEX: u32 = 2;

pub(crate) fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult> {
    let config = Config::of(request)?;
    for option in config.ignored() {
        warn!("{option} does nothing without ipam");
    }
    let (bridge, created) = host::ensure_bridge(host, &config)?;
    let pair = port::create(host, container, request.ifname(), &config)?;
    port::attach(host, &pair, &bridge, &config)?;

    let mut result = match &config.ipam {
        Some(ipam) => ipam.add()?,
        None => NetworkResult::default(),
    };
    let gateways = complete(&mut result, &config)?;
    let inside = pair.container.info()?;
    list_interfaces(&mut result, &bridge.info()?, &pair.host.info()?, &inside, request);
    if config.anti_spoof {
        let mac = inside.mac.ok_or_else(|| no_address(&inside.name))?;
        filter::anti_spoof(&pair.name, mac).context("macspoofchk")?;
    }
    if result.ips.is_empty() {
        if config.up {
            pair.container.set_up().context(format_args!("raise {:?}", inside.name))?;
        }
    } else {
        prepare(container, request.ifname(), &config);
        interface::configure(container, &pair.container, &result)?;
    }
    if !gateways.is_empty() {
        let carrier = match config.vlan_gateway() {
            Some(name) => Some(host::ensure_vlan_gateway(host, &bridge, &name, &config)?),
            None => None,
        };
        let (link, fresh) = carrier.as_ref().map_or((&bridge, created), |carrier| (&carrier.link, carrier.created));
        host::carry(host, link, &gateways, fresh, &config)?;
        if let Some(carrier) = &carrier {
            result.add_interface(host_interface(&carrier.link.info()?));
        }
        host::forward(host, &gateways)?;
    }
    if let Some(backend) = config.masquerade.filter(|_| !result.ips.is_empty()) {
        nat::masquerade(&masquerades(&result), backend).context("ipMasq")?;
    }
    if config.up {
        wait(&pair)?;
    }
    if !result.ips.is_empty() {
        // The neighbours learn the address by themselves, a little later.
        if let Err(error) = pair.container.announce() {
            warn!("the addresses of {} were not announced: {error}", inside.name);
        }
    }
    result.override_dns(config.dns.as_ref());
    Ok(result)
}

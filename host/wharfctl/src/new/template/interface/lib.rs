//! {{name}}: a cable between the host and the container, with the addresses that `ipam` gives.

use serde::Deserialize;
use wharf_sdk::delegate::Ipam;
use wharf_sdk::net::{Route, VethEnd};
use wharf_sdk::{
    Config, Error, Interface, IpNetwork, Netns, NetworkResult, Request, Result, info, interface, names,
};

/// What the configuration says, besides `ipam`.
#[derive(Deserialize)]
struct Conf {
    /// In bytes; without it the kernel's default.
    mtu: Option<u32>,
}

/// The guest.
pub struct {{type}};

#[wharf_sdk::network(name = "{{name}}")]
impl {{type}} {
    /// Whatever fails, what was done before is undone by the host.
    fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult> {
        let Conf { mtu } = request.config()?;
        let mut result = ipam(request.raw_config())?.add()?;
        interface::complete_gateways(&mut result);
        interface::add_default_routes(&mut result);

        let outside = VethEnd { mtu, ..VethEnd::new(names::hashed("veth", 15, &[&request.attachment().to_string()])) };
        let inside = VethEnd { mtu, ..VethEnd::new(request.ifname()) };
        let (outside, inside) = host.create_veth(&outside, container, &inside)?;
        outside.set_up()?;

        let netns = request.netns_path().unwrap_or_default();
        let index = result.add_interface(Interface::new(request.ifname()).with_mac(inside.info()?.mac).in_sandbox(netns));
        result.ips.iter_mut().for_each(|ip| ip.interface = Some(index));
        interface::configure(container, &inside, &result)?;

        // The host answers for the gateway, and knows the way to the container.
        let link = Some(outside.info()?.index);
        for ip in &result.ips {
            if let Some(gateway) = ip.gateway {
                outside.add_address(IpNetwork::from(gateway))?;
            }
            host.add_route(&Route { link, ..Route::new(IpNetwork::from(ip.address.ip())) })?;
            let forwarding = if ip.address.is_ipv4() { "ipv4/ip_forward" } else { "ipv6/conf/all/forwarding" };
            host.set_sysctl(forwarding, "1")?;
        }
        info!("attached {}", request.attachment(); addresses = result.ips.len());
        Ok(result)
    }

    fn check(request: &Request, _host: &Netns, container: &Netns) -> Result<()> {
        let missing = || Error::check(format!("interface {:?} is missing", request.ifname()));
        let link = container.link(request.ifname())?.ok_or_else(missing)?;
        ipam(request.raw_config())?.check()?;
        interface::check(container, &link, request.require_previous()?)
    }

    /// Either end of the cable takes the other along, and the routes.
    fn del(request: &Request, _host: &Netns, container: Option<&Netns>) -> Result<()> {
        if let Some(container) = container
            && let Some(link) = container.link(request.ifname())?
        {
            link.delete()?;
        }
        ipam(request.raw_config())?.del()
    }

    fn status(config: &Config) -> Result<()> {
        ipam(config)?.status()
    }
}

fn ipam(config: &Config) -> Result<Ipam> {
    Ipam::of(config)?.ok_or_else(|| Error::config("ipam.type", "is missing: name the plugin that gives addresses"))
}

//! The portmap plugin: ports of the host that lead to the container of the plugins before it.

mod config;
mod mapping;
mod target;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::net::IpAddr;

use wharf_sdk::firewall::conntrack::{self, Family};
use wharf_sdk::firewall::nat;
use wharf_sdk::{Context, Error, Netns, Network, NetworkResult, Request, Result, code, debug, warn};

use config::Config;
use target::Target;

/// The guest.
#[derive(Debug)]
pub struct Portmap;

impl Network for Portmap {
    const NAME: &'static str = "portmap";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CAPABILITIES: &'static [&'static str] = &["portMappings"];

    fn add(request: &Request, host: &Netns, _container: &Netns) -> Result<NetworkResult> {
        let config = Config::read(request.raw_config())?;
        let previous = chained(request)?;
        let target = Target::of(previous, request.ifname());
        let forwards = mapping::forwards(&config.mappings, &target.addresses);
        if forwards.is_empty() {
            if !config.mappings.is_empty() {
                warn!("no port mapping is for an address of {}", request.ifname());
            }
            return Ok(previous.clone());
        }
        nat::forward_ports(&forwards, &config.options(&target)).map_err(config::refused)?;
        // After the rules: others of the bridge rely on the switch once it is set, so a failure leaves it.
        if config.answers_localhost()
            && let Some(address) = target.v4()
        {
            route_localnet(host, previous, address)?;
        }
        forget(mapping::forwarded_flows(&forwards));
        Ok(previous.clone())
    }

    fn check(request: &Request, _host: &Netns, _container: &Netns) -> Result<()> {
        let config = Config::read(request.raw_config())?;
        let target = Target::of(chained(request)?, request.ifname());
        let wanted = mapping::forwards(&config.mappings, &target.addresses);
        if wanted.is_empty() {
            return Ok(());
        }
        mapping::compare(&nat::forwards().context("portMappings")?, &wanted)
    }

    /// The rules go by their owner: neither `prevResult` nor `runtimeConfig` is needed, and a configuration that is
    /// wrong by now does not keep them.
    fn del(request: &Request, _host: &Netns, _container: Option<&Netns>) -> Result<()> {
        let removed = nat::remove_forwards().context("portMappings");
        match Config::read(request.raw_config()) {
            Ok(config) => forget(mapping::flows(&config.mappings)),
            Err(error) => debug!("UDP flows to mapped ports stay until they time out: {error}"),
        }
        removed
    }

    fn status(config: &wharf_sdk::Config) -> Result<()> {
        let config = Config::read(config)?;
        nat::available(config.backend).context("ports cannot be forwarded")
    }
}

wharf_sdk::export_network!(Portmap);

/// The result of the plugins before this one.
fn chained(request: &Request) -> Result<&NetworkResult> {
    let missing = "must be called as chained plugin: prevResult is missing";
    request.previous().ok_or_else(|| Error::new(code::INVALID_CONFIG, missing))
}

/// Lets packets from 127.0.0.1 leave by the link that leads to the container. Only for a neighbour: on the link to
/// a router, 127.0.0.0/8 would be open to everybody behind it (CVE-2020-8558).
fn route_localnet(host: &Netns, previous: &NetworkResult, container: IpAddr) -> Result<()> {
    let route = host.route_to(container).context(format_args!("route to {container}"))?;
    let Some(link) = route.filter(|route| route.gateway.is_none()).and_then(|route| route.link) else {
        warn!("{container} is not on a link of this host: 127.0.0.1 does not serve mapped ports");
        return Ok(());
    };
    let Some(name) = link_name(host, previous, link)? else {
        warn!("link {link} to {container} is gone: 127.0.0.1 does not serve mapped ports");
        return Ok(());
    };
    host.set_sysctl(&format!("ipv4/conf/{name}/route_localnet"), "1").context("snat")
}

/// The name of the link with that index. The plugins before listed it, as a rule; asking for those few is cheaper
/// than for every link of a full host.
fn link_name(host: &Netns, previous: &NetworkResult, index: u32) -> Result<Option<String>> {
    for listed in previous.interfaces.iter().filter(|interface| interface.sandbox.is_none()) {
        if let Some(link) = host.link(&listed.name)?
            && link.info()?.index == index
        {
            return Ok(Some(listed.name.clone()));
        }
    }
    let all = host.links()?.into_iter();
    Ok(all.filter(|link| link.index == index).map(|link| link.name).next())
}

/// Flows that the kernel tracks keep their old destination; UDP ones may do so for ever.
fn forget(flows: BTreeSet<(bool, u16)>) {
    for (v4, port) in flows {
        let family = if v4 { Family::Ipv4 } else { Family::Ipv6 };
        match conntrack::flush_udp(family, port) {
            Ok(Some(flows)) => debug!("forgot {flows} UDP flows to port {port}"),
            Ok(None) => {}
            Err(error) => warn!("UDP flows to port {port} stay until they time out: {error}"),
        }
    }
}

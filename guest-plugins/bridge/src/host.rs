//! The host's side that attachments share: the bridge, the link into a VLAN, gateway addresses, forwarding.

use wharf_sdk::net::{Bridge, LinkCommon, VethEnd};
use wharf_sdk::{
    Context, Error, HostError, HostErrorKind, IpNetwork, Link, Mac, Netns, Result, code, debug, warn,
};

use crate::config::Config;
use crate::{gateway, port};

/// A link that may be new.
#[derive(Debug)]
pub(crate) struct Ensured {
    pub(crate) link: Link,
    pub(crate) created: bool,
}

/// The bridge, up. One that exists keeps its MTU and its kind of VLAN filtering.
///
/// A new one gets a hardware address of its own: without, it would take one of its ports' until a gateway pins it, and
/// attachments that are made at the same time would tell different ones.
pub(crate) fn ensure_bridge(host: &Netns, config: &Config) -> Result<Ensured> {
    let spec = Bridge {
        common: LinkCommon {
            mtu: config.mtu,
            mac: Some(port::random_mac()),
            ..LinkCommon::new(&config.bridge)
        },
        vlan_filtering: config.vlans.configured(),
    };
    let (link, created) = host.ensure_bridge(&spec).map_err(|error| not_made(&config.bridge, error))?;
    ignore_advertisements(host, &config.bridge)?;
    if created && config.carries_gateway() && !config.detect_duplicates {
        // Before it is up: a bridge whose link-local address is still being tried forwards nothing to neighbours that
        // it would have to ask for.
        trust_addresses(host, &config.bridge);
    }
    if config.promiscuous {
        link.set_promiscuous(true).context(format_args!("promiscMode of {:?}", config.bridge))?;
    }
    link.set_up().context(format_args!("raise {:?}", config.bridge))?;
    Ok(Ensured { link, created })
}

/// Why there is no bridge. A name that something else has is for the configuration to change.
fn not_made(name: &str, error: HostError) -> Error {
    match error.kind {
        HostErrorKind::Conflict => Error::config("bridge", error.message),
        _ => Error::from(error).context(format_args!("bridge {name:?}")),
    }
}

/// The host's link into the configured VLAN: a veth whose other end is a port of the bridge. Attachments share it.
pub(crate) fn ensure_vlan_gateway(
    host: &Netns,
    bridge: &Link,
    name: &str,
    config: &Config,
) -> Result<Ensured> {
    if let Some(link) = existing_veth(host, name)? {
        return Ok(Ensured { link, created: false });
    }
    let end = VethEnd { mtu: config.mtu, ..VethEnd::new(name) };
    let pair = match port::create(host, host, &end) {
        // Another attachment was faster.
        Err(error) if error.code == code::DUPLICATE => {
            let taken = Error { code: code::NOT_AVAILABLE, ..error };
            let link = existing_veth(host, name)?.ok_or(taken)?;
            return Ok(Ensured { link, created: false });
        }
        outcome => outcome?,
    };
    ignore_advertisements(host, name)?;
    ignore_advertisements(host, &pair.name)?;
    pair.host.set_master(Some(bridge)).context(format_args!("attach {:?}", pair.name))?;
    port::set_vlans(&pair.host, &config.vlans.access(), false)?;
    pair.host.set_up().context(format_args!("raise {:?}", pair.name))?;
    pair.inner.set_up().context(format_args!("raise {name:?}"))?;
    Ok(Ensured { link: pair.inner, created: true })
}

/// The link of that name. No caller gave the name: what else has it is for the node to change, and so says the code.
fn existing_veth(host: &Netns, name: &str) -> Result<Option<Link>> {
    let Some(link) = host.link(name)? else {
        return Ok(None);
    };
    let kind = link.info()?.kind;
    if kind != "veth" {
        let msg = format!(
            "the host has a link {name:?} of kind {kind:?}, but the VLAN's gateway needs that name: rename the link"
        );
        return Err(Error::new(code::NOT_AVAILABLE, msg));
    }
    Ok(Some(link))
}

/// Sets what makes things faster or better, but is not what was asked for.
pub(crate) fn tune(namespace: &Netns, key: &str, value: &str) {
    match namespace.set_sysctl(key, value) {
        Err(error) if error.kind == HostErrorKind::NotFound => debug!("{key} is not there: {error}"),
        Err(error) => warn!("{key} stays as it is: {error}"),
        Ok(()) => {}
    }
}

/// Router advertisements of a container must not configure the host (CVE-2020-10749).
pub(crate) fn ignore_advertisements(host: &Netns, name: &str) -> Result<()> {
    match host.set_sysctl(&format!("ipv6/conf/{name}/accept_ra"), "0") {
        // A host without IPv6 hears none.
        Err(error) if error.kind == HostErrorKind::NotFound => Ok(()),
        outcome => outcome.context(format_args!("accept_ra of {name:?}")),
    }
}

/// Puts the gateways onto the link that carries them. `pin` is the hardware address that a bridge is to keep from
/// then on: by itself it follows its ports, and neighbours would lose it.
pub(crate) fn carry(
    host: &Netns,
    name: &str,
    carrier: &Ensured,
    pin: Option<Mac>,
    gateways: &[IpNetwork],
    config: &Config,
) -> Result<()> {
    let link = &carrier.link;
    let change = gateway::change(name, &link.addresses()?, gateways, config.force_address)?;
    if change.add.is_empty() {
        return Ok(());
    }
    for address in change.remove {
        link.remove_address(address).context(format_args!("forceAddress: remove {address} from {name:?}"))?;
    }
    if carrier.created && !config.detect_duplicates && change.add.iter().any(IpNetwork::is_ipv6) {
        trust_addresses(host, name);
    }
    for address in change.add {
        match link.add_address(address) {
            // Another attachment was faster.
            Err(error) if error.kind == HostErrorKind::AlreadyExists => {}
            outcome => outcome.context(format_args!("gateway {address} on {name:?}"))?,
        }
    }
    if let Some(mac) = pin {
        link.set_mac(mac).context(format_args!("keep the MAC address of {name:?}"))?;
    }
    Ok(())
}

/// A new link's gateway is alone by definition, and containers should not wait for it.
fn trust_addresses(host: &Netns, name: &str) {
    tune(host, &format!("ipv6/conf/{name}/accept_dad"), "0");
}

/// Waits until a new bridge can use its IPv6 addresses. There is nothing to detect, but the kernel sees to that in the
/// background; until then it answers nobody who looks for the gateway, asks for no neighbour, and masquerades with the
/// address of another link.
pub(crate) fn settle(bridge: &Link, name: &str) {
    if let Err(error) = bridge.settle() {
        warn!("the IPv6 addresses of {name} cannot be used yet: {error}");
    }
}

/// Waits until a bridge that had no port can send: the kernel starts its queue in the background, and until then nobody
/// who looks for the gateway gets an answer.
pub(crate) fn await_carrier(bridge: &Link, name: &str) {
    if let Err(error) = bridge.wait_operational() {
        warn!("the gateway on {name} cannot be reached yet: {error}");
    }
}

/// The sysctls that let packets of the gateways' families through the host.
pub(crate) fn forwarding(gateways: &[IpNetwork]) -> impl Iterator<Item = &'static str> {
    let families = [(true, "ipv4/ip_forward"), (false, "ipv6/conf/all/forwarding")];
    let served = move |v4: bool| gateways.iter().any(|gateway| gateway.is_ipv4() == v4);
    families.into_iter().filter(move |(v4, _)| served(*v4)).map(|(_, sysctl)| sysctl)
}

/// Lets packets of the gateways' families through the host.
pub(crate) fn forward(host: &Netns, gateways: &[IpNetwork]) -> Result<()> {
    for sysctl in forwarding(gateways) {
        host.set_sysctl(sysctl, "1").context("forwarding")?;
    }
    Ok(())
}

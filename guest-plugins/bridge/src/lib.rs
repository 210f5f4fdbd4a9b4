//! The bridge plugin: a veth pair joins a container to a bridge of the host, with addresses from an IPAM plugin or
//! as a plain layer 2 network.

mod add;
mod check;
mod config;
mod del;
mod gateway;
mod host;
mod port;
mod vlan;

#[cfg(test)]
mod tests;

use wharf_sdk::delegate::Ipam;
use wharf_sdk::firewall::nat::{self, Backend};
use wharf_sdk::{Context, Netns, Network, NetworkResult, Owner, Request, Result};

use config::Config;

/// The code of an ADD whose bridge has another address than the gateway.
pub const ADDRESS_CONFLICT: u32 = 110;

/// The code of an ADD whose IPAM plugin answered addresses that the bridge cannot serve.
pub const UNUSABLE_ADDRESSES: u32 = 111;

/// The guest.
#[derive(Debug)]
pub struct Bridge;

impl Network for Bridge {
    const NAME: &'static str = "bridge";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CAPABILITIES: &'static [&'static str] = &["mac"];

    fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult> {
        add::add(request, host, container)
    }

    fn check(request: &Request, host: &Netns, container: &Netns) -> Result<()> {
        check::check(request, host, container)
    }

    fn del(request: &Request, host: &Netns, container: Option<&Netns>) -> Result<()> {
        del::del(request, host, container)
    }

    fn status(config: &wharf_sdk::Config) -> Result<()> {
        let config = Config::read(config, None)?;
        if let Some(backend) = config.masquerade.filter(|_| config.ipam.is_some()) {
            nat::available(backend).context("ipMasq")?;
        }
        if config.anti_spoof {
            nat::available(Backend::Nftables).context("macspoofchk")?;
        }
        config.ipam.map_or(Ok(()), |ipam| ipam.status())
    }

    fn gc(config: &wharf_sdk::Config, _valid: &[Owner], _host: &Netns) -> Result<()> {
        // The host sweeps links and rules by their owners; leases are the address manager's.
        Ipam::of(config)?.map_or(Ok(()), |ipam| ipam.gc())
    }
}

wharf_sdk::export_network!(Bridge);

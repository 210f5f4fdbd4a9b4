//! {{name}}: one free address of a subnet after the other.

use serde::Deserialize;
use wharf_sdk::addr::{first_host, predecessor, successor};
use wharf_sdk::leases::Pool;
use wharf_sdk::{Config, Error, IpConfig, IpNetwork, NetworkResult, Owner, Request, Result, code, config};

/// What the configuration says.
#[derive(Deserialize)]
struct Conf {
    ipam: Range,
}

/// Its section for the address manager.
#[derive(Deserialize)]
struct Range {
    #[serde(deserialize_with = "config::cidr")]
    subnet: IpNetwork,
}

/// The guest.
pub struct {{type}};

#[wharf_sdk::ipam(name = "{{name}}")]
impl {{type}} {
    /// An ADD that fails gives its addresses back by itself: the host sees to it.
    fn add(request: &Request) -> Result<NetworkResult> {
        let Conf { ipam: Range { subnet } } = request.config()?;
        let gateway = first_host(subnet);
        let full = || Error::new(code::EXHAUSTED, format!("every address of {subnet} is taken"));
        let (first, last) = successor(gateway).zip(predecessor(subnet.broadcast())).ok_or_else(full)?;

        let pool = Pool::open(None)?;
        let owner = request.attachment().owner();
        let after = pool.last_reserved(0)?.filter(|last| subnet.contains(*last));
        let next = match pool.reserve_next(first, last, after, &[], &owner)? {
            Some(address) => Some(address),
            None => pool.reserve_next(first, last, None, &[], &owner)?,
        };
        let address = next.ok_or_else(full)?;
        pool.set_last_reserved(0, address)?;
        let address = IpNetwork::new(address, subnet.prefix()).map_err(|error| Error::plugin(error.to_string()))?;
        Ok(NetworkResult { ips: vec![IpConfig::new(address).with_gateway(gateway)], ..NetworkResult::default() })
    }

    fn check(request: &Request) -> Result<()> {
        if Pool::open(None)?.find(&request.attachment().owner())?.is_empty() {
            return Err(Error::check(format!("{} has no address", request.attachment())));
        }
        Ok(())
    }

    fn del(request: &Request) -> Result<()> {
        Pool::open(None)?.release(&request.attachment().owner())?;
        Ok(())
    }

    fn gc(_config: &Config, valid: &[Owner]) -> Result<()> {
        let pool = Pool::open(None)?;
        for lease in pool.leases()?.into_iter().filter(|lease| !valid.contains(&lease.owner)) {
            pool.release(&lease.owner)?;
        }
        Ok(())
    }
}

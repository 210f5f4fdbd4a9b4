//! The host-local plugin: addresses from ranges, leased per attachment, next free one first.
//!
//! The leases are the reference plugin's files (`wharf:store/leases`), so that a node can be switched over and back.

mod allocate;
mod config;
mod lookup;
mod range;
mod resolv;

use wharf_sdk::leases::Pool;
use wharf_sdk::{Config, Dns, Error, HostError, HostErrorKind, Ipam, NetworkResult, Owner, Request, Result};

use config::Plan;

/// The guest.
#[derive(Debug)]
pub struct HostLocal;

impl Ipam for HostLocal {
    const NAME: &'static str = "host-local";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const CAPABILITIES: &'static [&'static str] = &["ipRanges", "ips"];

    fn add(request: &Request) -> Result<NetworkResult> {
        let plan = Plan::of_request(request)?;
        let dns = match &plan.resolv_conf {
            Some(path) => resolv::read(path)?,
            None => Dns::default(),
        };
        let pool = Pool::open(plan.data_dir.as_deref()).map_err(unusable)?;
        let ips = allocate::allocate(&pool, &plan.sets, &plan.requested, &request.attachment().owner())?;
        Ok(NetworkResult { ips, routes: plan.routes, dns, ..NetworkResult::default() })
    }

    fn check(request: &Request) -> Result<()> {
        let plan = Plan::of_config(request.raw_config())?;
        let pool = Pool::open(plan.data_dir.as_deref())?;
        lookup::check(&pool, &plan.sets, request.previous(), &request.attachment().owner())
    }

    fn del(request: &Request) -> Result<()> {
        let pool = Pool::open(config::data_dir(request.raw_config()).as_deref())?;
        pool.release(&request.attachment().owner())?;
        Ok(())
    }

    fn status(config: &Config) -> Result<()> {
        let plan = Plan::of_status(config)?;
        // Opening it shows whether leases could be written.
        let pool = Pool::open(plan.data_dir.as_deref()).map_err(HostError::not_available)?;
        if lookup::worth_counting(&plan.sets) { lookup::status(&pool, &plan.sets) } else { Ok(()) }
    }

    fn gc(config: &Config, valid: &[Owner]) -> Result<()> {
        lookup::collect(&Pool::open(config::data_dir(config).as_deref())?, valid)
    }
}

/// Where no leases can be kept, the configuration is at fault.
fn unusable(error: HostError) -> Error {
    match error.kind {
        HostErrorKind::Invalid => Error::config("ipam.dataDir", error.message),
        _ => Error::from(error),
    }
}

wharf_sdk::export_ipam!(HostLocal);

//! The JSON of 0.1.0 and 0.2.0: one address per family with its routes, and nothing about interfaces.

use serde::Serialize;

use super::text::{Address, Cidr, is_v4};
use super::v04::{DnsOut, RouteOut};
use super::{IpConfig, NetworkResult};
use crate::version::Version;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Result<'a> {
    cni_version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip4: Option<Family>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip6: Option<Family>,
    dns: DnsOut<'a>,
}

#[derive(Serialize)]
struct Family {
    ip: Cidr,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Address>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteOut>,
}

impl<'a> Result<'a> {
    pub(super) fn new(result: &'a NetworkResult, version: Version) -> Self {
        Self {
            cni_version: version,
            ip4: family(result, true),
            ip6: family(result, false),
            dns: DnsOut::new(&result.dns),
        }
    }
}

/// The first address of the family, with the routes of the family.
fn family(result: &NetworkResult, v4: bool) -> Option<Family> {
    let ip: &IpConfig = result.ips.iter().find(|ip| is_v4(ip.address) == v4)?;
    let routes = result.routes.iter().filter(|route| is_v4(route.dst) == v4);
    Some(Family {
        ip: Cidr(ip.address),
        gateway: ip.gateway.map(Address),
        routes: routes.map(RouteOut::plain).collect(),
    })
}

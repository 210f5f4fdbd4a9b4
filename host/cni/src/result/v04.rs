//! The JSON of 0.3.0, 0.3.1 and 0.4.0: addresses say their family, and `dns` is always there.

use serde::Serialize;

use super::text::{Address, Cidr, is_v4};
use super::{Dns, NetworkResult, Route, nonzero, text};
use crate::version::Version;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Result<'a> {
    cni_version: Version,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<InterfaceOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ips: Vec<IpOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteOut>,
    dns: DnsOut<'a>,
}

#[derive(Serialize)]
struct InterfaceOut<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<&'a str>,
}

#[derive(Serialize)]
struct IpOut {
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<u32>,
    address: Cidr,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Address>,
}

#[derive(Serialize)]
pub(super) struct RouteOut {
    dst: Cidr,
    #[serde(skip_serializing_if = "Option::is_none")]
    gw: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    advmss: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<u32>,
}

impl RouteOut {
    fn new(route: &Route) -> Self {
        Self {
            mtu: nonzero(route.mtu),
            advmss: nonzero(route.advmss),
            priority: nonzero(route.priority),
            table: route.table,
            scope: route.scope,
            ..Self::plain(route)
        }
    }

    /// With destination and next hop only, which is all that 0.2.0 knows.
    pub(super) fn plain(route: &Route) -> Self {
        Self {
            dst: Cidr(route.dst),
            gw: route.gw.map(Address),
            mtu: None,
            advmss: None,
            priority: None,
            table: None,
            scope: None,
        }
    }
}

/// `dns` as every version before 1.0.0 has it.
#[derive(Serialize)]
pub(super) struct DnsOut<'a> {
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    nameservers: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    search: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    options: &'a [String],
}

impl<'a> DnsOut<'a> {
    pub(super) fn new(dns: &'a Dns) -> Self {
        Self {
            nameservers: &dns.nameservers,
            domain: text(dns.domain.as_ref()),
            search: &dns.search,
            options: &dns.options,
        }
    }
}

impl<'a> Result<'a> {
    pub(super) fn new(result: &'a NetworkResult, version: Version) -> Self {
        let interfaces = result.interfaces.iter().map(|i| InterfaceOut {
            name: &i.name,
            mac: text(i.mac.as_ref()),
            sandbox: text(i.sandbox.as_ref()),
        });
        let ips = result.ips.iter().map(|ip| IpOut {
            version: if is_v4(ip.address) { "4" } else { "6" },
            interface: ip.interface,
            address: Cidr(ip.address),
            gateway: ip.gateway.map(Address),
        });
        Self {
            cni_version: version,
            interfaces: interfaces.collect(),
            ips: ips.collect(),
            routes: result.routes.iter().map(RouteOut::new).collect(),
            dns: DnsOut::new(&result.dns),
        }
    }
}

//! The JSON of 1.0.0 and 1.1.0. Members are declared in the order of their names: that is how the reference
//! prints them.

use serde::Serialize;

use super::text::{Address, Cidr};
use super::{Dns, NetworkResult, nonzero, text};
use crate::version::Version;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Result<'a> {
    cni_version: Version,
    #[serde(skip_serializing_if = "Option::is_none")]
    dns: Option<DnsOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    interfaces: Vec<InterfaceOut<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    ips: Vec<IpOut>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    routes: Vec<RouteOut>,
}

#[derive(Serialize)]
struct DnsOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    nameservers: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    options: &'a [String],
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    search: &'a [String],
}

#[derive(Serialize)]
struct InterfaceOut<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    mac: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    name: &'a str,
    #[serde(rename = "pciID", skip_serializing_if = "Option::is_none")]
    pci_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sandbox: Option<&'a str>,
    #[serde(rename = "socketPath", skip_serializing_if = "Option::is_none")]
    socket_path: Option<&'a str>,
}

#[derive(Serialize)]
struct IpOut {
    address: Cidr,
    #[serde(skip_serializing_if = "Option::is_none")]
    gateway: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<u32>,
}

#[derive(Serialize)]
struct RouteOut {
    #[serde(skip_serializing_if = "Option::is_none")]
    advmss: Option<u32>,
    dst: Cidr,
    #[serde(skip_serializing_if = "Option::is_none")]
    gw: Option<Address>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mtu: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<u32>,
}

impl<'a> Result<'a> {
    pub(super) fn new(result: &'a NetworkResult, version: Version) -> Self {
        let interfaces = result.interfaces.iter().map(|i| InterfaceOut {
            mac: text(i.mac.as_ref()),
            mtu: nonzero(i.mtu),
            name: &i.name,
            pci_id: text(i.pci_id.as_ref()),
            sandbox: text(i.sandbox.as_ref()),
            socket_path: text(i.socket_path.as_ref()),
        });
        let ips = result.ips.iter().map(|ip| IpOut {
            address: Cidr(ip.address),
            gateway: ip.gateway.map(Address),
            interface: ip.interface,
        });
        let routes = result.routes.iter().map(|r| RouteOut {
            advmss: nonzero(r.advmss),
            dst: Cidr(r.dst),
            gw: r.gw.map(Address),
            mtu: nonzero(r.mtu),
            priority: nonzero(r.priority),
            scope: r.scope,
            table: r.table,
        });
        Self {
            cni_version: version,
            dns: (!result.dns.is_empty()).then(|| dns(&result.dns)),
            interfaces: interfaces.collect(),
            ips: ips.collect(),
            routes: routes.collect(),
        }
    }
}

fn dns(dns: &Dns) -> DnsOut<'_> {
    DnsOut {
        domain: text(dns.domain.as_ref()),
        nameservers: &dns.nameservers,
        options: &dns.options,
        search: &dns.search,
    }
}

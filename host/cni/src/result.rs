//! The result of an ADD: one type for every version, parsed from and printed in each of the seven.
//!
//! What a version cannot say is left out: interface `mtu`, `socketPath` and `pciID` below 1.0.0 (1.0.0 keeps
//! them, as the reference does), and up to 0.2.0 interfaces, further addresses of a family, and the routes of a
//! family without address.

mod parse;
mod text;
mod v02;
mod v04;
mod v1;

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde::Serialize;
use serde_json::Value;

use crate::error::Error;
use crate::json;
use crate::version::Version;

pub use text::{parse_address, parse_cidr};

/// What an ADD made, or what the plugins before made (`prevResult`).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkResult {
    /// Interfaces made, in the container and on the host.
    pub interfaces: Vec<Interface>,
    /// Addresses assigned.
    pub ips: Vec<IpConfig>,
    /// Routes set.
    pub routes: Vec<Route>,
    /// Name resolution.
    pub dns: Dns,
}

/// An interface of a result.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address, as text.
    pub mac: Option<String>,
    /// Its MTU; 0 is the same as none.
    pub mtu: Option<u32>,
    /// The path of the namespace it is in; none for the host's.
    pub sandbox: Option<String>,
    /// A vhost-user socket.
    pub socket_path: Option<String>,
    /// A PCI device.
    pub pci_id: Option<String>,
}

/// An address of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IpConfig {
    /// The address with its prefix length; host bits are set.
    pub address: IpNetwork,
    /// The subnet's gateway.
    pub gateway: Option<IpAddr>,
    /// Index into the result's interfaces.
    pub interface: Option<u32>,
}

/// A route of a result.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The destination.
    pub dst: IpNetwork,
    /// The next hop.
    pub gw: Option<IpAddr>,
    /// The path MTU; 0 is the same as none.
    pub mtu: Option<u32>,
    /// The maximal segment size to advertise; 0 is the same as none.
    pub advmss: Option<u32>,
    /// The metric; 0 is the same as none.
    pub priority: Option<u32>,
    /// The routing table.
    pub table: Option<u32>,
    /// The kernel's scope number.
    pub scope: Option<u32>,
}

impl Route {
    /// A route with nothing but destination and next hop.
    #[must_use]
    pub fn new(dst: IpNetwork, gw: Option<IpAddr>) -> Self {
        Self { dst, gw, mtu: None, advmss: None, priority: None, table: None, scope: None }
    }
}

/// Name resolution; member order is that of every version's text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Dns {
    /// Addresses of name servers.
    pub nameservers: Vec<String>,
    /// The local domain.
    pub domain: Option<String>,
    /// Search domains.
    pub search: Vec<String>,
    /// Resolver options.
    pub options: Vec<String>,
}

impl Dns {
    /// Whether there is nothing to say.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nameservers.is_empty()
            && self.domain.as_deref().unwrap_or_default().is_empty()
            && self.search.is_empty()
            && self.options.is_empty()
    }
}

impl NetworkResult {
    /// Reads a result in the version it names itself, or in `version` when it names none. `null` is the empty
    /// result. Unknown members are skipped, since plugins of all sorts make results.
    pub fn parse(value: &Value, version: Version) -> Result<Self, Error> {
        parse::result(value, version)
    }

    /// Reads the result that a delegate printed.
    pub fn from_slice(bytes: &[u8], version: Version) -> Result<Self, Error> {
        Self::parse(&crate::config::decode(bytes, "result")?, version)
    }

    /// Whether the version can express this result: up to 0.2.0 it needs an address. To be asked before the
    /// kernel is touched where that is possible, and in any case while it can still be undone.
    pub fn renderable(&self, version: Version) -> Result<(), Error> {
        if version <= Version::V0_2_0 && self.ips.is_empty() {
            return Err(Error::NoAddresses(version));
        }
        Ok(())
    }

    /// The result as JSON of the version.
    pub fn render(&self, version: Version) -> Result<Value, Error> {
        self.renderable(version)?;
        Ok(serde_json::to_value(self.wire(version)).unwrap_or_default())
    }

    /// The text that a plugin prints: indented by four spaces, without a final newline; from 1.0.0 on with
    /// sorted keys, before that in the order of the reference's structures.
    pub fn to_json_string(&self, version: Version) -> Result<String, Error> {
        self.renderable(version)?;
        Ok(json::pretty(&self.wire(version)))
    }

    /// What serialises as the version's JSON. Unlike [`NetworkResult::render`] it lets a result without
    /// addresses pass, since a prevResult may be one.
    pub(crate) fn wire(&self, version: Version) -> Wire<'_> {
        match version {
            Version::V0_1_0 | Version::V0_2_0 => Wire::V02(v02::Result::new(self, version)),
            Version::V0_3_0 | Version::V0_3_1 | Version::V0_4_0 => Wire::V04(v04::Result::new(self, version)),
            Version::V1_0_0 | Version::V1_1_0 => Wire::V1(v1::Result::new(self, version)),
        }
    }
}

/// A result dressed for one version.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Wire<'a> {
    /// 0.1.0 and 0.2.0
    V02(v02::Result<'a>),
    /// 0.3.0 to 0.4.0
    V04(v04::Result<'a>),
    /// 1.0.0 and 1.1.0
    V1(v1::Result<'a>),
}

/// An empty string is the same as none.
fn text(value: Option<&String>) -> Option<&str> {
    value.map(String::as_str).filter(|text| !text.is_empty())
}

/// Zero is the same as none, for the numbers where the reference has it so.
fn nonzero(value: Option<u32>) -> Option<u32> {
    value.filter(|number| *number != 0)
}

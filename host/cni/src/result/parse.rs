//! Reading results of every version.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use serde_json::Value;

use super::text::{parse_address, parse_cidr};
use super::{Dns, Interface, IpConfig, NetworkResult, Route, nonzero};
use crate::error::Error;
use crate::json::{self, Object};
use crate::version::Version;

pub(super) fn result(value: &Value, assumed: Version) -> Result<NetworkResult, Error> {
    if value.is_null() {
        return Ok(NetworkResult::default());
    }
    let object = json::object(value, "")?;
    let version = Version::of(object)?.unwrap_or(assumed);
    let mut out = NetworkResult { dns: dns(object)?, ..NetworkResult::default() };
    if version <= Version::V0_2_0 {
        family(object, "ip4", true, &mut out)?;
        family(object, "ip6", false, &mut out)?;
        return Ok(out);
    }
    out.interfaces = json::array(object, "interfaces", |item| interface(item, version))?;
    out.ips = json::array(object, "ips", ip)?;
    out.routes = json::array(object, "routes", route)?;
    Ok(out)
}

/// `ip4` or `ip6` of the versions up to 0.2.0.
fn family(object: &Object, key: &'static str, v4: bool, out: &mut NetworkResult) -> Result<(), Error> {
    let Some(value) = json::member(object, key) else { return Ok(()) };
    let read = || {
        let object = json::object(value, "")?;
        let address = required_cidr(object, "ip")?;
        if address.is_ipv4() != v4 {
            return Err(Error::invalid("ip", format!("{address} is of the other address family")));
        }
        let ip = IpConfig { address, gateway: address_of(object, "gateway")?, interface: None };
        Ok((ip, json::array(object, "routes", route)?))
    };
    let (ip, routes) = read().map_err(|e: Error| e.under(key))?;
    out.ips.push(ip);
    out.routes.extend(routes);
    Ok(())
}

fn interface(value: &Value, version: Version) -> Result<Interface, Error> {
    let object = json::object(value, "")?;
    let text = |key| Ok(json::string(object, key)?.map(str::to_owned));
    let mut out = Interface {
        name: text("name")?.unwrap_or_default(),
        mac: text("mac")?,
        sandbox: text("sandbox")?,
        ..Interface::default()
    };
    if version >= Version::V1_0_0 {
        out.mtu = nonzero(json::number(object, "mtu")?);
        out.socket_path = text("socketPath")?;
        out.pci_id = text("pciID")?;
    }
    Ok(out)
}

fn ip(value: &Value) -> Result<IpConfig, Error> {
    let object = json::object(value, "")?;
    let interface = match json::member(object, "interface") {
        // Some plugins say "no interface" with -1.
        Some(index) if index.as_i64().is_some_and(i64::is_negative) => None,
        _ => json::number(object, "interface")?,
    };
    Ok(IpConfig {
        address: required_cidr(object, "address")?,
        gateway: address_of(object, "gateway")?,
        interface,
    })
}

fn route(value: &Value) -> Result<Route, Error> {
    let object = json::object(value, "")?;
    Ok(Route {
        dst: required_cidr(object, "dst")?,
        gw: address_of(object, "gw")?,
        mtu: nonzero(json::number(object, "mtu")?),
        advmss: nonzero(json::number(object, "advmss")?),
        priority: nonzero(json::number(object, "priority")?),
        table: json::number(object, "table")?,
        scope: json::number(object, "scope")?,
    })
}

fn dns(object: &Object) -> Result<Dns, Error> {
    let Some(value) = json::member(object, "dns") else { return Ok(Dns::default()) };
    let read = || {
        let object = json::object(value, "")?;
        Ok(Dns {
            nameservers: json::strings(object, "nameservers")?,
            domain: json::string(object, "domain")?.map(str::to_owned),
            search: json::strings(object, "search")?,
            options: json::strings(object, "options")?,
        })
    };
    read().map_err(|e: Error| e.under("dns"))
}

fn required_cidr(object: &Object, key: &str) -> Result<IpNetwork, Error> {
    const EXPECTED: &str = "an address with prefix length";
    let value = object.get(key).unwrap_or(&Value::Null);
    value.as_str().and_then(parse_cidr).ok_or_else(|| json::wrong(key, EXPECTED, value))
}

fn address_of(object: &Object, key: &str) -> Result<Option<IpAddr>, Error> {
    let Some(text) = json::string(object, key)? else { return Ok(None) };
    let found = || json::wrong(key, "an IP address", &Value::from(text));
    parse_address(text).map(Some).ok_or_else(found)
}

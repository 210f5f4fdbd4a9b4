//! The configuration: what is in the JSON, and the plan that it amounts to.

use std::net::IpAddr;

use serde::Deserialize;
use wharf_sdk::addr::same_family;
use wharf_sdk::config::{cidr, null_as_default, optional_address, optional_cidr, parse_address, parse_cidr};
use wharf_sdk::{Config, Error, IpNetwork, Request, Result, ResultRoute, code};

use crate::range::{Range, RangeSet};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Root {
    #[serde(default, deserialize_with = "null_as_default")]
    cni_version: String,
    ipam: Option<Ipam>,
    #[serde(default, deserialize_with = "null_as_default")]
    runtime_config: Runtime,
    #[serde(default, deserialize_with = "null_as_default")]
    args: Args,
    #[serde(default, deserialize_with = "null_as_default")]
    capabilities: Capabilities,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Capabilities {
    #[serde(default, deserialize_with = "null_as_default")]
    ip_ranges: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Ipam {
    #[serde(default, deserialize_with = "null_as_default")]
    ranges: Vec<Vec<RawRange>>,
    #[serde(default, deserialize_with = "optional_cidr")]
    subnet: Option<IpNetwork>,
    #[serde(default, deserialize_with = "optional_address")]
    range_start: Option<IpAddr>,
    #[serde(default, deserialize_with = "optional_address")]
    range_end: Option<IpAddr>,
    #[serde(default, deserialize_with = "optional_address")]
    gateway: Option<IpAddr>,
    #[serde(default, deserialize_with = "null_as_default")]
    routes: Vec<ResultRoute>,
    resolv_conf: Option<String>,
    data_dir: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", expecting = "an object with subnet, rangeStart, rangeEnd and gateway")]
struct RawRange {
    #[serde(deserialize_with = "cidr")]
    subnet: IpNetwork,
    #[serde(default, deserialize_with = "optional_address")]
    range_start: Option<IpAddr>,
    #[serde(default, deserialize_with = "optional_address")]
    range_end: Option<IpAddr>,
    #[serde(default, deserialize_with = "optional_address")]
    gateway: Option<IpAddr>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Runtime {
    #[serde(default, deserialize_with = "null_as_default")]
    ip_ranges: Vec<Vec<RawRange>>,
    #[serde(default, deserialize_with = "null_as_default")]
    ips: Vec<String>,
}

#[derive(Default, Deserialize)]
struct Args {
    #[serde(default, deserialize_with = "null_as_default")]
    cni: CniArgs,
}

#[derive(Default, Deserialize)]
struct CniArgs {
    #[serde(default, deserialize_with = "null_as_default")]
    ips: Vec<String>,
}

/// What a valid configuration asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// One address of each is given out, in this order.
    pub(crate) sets: Vec<RangeSet>,
    /// Addresses that must be among them.
    pub(crate) requested: Vec<IpAddr>,
    pub(crate) routes: Vec<ResultRoute>,
    pub(crate) resolv_conf: Option<String>,
    pub(crate) data_dir: Option<String>,
}

impl Plan {
    /// The plan of an ADD: `CNI_ARGS` may request an address, too.
    pub(crate) fn of_request(request: &Request) -> Result<Self> {
        let args = request.args();
        args.expect(&["IP"])?;
        let from_args = args.get("IP").filter(|text| !text.is_empty());
        let from_args = from_args
            .map(parse_requested)
            .transpose()
            .map_err(|reason| Error::new(code::INVALID_ENVIRONMENT, format!("CNI_ARGS: IP: {reason}")))?;
        let mut plan = Self::of_config(request.raw_config())?;
        if let Some(address) = from_args {
            plan.requested.retain(|other| *other != address);
            plan.requested.insert(0, address);
        }
        Ok(plan)
    }

    /// The plan of a configuration alone.
    pub(crate) fn of_config(config: &Config) -> Result<Self> {
        Self::read(config.parse()?, false)
    }

    /// What STATUS can know of it: ranges that the runtime gives with each ADD, it does not give with a STATUS.
    pub(crate) fn of_status(config: &Config) -> Result<Self> {
        let root: Root = config.parse()?;
        let later = root.capabilities.ip_ranges;
        Self::read(root, later)
    }

    /// `later`: there need not be ranges yet.
    fn read(root: Root, later: bool) -> Result<Self> {
        let Some(ipam) = root.ipam else {
            return Err(Error::config("ipam", "IPAM config missing 'ipam' key"));
        };
        let requested = requested(&root.args.cni.ips, &root.runtime_config.ips)?;
        let mut named: Vec<(String, RangeSet)> = Vec::new();
        add_sets(&mut named, "runtimeConfig.ipRanges", root.runtime_config.ip_ranges)?;
        add_flat_set(&mut named, &ipam)?;
        add_sets(&mut named, "ipam.ranges", ipam.ranges)?;
        if named.is_empty() && !later {
            return Err(Error::config("ipam.ranges", "no IP ranges specified"));
        }
        check_overlaps(&named)?;
        let sets: Vec<RangeSet> = named.into_iter().map(|(_, set)| set).collect();
        check_families(&root.cni_version, &sets)?;
        check_routes(&ipam.routes)?;
        check_path("ipam.dataDir", ipam.data_dir.as_deref())?;
        check_path("ipam.resolvConf", ipam.resolv_conf.as_deref())?;
        Ok(Self {
            sets,
            requested,
            routes: ipam.routes,
            resolv_conf: ipam.resolv_conf.filter(|path| !path.is_empty()),
            data_dir: ipam.data_dir.filter(|path| !path.is_empty()),
        })
    }
}

/// Where the leases are: all that DEL and GC need. A configuration whose ranges are wrong must not keep addresses
/// from being given back, so nothing else of it is looked at.
pub(crate) fn data_dir(config: &Config) -> Option<String> {
    #[derive(Deserialize)]
    struct Root {
        ipam: Option<Ipam>,
    }
    #[derive(Deserialize)]
    struct Ipam {
        #[serde(rename = "dataDir")]
        data_dir: Option<String>,
    }
    let root: Root = config.parse().ok()?;
    root.ipam?.data_dir.filter(|path| !path.is_empty())
}

fn add_sets(to: &mut Vec<(String, RangeSet)>, key: &str, sets: Vec<Vec<RawRange>>) -> Result<()> {
    for (index, raw) in sets.into_iter().enumerate() {
        let path = format!("{key}[{index}]");
        let number = to.len();
        let ranges = raw.into_iter().enumerate().map(|(position, raw)| {
            Range::new(raw.subnet, raw.range_start, raw.range_end, raw.gateway).map_err(|fault| {
                let path = format!("{path}[{position}].{}", fault.key);
                Error::config(path, format!("invalid range set {number}: {}", fault.reason))
            })
        });
        let ranges = ranges.collect::<Result<_>>()?;
        let set = RangeSet::new(ranges)
            .map_err(|reason| Error::config(&path, format!("invalid range set {number}: {reason}")))?;
        to.push((path, set));
    }
    Ok(())
}

/// The old style: one range directly in `ipam`.
fn add_flat_set(to: &mut Vec<(String, RangeSet)>, ipam: &Ipam) -> Result<()> {
    let Some(subnet) = ipam.subnet else {
        let without_subnet =
            [("rangeStart", ipam.range_start), ("rangeEnd", ipam.range_end), ("gateway", ipam.gateway)];
        return match without_subnet.into_iter().find_map(|(key, value)| Some((key, value?))) {
            Some((key, value)) => Err(Error::config(
                format_args!("ipam.{key}"),
                format_args!("{value} needs ipam.subnet beside it"),
            )),
            None => Ok(()),
        };
    };
    let number = to.len();
    let invalid = |key: &str, reason: String| {
        Error::config(format_args!("ipam.{key}"), format_args!("invalid range set {number}: {reason}"))
    };
    let range = Range::new(subnet, ipam.range_start, ipam.range_end, ipam.gateway)
        .map_err(|fault| invalid(fault.key, fault.reason))?;
    let set = RangeSet::new(vec![range]).map_err(|reason| invalid("subnet", reason))?;
    to.push(("ipam.subnet".to_owned(), set));
    Ok(())
}

fn check_overlaps(named: &[(String, RangeSet)]) -> Result<()> {
    for (later, (path, set)) in named.iter().enumerate() {
        let earlier = named.iter().take(later).position(|(_, other)| set.overlaps(other));
        if let Some((earlier, (other_path, other))) =
            earlier.and_then(|index| Some((index, named.get(index)?)))
        {
            let reason =
                format!("range set {earlier} overlaps with {later}: {set} and {other} of {other_path}");
            return Err(Error::config(path, reason));
        }
    }
    Ok(())
}

/// Results before 0.3.0 have one address of each family.
fn check_families(version: &str, sets: &[RangeSet]) -> Result<()> {
    let single = matches!(version, "" | "0.1.0" | "0.2.0");
    let of_ipv4 = sets.iter().filter(|set| set.is_ipv4()).count();
    if single && (of_ipv4 > 1 || sets.len() - of_ipv4 > 1) {
        let shown = if version.is_empty() { "0.1.0" } else { version };
        let reason = format!("CNI version {shown} does not support more than 1 address per family");
        return Err(Error::config("cniVersion", reason));
    }
    Ok(())
}

/// The host would refuse it, too, but as its own error and not as one of the configuration.
fn check_path(key: &str, path: Option<&str>) -> Result<()> {
    let path = path.unwrap_or_default();
    if path.is_empty() || (path.starts_with('/') && !path.split('/').any(|part| part == "..")) {
        return Ok(());
    }
    Err(Error::config(key, format_args!("{path:?} is not an absolute path without `..`")))
}

fn check_routes(routes: &[ResultRoute]) -> Result<()> {
    for (index, route) in routes.iter().enumerate() {
        if let Some(gateway) = route.gw.filter(|gateway| !same_family(*gateway, route.dst.ip())) {
            let path = format!("ipam.routes[{index}].gw");
            return Err(Error::config(path, format!("{gateway} is not of the family of {}", route.dst)));
        }
    }
    Ok(())
}

/// The addresses that `args.cni.ips` and `runtimeConfig.ips` request, each once.
fn requested(args: &[String], runtime: &[String]) -> Result<Vec<IpAddr>> {
    let mut requested = Vec::new();
    for (key, texts) in [("args.cni.ips", args), ("runtimeConfig.ips", runtime)] {
        for (index, text) in texts.iter().enumerate() {
            let address = parse_requested(text)
                .map_err(|reason| Error::config(format_args!("{key}[{index}]"), reason))?;
            if !requested.contains(&address) {
                requested.push(address);
            }
        }
    }
    Ok(requested)
}

/// An address, with or without a prefix length, which does not matter.
fn parse_requested(text: &str) -> Result<IpAddr, String> {
    if text.contains('/') { Ok(parse_cidr(text)?.ip().to_canonical()) } else { parse_address(text) }
}

#[cfg(test)]
mod tests;

//! Gateways: which addresses the host answers to, the default routes through them, and how they get onto the
//! bridge. Pure: addresses in, decisions out.

use std::net::IpAddr;

use wharf_sdk::addr::{default_destination, is_default, same_family};
use wharf_sdk::interface::complete_gateways;
use wharf_sdk::{Error, IpNetwork, NetworkResult, Result, ResultRoute};

use crate::{ADDRESS_CONFLICT, UNUSABLE_ADDRESSES};

/// The main routing table, as the route of a result may name it.
const MAIN_TABLE: [Option<u32>; 3] = [None, Some(0), Some(254)];

/// Fills in the gateways that the address management left out, and with `default` a default route per family.
pub(crate) fn complete(result: &mut NetworkResult, default: bool) {
    complete_gateways(result);
    if default {
        for gateway in result.ips.iter().filter_map(|ip| ip.gateway) {
            route_default(&mut result.routes, gateway);
        }
    }
}

/// The addresses that the host must carry for the interface: each gateway with its subnet's prefix.
pub(crate) fn carried(result: &NetworkResult, ifname: &str) -> Result<Vec<IpNetwork>> {
    let mut carried = Vec::with_capacity(result.ips.len());
    for ip in result.ips_of(ifname) {
        let Some(gateway) = ip.gateway else { continue };
        let address = carry(ip.address, gateway)?;
        if !carried.contains(&address) {
            carried.push(address);
        }
    }
    Ok(carried)
}

/// The gateway with the prefix of the subnet it serves.
fn carry(address: IpNetwork, gateway: IpAddr) -> Result<IpNetwork> {
    let refuse = |why: &str| {
        let message = format!("isGateway: the gateway {gateway} of the address {address} {why}");
        Error::new(UNUSABLE_ADDRESSES, message)
    };
    if !same_family(gateway, address.ip()) || !(address.contains(gateway) || is_link_local(gateway)) {
        return Err(refuse("is outside of its subnet, so the bridge cannot carry it"));
    }
    if gateway == address.ip() {
        return Err(refuse(
            "is the container's own; give the container another address, or name the gateway",
        ));
    }
    IpNetwork::new(gateway, address.prefix()).map_err(|_| refuse("has no valid prefix"))
}

/// Makes sure that there is a default route through a gateway: one that came without is completed, a second one
/// is never added.
fn route_default(routes: &mut Vec<ResultRoute>, gateway: IpAddr) {
    let destination = default_destination(gateway);
    let mut found = false;
    for route in routes.iter_mut() {
        if is_default(route.dst) && same_family(route.dst.ip(), gateway) && MAIN_TABLE.contains(&route.table)
        {
            route.gw.get_or_insert(gateway);
            found = true;
        }
    }
    if !found {
        routes.push(ResultRoute::new(destination).via(gateway));
    }
}

/// Such an IPv6 address is on every link, beside all others.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The subnet of an address.
pub(crate) fn subnet(address: IpNetwork) -> IpNetwork {
    IpNetwork::new(address.network(), address.prefix()).unwrap_or(address)
}

/// What to do to the addresses of the link that carries the gateways.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct AddressChange {
    /// Conflicting ones, for `forceAddress`.
    pub(crate) remove: Vec<IpNetwork>,
    /// Missing ones.
    pub(crate) add: Vec<IpNetwork>,
}

/// Compares what the link has with what it must carry. A bridge has one IPv4 network, and IPv6 networks that do
/// not overlap; another address is a conflict, unless it is to be replaced.
pub(crate) fn change(
    link: &str,
    present: &[IpNetwork],
    wanted: &[IpNetwork],
    force: bool,
) -> Result<AddressChange> {
    let mut change = AddressChange::default();
    for want in wanted {
        if present.contains(want) {
            continue;
        }
        let conflicts = |have: &&IpNetwork| {
            !wanted.contains(have)
                && !is_link_local(have.ip())
                && same_family(have.ip(), want.ip())
                && (want.is_ipv4() || have.contains(want.ip()) || want.contains(have.ip()))
        };
        for have in present.iter().filter(conflicts) {
            if !force {
                return Err(Error::new(
                    ADDRESS_CONFLICT,
                    format!(
                        "the link {link} has the address {have}, which conflicts with the gateway {want}: use \
                         another subnet or bridge, or let forceAddress replace it"
                    ),
                ));
            }
            if !change.remove.contains(have) {
                change.remove.push(*have);
            }
        }
        change.add.push(*want);
    }
    Ok(change)
}

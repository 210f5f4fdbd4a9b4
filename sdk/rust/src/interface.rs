//! What every main plugin does with an address manager's answer: complete it, apply it to a link, check it later.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use ipnetwork::IpNetwork;

use crate::addr::{default_destination, first_host, is_default, same_family};
use crate::error::{Context, Error, HostErrorKind, Result};
use crate::net::{Link, LinkInfo, Netns, Route};
use crate::result::{IpConfig, NetworkResult, ResultRoute};
use crate::{debug, warn};

/// rtnetlink(7): the destination is on the link itself, so that a route has no next hop.
const SCOPE_LINK: u8 = 253;

/// Gives every address without a gateway the first host of its subnet.
///
/// ```
/// use wharf_sdk::{IpConfig, NetworkResult, interface};
/// let ips = vec![IpConfig::new("10.22.7.2/16".parse()?)];
/// let mut result = NetworkResult { ips, ..NetworkResult::default() };
/// interface::complete_gateways(&mut result);
/// assert_eq!(result.ips[0].gateway, Some([10, 22, 0, 1].into()));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn complete_gateways(result: &mut NetworkResult) {
    for ip in &mut result.ips {
        ip.gateway.get_or_insert_with(|| first_host(ip.address));
    }
}

/// Adds a default route by the first gateway of each family that has none yet.
///
/// A default route without a next hop counts: [`configure`] gives it the family's gateway.
///
/// ```
/// use wharf_sdk::{IpConfig, NetworkResult, interface};
/// let mut result = NetworkResult::default();
/// result.ips.push(IpConfig::new("10.22.0.2/16".parse()?));
/// interface::complete_gateways(&mut result);
/// interface::add_default_routes(&mut result);
/// interface::add_default_routes(&mut result);
/// assert_eq!(result.routes.len(), 1);
/// assert_eq!(result.routes[0].gw, Some("10.22.0.1".parse()?));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn add_default_routes(result: &mut NetworkResult) {
    let gateways: Vec<IpAddr> = result.ips.iter().filter_map(|ip| ip.gateway).collect();
    for gateway in gateways {
        if !result.has_default_route(gateway) {
            result.routes.push(ResultRoute::new(default_destination(gateway)).via(gateway));
        }
    }
}

/// Puts the addresses of `result` that name `link` on it, raises it, waits for duplicate address detection and adds
/// the routes, with every field that they have.
///
/// An address without an interface index is not for this link. A route without a next hop takes the gateway of its
/// family's first address, or is on-link if there is none or its scope is link.
///
/// ```
/// # wharf_testkit::run(|_request, _host, container| {
/// use wharf_sdk::{Interface, IpConfig, NetworkResult, interface, net::LinkCommon};
/// let link = container.create_ifb(&LinkCommon::new("eth0"))?;
/// let mut result = NetworkResult::default();
/// let index = result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/c1"));
/// result.ips.push(IpConfig::new("10.22.0.2/16".parse().expect("a constant")).on(index));
/// interface::configure(container, &link, &result)?;
/// assert!(link.info()?.up && !link.addresses()?.is_empty());
/// # Ok(())
/// # });
/// ```
pub fn configure(container: &Netns, link: &Link, result: &NetworkResult) -> Result<()> {
    let info = link.info()?;
    let addresses = addresses_for(&info.name, result)?;
    let routes = planned_routes(info.index, result)?;
    let has_ipv6 = addresses.iter().any(IpNetwork::is_ipv6);
    if has_ipv6 {
        enable_ipv6(container, &info.name)?;
    }
    for address in addresses {
        link.add_address(address).context(format_args!("add address {address} to {:?}", info.name))?;
    }
    link.set_up().context(format_args!("raise {:?}", info.name))?;
    if has_ipv6 {
        settle(link)?;
    }
    for route in routes {
        match container.add_route(&route) {
            Err(error) if error.kind == HostErrorKind::AlreadyExists => {
                debug!("the route to {} is there already", route.dst);
            }
            outcome => outcome.context(format_args!("add the route to {}", describe(&route)))?,
        }
    }
    Ok(())
}

/// The kernel may come with IPv6 off in a new namespace; an address would then be refused.
fn enable_ipv6(container: &Netns, ifname: &str) -> Result<()> {
    for name in ["lo", ifname] {
        let key = format!("ipv6/conf/{name}/disable_ipv6");
        container.set_sysctl(&key, "0").context(format_args!("enable IPv6 on {name:?}"))?;
    }
    // Kernels without the parameter drop the addresses with the link, as they always did.
    if let Err(error) = container.set_sysctl(&format!("ipv6/conf/{ifname}/keep_addr_on_down"), "1") {
        debug!("addresses of {ifname} go when it is lowered: {error}");
    }
    Ok(())
}

/// Without a carrier, detection never ends; only a link that carries traffic may fail by it.
fn settle(link: &Link) -> Result<()> {
    match link.settle() {
        Err(error) if error.kind == HostErrorKind::TimedOut && !link.info()?.operational => {
            warn!("duplicate address detection did not end on a link without carrier");
            Ok(())
        }
        outcome => outcome.context("duplicate address detection"),
    }
}

/// The addresses that name the link; one that names another link, or none that is listed, is an error.
fn addresses_for(ifname: &str, result: &NetworkResult) -> Result<Vec<IpNetwork>> {
    let mut addresses = Vec::new();
    for ip in result.ips.iter().filter(|ip| ip.interface.is_some()) {
        let Some(interface) = result.interface_of(ip) else {
            let count = result.interfaces.len();
            let index = ip.interface.unwrap_or_default();
            let msg = format!("address {} names interface {index}, but there are {count}", ip.address);
            return Err(Error::plugin(msg));
        };
        if interface.name != ifname {
            let msg = format!("address {} is for interface {:?}, not {ifname:?}", ip.address, interface.name);
            return Err(Error::plugin(msg));
        }
        addresses.push(ip.address);
    }
    Ok(addresses)
}

/// The result's routes as the kernel takes them.
fn planned_routes(link: u32, result: &NetworkResult) -> Result<Vec<Route>> {
    result.routes.iter().map(|route| planned_route(link, route, result)).collect()
}

fn planned_route(link: u32, route: &ResultRoute, result: &NetworkResult) -> Result<Route> {
    let scope = route
        .scope
        .map(|scope| {
            let reason = format!("scope {scope} of the route to {} is above 255", route.dst);
            u8::try_from(scope).map_err(|_| Error::config("routes", reason))
        })
        .transpose()?;
    let on_link = scope.is_some_and(|scope| scope >= SCOPE_LINK);
    let gateway = match route.gw {
        Some(gateway) => Some(gateway),
        None if on_link => None,
        None => result.gateway_for(route.dst.ip()),
    };
    let dst = IpNetwork::new(route.dst.network(), route.dst.prefix()).unwrap_or(route.dst);
    if let Some(gateway) = gateway.filter(|gateway| !same_family(*gateway, dst.ip())) {
        let reason = format!("gateway {gateway} is not of the family of {dst}");
        return Err(Error::config("routes", reason));
    }
    Ok(Route {
        gateway: gateway.filter(|gateway| !gateway.is_unspecified()),
        link: Some(link),
        metric: route.priority.filter(|&metric| metric != 0),
        table: route.table.filter(|&table| table != 0),
        mtu: route.mtu.filter(|&mtu| mtu != 0),
        advmss: route.advmss.filter(|&advmss| advmss != 0),
        scope,
        ..Route::new(dst)
    })
}

fn describe(route: &Route) -> String {
    let via = route.gateway.map(|gateway| format!(" via {gateway}")).unwrap_or_default();
    let table = route.table.map(|table| format!(" in table {table}")).unwrap_or_default();
    format!("{}{via}{table}", route.dst)
}

/// CHECK: every address of `result` for `link` is on it, with the route to its subnet, and every route is there. Routes of
/// the main table may have been moved to another one up to 252, as the reference plugin `sbr` does.
///
/// ```
/// # wharf_testkit::run(|_request, _host, container| {
/// use wharf_sdk::{Interface, IpConfig, NetworkResult, code, interface, net::LinkCommon};
/// let link = container.create_ifb(&LinkCommon::new("eth0"))?;
/// let mut result = NetworkResult::default();
/// let index = result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/c1"));
/// result.ips.push(IpConfig::new("10.22.0.2/16".parse().expect("a constant")).on(index));
/// let error = interface::check(container, &link, &result).expect_err("nothing is configured yet");
/// assert_eq!(error.code, code::CHECK_FAILED);
/// # Ok(())
/// # });
/// ```
pub fn check(container: &Netns, link: &Link, result: &NetworkResult) -> Result<()> {
    let LinkInfo { name, index, .. } = link.info()?;
    check_addresses(&name, &link.addresses()?, result)?;
    for route in &result.routes {
        if let table @ Some(1..) = route.table
            && !contains_route(&container.routes(table)?, route)
        {
            return Err(Error::check(missing_route(&name, route)));
        }
    }
    let mut routes = container.routes(None)?;
    let Some(missing) = missing_in_main(&name, &routes, result) else { return Ok(()) };
    for table in ELSEWHERE.into_iter().flatten() {
        let moved = container.routes(Some(table))?.into_iter().filter(|route| route.link == Some(index));
        let known = routes.len();
        routes.extend(moved);
        if routes.len() > known && missing_in_main(&name, &routes, result).is_none() {
            return Ok(());
        }
    }
    Err(Error::check(missing))
}

/// Tables that are nobody's but the administrator's: neither `default`, `main` nor `local`. `sbr` begins with 100.
const ELSEWHERE: [RangeInclusive<u32>; 2] = [100..=252, 1..=99];

fn check_addresses(ifname: &str, present: &[IpNetwork], result: &NetworkResult) -> Result<()> {
    match result.ips_of(ifname).find(|ip| !present.contains(&ip.address)) {
        Some(IpConfig { address, .. }) => {
            Err(Error::check(format!("address {address} is missing on interface {ifname:?}")))
        }
        None => Ok(()),
    }
}

/// What says that a route is missing which belongs into the main table: one of the result, or one to a subnet.
fn missing_in_main(ifname: &str, routes: &[Route], result: &NetworkResult) -> Option<String> {
    for IpConfig { address, .. } in result.ips_of(ifname) {
        let subnet = (address.network(), address.prefix());
        let single = address.prefix() == if address.is_ipv4() { 32 } else { 128 };
        if !single && !routes.iter().any(|route| (route.dst.network(), route.dst.prefix()) == subnet) {
            return Some(format!("the route to the subnet of {address} is missing on interface {ifname:?}"));
        }
    }
    let mut wanted = result.routes.iter().filter(|route| matches!(route.table, None | Some(0)));
    wanted.find(|route| !contains_route(routes, route)).map(|route| missing_route(ifname, route))
}

fn missing_route(ifname: &str, route: &ResultRoute) -> String {
    let via = route.gw.map(|gw| format!(" via {gw}")).unwrap_or_default();
    format!("the route to {}{via} is missing on {ifname:?}", route.dst)
}

/// A default route matches by its family alone, any other by destination and, if it names one, next hop.
fn contains_route(present: &[Route], wanted: &ResultRoute) -> bool {
    let wanted_dst = (wanted.dst.network(), wanted.dst.prefix());
    present.iter().any(|route| {
        (route.dst.network(), route.dst.prefix()) == wanted_dst
            && (is_default(wanted.dst)
                || wanted.gw.is_none_or(|gw| gw.is_unspecified() || route.gateway == Some(gw)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::result::Interface;

    fn net(text: &str) -> IpNetwork {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn dual_stack() -> NetworkResult {
        let mut result = NetworkResult::default();
        result.add_interface(Interface::new("cni0"));
        let eth0 = result.add_interface(Interface::new("eth0").in_sandbox("/run/netns/a"));
        for (address, gateway) in [("10.1.0.2/24", "10.1.0.1"), ("fd00::2/64", "fd00::1")] {
            result.ips.push(IpConfig::new(net(address)).with_gateway(ip(gateway)).on(eth0));
        }
        result
    }

    #[test]
    fn a_gateway_is_the_first_host_unless_given() {
        let mut result = NetworkResult::default();
        result.ips.push(IpConfig::new(net("10.1.7.2/16")));
        result.ips.push(IpConfig::new(net("fd00::2/64")).with_gateway(ip("fd00::99")));
        complete_gateways(&mut result);
        let gateways: Vec<_> = result.ips.iter().map(|ip| ip.gateway).collect();
        assert_eq!(gateways, [Some(ip("10.1.0.1")), Some(ip("fd00::99"))]);
    }

    #[test]
    fn a_default_route_without_next_hop_is_not_doubled() {
        let mut result = dual_stack();
        result.routes.push(ResultRoute::new(net("0.0.0.0/0")));
        add_default_routes(&mut result);
        let dst: Vec<_> = result.routes.iter().map(|route| (route.dst, route.gw)).collect();
        assert_eq!(dst, [(net("0.0.0.0/0"), None), (net("::/0"), Some(ip("fd00::1")))]);
    }

    #[test]
    fn only_addresses_that_name_the_link_are_applied() {
        let mut result = dual_stack();
        result.ips.push(IpConfig::new(net("192.0.2.1/24")));
        assert_eq!(addresses_for("eth0", &result).unwrap(), [net("10.1.0.2/24"), net("fd00::2/64")]);

        result.ips[0].interface = Some(0);
        let error = addresses_for("eth0", &result).unwrap_err();
        assert_eq!(error.msg, "address 10.1.0.2/24 is for interface \"cni0\", not \"eth0\"");
        result.ips[0].interface = Some(9);
        let error = addresses_for("eth0", &result).unwrap_err();
        assert_eq!(error.msg, "address 10.1.0.2/24 names interface 9, but there are 2");
    }

    #[test]
    fn a_route_takes_the_gateway_of_its_family_and_keeps_every_field() {
        let mut result = dual_stack();
        result.routes = vec![
            ResultRoute::new(net("0.0.0.0/0")),
            ResultRoute {
                mtu: Some(1400),
                advmss: Some(1360),
                priority: Some(50),
                table: Some(100),
                scope: Some(0),
                ..ResultRoute::new(net("fd01::7/64")).via(ip("fd00::5"))
            },
            ResultRoute { scope: Some(253), ..ResultRoute::new(net("169.254.1.1/32")) },
            ResultRoute::new(net("192.0.2.0/24")).via(ip("0.0.0.0")),
        ];
        let on_7 = |dst| Route { link: Some(7), ..Route::new(net(dst)) };
        let wanted = [
            Route { gateway: Some(ip("10.1.0.1")), ..on_7("0.0.0.0/0") },
            Route {
                gateway: Some(ip("fd00::5")),
                mtu: Some(1400),
                advmss: Some(1360),
                metric: Some(50),
                table: Some(100),
                scope: Some(0),
                ..on_7("fd01::/64")
            },
            Route { scope: Some(253), ..on_7("169.254.1.1/32") },
            on_7("192.0.2.0/24"),
        ];
        assert_eq!(planned_routes(7, &result).unwrap(), wanted);
    }

    #[test]
    fn impossible_routes_are_config_errors_that_name_the_value() {
        for (route, named) in [
            (ResultRoute { scope: Some(256), ..ResultRoute::new(net("10.9.0.0/16")) }, "256"),
            (ResultRoute::new(net("10.9.0.0/16")).via(ip("fd00::1")), "fd00::1"),
        ] {
            let result = NetworkResult { routes: vec![route], ..NetworkResult::default() };
            let error = planned_routes(1, &result).unwrap_err();
            assert_eq!(error.code, crate::code::INVALID_CONFIG);
            assert!(error.msg.contains("routes") && error.msg.contains(named), "{error}");
        }
    }

    #[test]
    fn check_finds_a_missing_address_subnet_route_and_route() {
        let result = dual_stack();
        let present = [net("10.1.0.2/24"), net("fd00::2/64")];
        let routes = [Route::new(net("10.1.0.0/24")), Route::new(net("fd00::/64"))];
        check_addresses("eth0", &present, &result).unwrap();
        assert_eq!(missing_in_main("eth0", &routes, &result), None);

        let error = check_addresses("eth0", &present[..1], &result).unwrap_err();
        assert!(error.msg.contains("fd00::2/64"), "{error}");
        let missing = missing_in_main("eth0", &routes[..1], &result).unwrap();
        assert!(missing.contains("subnet of fd00::2/64"), "{missing}");

        let via = |gw| Route { gateway: Some(ip(gw)), ..Route::new(net("192.0.2.0/24")) };
        let wanted = ResultRoute::new(net("192.0.2.0/24"));
        assert!(contains_route(&[via("10.1.0.9")], &wanted));
        assert!(contains_route(&[via("10.1.0.9")], &wanted.clone().via(ip("10.1.0.9"))));
        assert!(!contains_route(&[via("10.1.0.9")], &wanted.via(ip("10.1.0.8"))));
        let default = Route { gateway: Some(ip("10.1.0.9")), ..Route::new(net("0.0.0.0/0")) };
        assert!(contains_route(&[default], &ResultRoute::new(net("0.0.0.0/0")).via(ip("10.1.0.1"))));
    }
}

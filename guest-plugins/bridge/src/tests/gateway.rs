//! Gateways of a result, and addresses of the link that carries them.

use wharf_sdk::{IpConfig, IpNetwork, NetworkResult, ResultRoute};

use super::net;
use crate::gateway::{AddressChange, carried, change, complete, subnet};
use crate::{ADDRESS_CONFLICT, UNUSABLE_ADDRESSES};

/// Destination, next hop and table.
type Row = (&'static str, Option<&'static str>, Option<u32>);

fn result(ips: &[(&str, Option<&str>)], routes: &[Row]) -> NetworkResult {
    let ip = |(address, gateway): &(&str, Option<&str>)| {
        IpConfig::new(net(address)).with_gateway(gateway.map(|text| text.parse().unwrap()))
    };
    let route = |(dst, gw, table): &Row| ResultRoute {
        table: *table,
        ..ResultRoute::new(net(dst)).via(gw.map(|text| text.parse().unwrap()))
    };
    NetworkResult {
        ips: ips.iter().map(ip).collect(),
        routes: routes.iter().map(route).collect(),
        ..NetworkResult::default()
    }
}

fn routes(result: &NetworkResult) -> Vec<String> {
    let text = |route: &ResultRoute| {
        let gw = route.gw.map(|gw| format!(" via {gw}")).unwrap_or_default();
        format!("{}{gw}", route.dst)
    };
    result.routes.iter().map(text).collect()
}

#[test]
fn the_host_carries_each_gateway_with_its_prefix() {
    let mut result =
        result(&[("10.22.3.4/16", None), ("fd00:1::7/64", Some("fd00:1::ff")), ("10.22.3.5/16", None)], &[]);
    complete(&mut result, false);
    assert_eq!(carried(&result, "eth0").unwrap(), [net("10.22.0.1/16"), net("fd00:1::ff/64")]);
    assert!(result.routes.is_empty());
}

#[test]
fn a_default_route_is_completed_and_never_doubled() {
    let ips = [("10.22.3.4/16", None), ("fd00::7/64", None)];
    let table: [(&[Row], &[&str]); 6] = [
        (&[], &["0.0.0.0/0 via 10.22.0.1", "::/0 via fd00::1"]),
        (&[("0.0.0.0/0", None, None)], &["0.0.0.0/0 via 10.22.0.1", "::/0 via fd00::1"]),
        (&[("0.0.0.0/0", Some("10.22.0.9"), None)], &["0.0.0.0/0 via 10.22.0.9", "::/0 via fd00::1"]),
        (
            &[("::/0", None, Some(254)), ("192.0.2.0/24", None, None)],
            &["::/0 via fd00::1", "192.0.2.0/24", "0.0.0.0/0 via 10.22.0.1"],
        ),
        (
            &[("0.0.0.0/0", None, Some(100)), ("::/0", None, Some(0))],
            &["0.0.0.0/0", "::/0 via fd00::1", "0.0.0.0/0 via 10.22.0.1"],
        ),
        (
            &[("0.0.0.0/0", None, None), ("0.0.0.0/0", Some("10.22.0.9"), None)],
            &["0.0.0.0/0 via 10.22.0.1", "0.0.0.0/0 via 10.22.0.9", "::/0 via fd00::1"],
        ),
    ];
    for (before, after) in table {
        let mut result = result(&ips, before);
        complete(&mut result, true);
        assert_eq!(routes(&result), after, "{before:?}");
    }
}

#[test]
fn two_addresses_of_a_family_make_one_default_route() {
    let mut result = result(&[("10.1.0.2/24", None), ("10.2.0.2/24", None)], &[]);
    complete(&mut result, true);
    assert_eq!(routes(&result), ["0.0.0.0/0 via 10.1.0.1"]);
}

#[test]
fn gateways_that_a_bridge_cannot_carry_are_refused() {
    let table = [
        ("10.1.0.2/24", Some("10.2.0.1"), "10.2.0.1"),
        ("10.1.0.2/24", Some("fd00::1"), "fd00::1"),
        ("10.1.0.1/24", None, "10.1.0.1"),
        ("10.1.0.2/32", None, "10.1.0.2"),
        ("fd00::2/64", Some("fd00::2"), "fd00::2"),
    ];
    for (address, gateway, named) in table {
        let mut result = result(&[(address, gateway)], &[]);
        complete(&mut result, false);
        let error = carried(&result, "eth0").unwrap_err();
        assert_eq!(error.code, UNUSABLE_ADDRESSES, "{error}");
        assert!(error.msg.contains(&format!("the gateway {named} of the address {address}")), "{error}");
    }
}

fn nets(texts: &[&str]) -> Vec<IpNetwork> {
    texts.iter().map(|text| net(text)).collect()
}

#[test]
fn the_link_gets_what_it_lacks() {
    let table: [(&[&str], &[&str], &[&str]); 6] = [
        (&[], &["10.1.0.1/24", "fd00::1/64"], &["10.1.0.1/24", "fd00::1/64"]),
        (&["10.1.0.1/24", "fe80::1/64"], &["10.1.0.1/24"], &[]),
        (&["10.1.0.1/24", "fe80::1/64"], &["10.1.0.1/24", "fd00::1/64"], &["fd00::1/64"]),
        (&["fd00::1/64"], &["fd01::1/64"], &["fd01::1/64"]),
        // Two IPv4 networks of one attachment are no conflict with each other.
        (&["10.1.0.1/24"], &["10.1.0.1/24", "10.2.0.1/24"], &["10.2.0.1/24"]),
        (&["192.0.2.1/24"], &["fd00::1/64"], &["fd00::1/64"]),
    ];
    for (present, wanted, add) in table {
        let expected = AddressChange { remove: vec![], add: nets(add) };
        assert_eq!(
            change("cni0", &nets(present), &nets(wanted), false).unwrap(),
            expected,
            "{present:?} {wanted:?}"
        );
    }
}

#[test]
fn a_conflicting_address_is_an_error_or_replaced_by_force() {
    let table: [(&[&str], &str, &[&str]); 5] = [
        (&["10.22.0.1/16"], "10.23.0.1/16", &["10.22.0.1/16"]),
        (&["10.22.0.1/16"], "10.22.0.1/24", &["10.22.0.1/16"]),
        (&["fd00::2/64", "fe80::1/64"], "fd00::1/64", &["fd00::2/64"]),
        (&["fd00::1/48"], "fd00:0:0:1::1/64", &["fd00::1/48"]),
        (&["10.1.0.1/24", "10.2.0.1/24"], "10.3.0.1/24", &["10.1.0.1/24", "10.2.0.1/24"]),
    ];
    for (present, wanted, remove) in table {
        let error = change("cni0", &nets(present), &nets(&[wanted]), false).unwrap_err();
        assert_eq!(error.code, ADDRESS_CONFLICT);
        for named in ["cni0", wanted, present[0]] {
            assert!(error.msg.contains(named), "{error}");
        }
        let forced = change("cni0", &nets(present), &nets(&[wanted]), true).unwrap();
        assert_eq!(forced, AddressChange { remove: nets(remove), add: nets(&[wanted]) }, "{present:?}");
    }
}

#[test]
fn a_subnet_has_no_host_bits() {
    assert_eq!(subnet(net("10.1.2.3/16")), net("10.1.0.0/16"));
    assert_eq!(subnet(net("fd00::7/64")), net("fd00::/64"));
}

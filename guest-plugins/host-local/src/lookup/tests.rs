//! CHECK, STATUS and GC on a simulated node.

use wharf_sdk::IpConfig;
use wharf_testkit::{Node, json};

use super::*;
use crate::HostLocal;
use crate::allocate::tests::{interface, ip, on, reserve, set};

fn checked(node: &Node, sets: &[RangeSet], previous: Option<&NetworkResult>, container: &str) -> Result<()> {
    on(node, container, |pool, owner| check(pool, sets, previous, owner))
}

fn previous(addresses: &[&str]) -> NetworkResult {
    let ips = addresses.iter().map(|text| IpConfig::new(text.parse().unwrap())).collect();
    NetworkResult { ips, ..NetworkResult::default() }
}

#[test]
fn check_wants_a_lease_of_every_set_that_the_result_has() {
    let sets =
        [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")]), set(&[("fd00::/64", "fd00::1", "fd00::ff")])];
    let node = Node::new();
    reserve(&node, "c", "10.1.0.2");
    let error = checked(&node, &sets, None, "c").unwrap_err();
    assert_eq!(error.code, code::CHECK_FAILED);
    assert!(error.details.unwrap().contains("fd00::1-fd00::ff"));

    reserve(&node, "c", "fd00::2");
    checked(&node, &sets, None, "c").unwrap();
    checked(&node, &sets, Some(&previous(&["10.1.0.2/24", "fd00::2/64", "192.0.2.1/24"])), "c").unwrap();

    let error = checked(&node, &sets, Some(&previous(&["10.1.0.3/24", "fd00::2/64"])), "c").unwrap_err();
    assert!(error.msg.contains("the lease of container c (eth0) is 10.1.0.2"), "{error}");
    let error = checked(&node, &sets, None, "d").unwrap_err();
    assert_eq!(error.msg, "host-local: Failed to find address added by container d (eth0)");
}

/// An operator may add a range, make one smaller, or replace it, while containers have addresses of the old ones.
#[test]
fn check_knows_nothing_against_an_address_of_a_range_that_has_changed() {
    let node = Node::new();
    reserve(&node, "c", "10.1.0.2");
    let result = previous(&["10.1.0.2/24"]);
    let (old, added) = (("10.1.0.0/24", "10.1.0.1", "10.1.0.254"), ("fd00::/64", "fd00::1", "fd00::ff"));
    for sets in [
        vec![set(&[old]), set(&[added])],
        vec![set(&[("10.1.0.0/24", "10.1.0.100", "10.1.0.254")])],
        vec![set(&[("10.2.0.0/24", "10.2.0.1", "10.2.0.254")])],
    ] {
        checked(&node, &sets, Some(&result), "c").unwrap();
        let error = checked(&node, &sets, Some(&previous(&["10.1.0.3/24"])), "c").unwrap_err();
        assert!(error.msg.contains("is 10.1.0.2, which prevResult does not have"), "{error}");
        let error = checked(&node, &sets, Some(&result), "d").unwrap_err();
        assert_eq!(error.msg, "host-local: Failed to find address added by container d (eth0)");
    }
}

#[test]
fn status_is_not_available_when_a_set_is_full() {
    let sets =
        [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")]), set(&[("10.2.0.0/30", "10.2.0.1", "10.2.0.2")])];
    let node = Node::new();
    reserve(&node, "a leftover on the gateway", "10.2.0.1");
    reserve(&node, "c", "10.1.0.2");
    on(&node, "anybody", |pool, _| status(pool, &sets)).unwrap();

    reserve(&node, "c", "10.2.0.2");
    let error = on(&node, "anybody", |pool, _| status(pool, &sets)).unwrap_err();
    assert_eq!(error.code, code::NOT_AVAILABLE);
    assert_eq!(error.msg, "no IP addresses available in range set 1: 10.2.0.1-10.2.0.2");
}

#[test]
fn sets_that_nobody_can_fill_are_not_counted() {
    assert!(worth_counting(&[set(&[("10.0.0.0/16", "10.0.0.1", "10.0.255.254")])]));
    let large = set(&[("10.0.0.0/15", "10.0.0.1", "10.1.255.254")]);
    assert!(!worth_counting(std::slice::from_ref(&large)));
    assert!(worth_counting(&[large, set(&[("10.2.0.0/30", "10.2.0.1", "10.2.0.2")])]));
}

#[test]
fn gc_releases_what_is_not_valid_and_goes_on_after_a_failure() {
    let node = Node::new();
    for (address, container, ifname) in [
        ("10.1.0.2", "a-stuck", "eth0"),
        ("10.1.0.3", "gone", "eth0"),
        ("10.1.0.4", "here", "eth0"),
        ("10.1.0.5", "here", "eth1"),
        ("10.1.0.6", "here", ""),
        ("10.1.0.7", "gone", ""),
    ] {
        interface(&node, container, ifname, |pool, owner| Ok(pool.try_reserve(ip(address), owner)?)).unwrap();
    }
    node.fail("leases/release");
    let here = node.container("here");
    let error = node.gc::<HostLocal>(&[&here], json!({"ipam": {"type": "host-local"}})).unwrap_err();
    assert_eq!(error.msg, "release a-stuck (eth0): leases/release fails, as the test asked for");
    let left: Vec<_> = node.leases("test").iter().map(|lease| lease.address).collect();
    assert_eq!(left, [ip("10.1.0.2"), ip("10.1.0.4"), ip("10.1.0.6")]);
}

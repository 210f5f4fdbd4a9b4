//! CHECK, STATUS and GC against a store in memory.

use wharf_sdk::IpConfig;

use super::*;
use crate::allocate::tests::{Memory, ip, owner, set};

fn previous(addresses: &[&str]) -> NetworkResult {
    let ips = addresses.iter().map(|text| IpConfig::new(text.parse().unwrap())).collect();
    NetworkResult { ips, ..NetworkResult::default() }
}

#[test]
fn check_wants_a_lease_of_every_set_that_the_result_has() {
    let sets =
        [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")]), set(&[("fd00::/64", "fd00::1", "fd00::ff")])];
    let pool = Memory::default();
    pool.try_reserve(ip("10.1.0.2"), &owner("c")).unwrap();
    let error = check(&pool, &sets, None, &owner("c")).unwrap_err();
    assert_eq!(error.code, code::CHECK_FAILED);
    assert!(error.details.unwrap().contains("fd00::1-fd00::ff"));

    pool.try_reserve(ip("fd00::2"), &owner("c")).unwrap();
    check(&pool, &sets, None, &owner("c")).unwrap();
    check(&pool, &sets, Some(&previous(&["10.1.0.2/24", "fd00::2/64", "192.0.2.1/24"])), &owner("c"))
        .unwrap();

    let error =
        check(&pool, &sets, Some(&previous(&["10.1.0.3/24", "fd00::2/64"])), &owner("c")).unwrap_err();
    assert!(error.msg.contains("the lease of container c (eth0) is 10.1.0.2"), "{error}");
    let error = check(&pool, &sets, None, &owner("d")).unwrap_err();
    assert_eq!(error.msg, "host-local: Failed to find address added by container d (eth0)");
}

#[test]
fn status_is_not_available_when_a_set_is_full() {
    let sets =
        [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")]), set(&[("10.2.0.0/30", "10.2.0.1", "10.2.0.2")])];
    let pool = Memory::default();
    pool.try_reserve(ip("10.2.0.1"), &owner("a leftover on the gateway")).unwrap();
    pool.try_reserve(ip("10.1.0.2"), &owner("c")).unwrap();
    status(&pool, &sets).unwrap();

    pool.try_reserve(ip("10.2.0.2"), &owner("c")).unwrap();
    let error = status(&pool, &sets).unwrap_err();
    assert_eq!(error.code, code::NOT_AVAILABLE);
    assert_eq!(error.msg, "no IP addresses available in range set 1: 10.2.0.1-10.2.0.2");
}

#[test]
fn large_sets_are_not_counted() {
    let large = set(&[("10.0.0.0/16", "10.0.0.1", "10.0.255.254")]);
    assert!(!worth_counting(std::slice::from_ref(&large)));
    assert!(worth_counting(&[large, set(&[("10.2.0.0/30", "10.2.0.1", "10.2.0.2")])]));
}

#[test]
fn gc_releases_what_is_not_valid_and_goes_on_after_a_failure() {
    let pool = Memory { refuse_release_of: Some(owner("a-stuck")), ..Memory::default() };
    let legacy = |container: &str| Owner { container: container.into(), ifname: String::new() };
    for (address, owner) in [
        ("10.1.0.2", owner("a-stuck")),
        ("10.1.0.3", owner("gone")),
        ("10.1.0.4", owner("here")),
        ("10.1.0.5", Owner { container: "here".into(), ifname: "eth1".into() }),
        ("10.1.0.6", legacy("here")),
        ("10.1.0.7", legacy("gone")),
    ] {
        pool.try_reserve(ip(address), &owner).unwrap();
    }
    let error = collect(&pool, &[owner("here")]).unwrap_err();
    assert_eq!(error.msg, "release a-stuck (eth0): the disk is on fire");
    let left: Vec<_> = pool.taken.borrow().keys().copied().collect();
    assert_eq!(left, [ip("10.1.0.2"), ip("10.1.0.4"), ip("10.1.0.6")]);
}

//! What DEL finds and how it reports.

use wharf_sdk::{Error, Interface, NetworkResult};

use crate::del::{Failures, host_ends};
use crate::port::{is_host_end, random_mac, random_name};

#[test]
fn the_hosts_end_is_known_by_its_name() {
    for name in ["veth0123abcd", "veth00000000", "vethffffffff"] {
        assert!(is_host_end(name), "{name}");
    }
    for name in
        ["cni0", "veth", "veth0123abc", "veth0123abcde", "veth0123ABCD", "veth0123abcg", "xeth0123abcd"]
    {
        assert!(!is_host_end(name), "{name}");
    }
}

#[test]
fn the_hosts_end_is_listed_without_a_sandbox() {
    let mac = Some("02:00:00:00:00:01".parse().unwrap());
    let interfaces = vec![
        Interface::new("cni0"),
        Interface::new("veth0123abcd").with_mac(mac),
        Interface::new("veth00000000").in_sandbox("/n"),
        Interface::new("cni0.10"),
    ];
    let previous = NetworkResult { interfaces, ..NetworkResult::default() };
    assert_eq!(host_ends(&previous).collect::<Vec<_>>(), [("veth0123abcd", mac)]);
}

#[test]
fn every_failure_is_reported_under_the_first_code() {
    assert_eq!(Failures::default().finish(), Ok(()));
    let mut failures = Failures::default();
    failures.note(Ok(()));
    failures.note(Err(Error::new(7, "one").with_details("a")));
    failures.note(Err(Error::new(100, "two")));
    failures.note(Err(Error::new(11, "three").with_details("b")));
    let expected = Error::new(7, "one; two; three").with_details("a; b");
    assert_eq!(failures.finish(), Err(expected));
}

#[test]
fn random_names_have_that_form_and_differ() {
    let names: Vec<String> = (0..64).map(|_| random_name()).collect();
    assert!(names.iter().all(|name| is_host_end(name)), "{names:?}");
    assert_ne!(names[0], names[1]);
}

#[test]
fn random_addresses_are_local_unicast_and_differ() {
    let macs: Vec<_> = (0..64).map(|_| random_mac()).collect();
    assert!(macs.iter().all(|mac| mac.0[0] & 3 == 2), "{macs:?}");
    assert!(macs.iter().enumerate().all(|(at, mac)| !macs[..at].contains(mac)), "{macs:?}");
}

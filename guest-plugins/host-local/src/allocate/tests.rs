//! Allocation on a simulated node.

use wharf_testkit::Node;

use super::*;
use crate::range::Range;

/// Does `work` with the pool, as the ADD of a container's `eth0`.
pub(crate) fn on<T>(
    node: &Node,
    container: &str,
    work: impl FnOnce(&Pool, &Owner) -> Result<T>,
) -> Result<T> {
    interface(node, container, "eth0", work)
}

/// The same for another interface.
pub(crate) fn interface<T>(
    node: &Node,
    container: &str,
    ifname: &str,
    work: impl FnOnce(&Pool, &Owner) -> Result<T>,
) -> Result<T> {
    let container = node.container(container).with_ifname(ifname);
    node.run(&container, |request, _, _| work(&Pool::open(None)?, &request.attachment().owner()))
}

/// Lets a container have an address.
pub(crate) fn reserve(node: &Node, container: &str, address: &str) {
    assert!(on(node, container, |pool, owner| Ok(pool.try_reserve(ip(address), owner)?)).unwrap());
}

fn set_cursor(node: &Node, address: &str) {
    on(node, "anybody", |pool, _| Ok(pool.set_last_reserved(0, ip(address))?)).unwrap();
}

fn cursors(node: &Node, sets: u32) -> Vec<Option<IpAddr>> {
    let all =
        on(node, "anybody", |pool, _| Ok((0..sets).map(|set| pool.last_reserved(set)).collect::<Vec<_>>()));
    all.unwrap().into_iter().map(|cursor| cursor.unwrap()).collect()
}

fn ask(node: &Node, sets: &[RangeSet], requested: &[IpAddr], container: &str) -> Result<Vec<IpConfig>> {
    on(node, container, |pool, owner| allocate(pool, sets, requested, owner))
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn set(ranges: &[(&str, &str, &str)]) -> RangeSet {
    let ranges = ranges.iter().map(|(subnet, first, last)| {
        Range::new(subnet.parse().unwrap(), Some(ip(first)), Some(ip(last)), None).unwrap()
    });
    RangeSet::new(ranges.collect()).unwrap()
}

/// What one attachment after the other is given, until there is no more.
fn given(node: &Node, sets: &[RangeSet], count: usize) -> Vec<String> {
    let one = |number: usize| {
        let ips = ask(node, sets, &[], &format!("c{number}")).unwrap();
        ips.iter().map(|ip| ip.address.ip().to_string()).collect::<Vec<_>>().join(" ")
    };
    (0..count).map(one).collect()
}

#[test]
fn the_gateway_is_skipped_and_the_answer_has_subnet_and_gateway() {
    let node = Node::new();
    let sets =
        [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")]), set(&[("fd00::/64", "fd00::1", "fd00::ff")])];
    let ips = ask(&node, &sets, &[], "c").unwrap();
    let shown: Vec<_> = ips.iter().map(|ip| (ip.address.to_string(), ip.gateway, ip.interface)).collect();
    assert_eq!(
        shown,
        [
            ("10.1.0.2/24".into(), Some(ip("10.1.0.1")), None),
            ("fd00::2/64".into(), Some(ip("fd00::1")), None)
        ]
    );
    assert_eq!(cursors(&node, 2), [Some(ip("10.1.0.2")), Some(ip("fd00::2"))]);
}

#[test]
fn ranges_follow_each_other_wrap_once_and_end() {
    let sets = [set(&[
        ("10.1.0.0/24", "10.1.0.1", "10.1.0.3"),
        ("10.2.0.0/24", "10.2.0.5", "10.2.0.6"),
        ("10.3.0.0/24", "10.3.0.9", "10.3.0.9"),
    ])];
    let node = Node::new();
    assert_eq!(given(&node, &sets, 5), ["10.1.0.2", "10.1.0.3", "10.2.0.5", "10.2.0.6", "10.3.0.9"]);
    let error = ask(&node, &sets, &[], "late").unwrap_err();
    assert_eq!(error.code, code::EXHAUSTED);
    assert_eq!(
        error.msg,
        "failed to allocate for range 0: no IP addresses available in range set: \
         10.1.0.1-10.1.0.3,10.2.0.5-10.2.0.6,10.3.0.9-10.3.0.9"
    );

    // From the middle of a range: its rest, the ranges behind, those before, its own head up to the cursor.
    let node = Node::new();
    set_cursor(&node, "10.2.0.5");
    assert_eq!(given(&node, &sets, 5), ["10.2.0.6", "10.3.0.9", "10.1.0.2", "10.1.0.3", "10.2.0.5"]);
}

#[test]
fn a_freed_address_is_not_given_again_at_once() {
    let sets = [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.4")])];
    let node = Node::new();
    assert_eq!(given(&node, &sets, 1), ["10.1.0.2"]);
    on(&node, "c0", |pool, owner| Ok(pool.release(owner)?)).unwrap();
    assert_eq!(given(&node, &sets, 3), ["10.1.0.3", "10.1.0.4", "10.1.0.2"]);
}

#[test]
fn a_cursor_outside_the_set_counts_for_nothing() {
    let node = Node::new();
    set_cursor(&node, "192.0.2.1");
    assert_eq!(given(&node, &[set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.4")])], 1), ["10.1.0.2"]);
}

#[test]
fn a_gateway_is_skipped_in_every_range_of_its_set() {
    let node = Node::new();
    let mut low = Range::new("10.1.0.0/24".parse().unwrap(), None, Some(ip("10.1.0.2")), None).unwrap();
    low.gateway = ip("10.1.0.10");
    let high = Range::new("10.1.0.0/24".parse().unwrap(), Some(ip("10.1.0.10")), Some(ip("10.1.0.11")), None);
    let sets = [RangeSet::new(vec![low, high.unwrap()]).unwrap()];
    assert_eq!(given(&node, &sets, 2), ["10.1.0.2", "10.1.0.11"]);
}

#[test]
fn a_second_allocation_of_one_attachment_is_refused_requested_or_not() {
    let sets = [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")])];
    let node = Node::new();
    ask(&node, &sets, &[], "c0").unwrap();
    for requested in [&[][..], &[ip("10.1.0.77")]] {
        let error = ask(&node, &sets, requested, "c0").unwrap_err();
        assert_eq!(error.code, code::DUPLICATE);
        assert_eq!(
            error.msg,
            "10.1.0.2 has been allocated to c0 (eth0), duplicate allocation is not allowed"
        );
    }
    assert_eq!(node.leases("test").len(), 1);

    interface(&node, "c0", "eth1", |pool, owner| allocate(pool, &sets, &[], owner)).unwrap();
    let elsewhere = [set(&[("10.9.0.0/24", "10.9.0.1", "10.9.0.254")])];
    ask(&node, &elsewhere, &[], "c0").unwrap();
}

#[test]
fn requested_addresses_are_given_to_the_set_that_holds_them() {
    let sets = [
        set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")]),
        set(&[("fd00::/64", "fd00::1", "fd00::ff")]),
        set(&[("10.2.0.0/24", "10.2.0.1", "10.2.0.254")]),
    ];
    let node = Node::new();
    let ips = ask(&node, &sets, &[ip("10.2.0.50"), ip("10.1.0.60")], "c").unwrap();
    let shown: Vec<_> = ips.iter().map(|ip| ip.address.to_string()).collect();
    assert_eq!(shown, ["10.1.0.60/24", "fd00::2/64", "10.2.0.50/24"]);
    assert_eq!(cursors(&node, 1), [Some(ip("10.1.0.60"))]);
}

#[test]
fn a_request_that_cannot_be_met_is_named() {
    let sets = [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")])];
    for (requested, wanted_code, text) in [
        (&["10.1.0.1"][..], code::INVALID_CONFIG, "requested ip 10.1.0.1 is subnet's gateway"),
        (
            &["10.1.0.9"],
            code::EXHAUSTED,
            "requested IP address 10.1.0.9 is not available in range set 10.1.0.1-10.1.0.254",
        ),
        (&["10.7.0.9"], code::INVALID_CONFIG, "failed to allocate all requested IPs: 10.7.0.9"),
        (&["10.1.0.5", "10.1.0.6"], code::INVALID_CONFIG, "failed to allocate all requested IPs: 10.1.0.6"),
    ] {
        let node = Node::new();
        reserve(&node, "other", "10.1.0.9");
        let requested: Vec<IpAddr> = requested.iter().map(|text| ip(text)).collect();
        let error = ask(&node, &sets, &requested, "c").unwrap_err();
        assert_eq!(error.code, wanted_code, "{error}");
        assert!(error.msg.ends_with(text), "{error}");
    }
}

#[test]
fn leases_of_an_earlier_boot_are_the_last_resort() {
    let node = Node::new();
    let sets = [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.3"), ("10.2.0.0/24", "10.2.0.2", "10.2.0.3")])];
    for address in ["10.1.0.1", "10.1.0.2", "10.2.0.2"] {
        reserve(&node, "gone", address);
    }
    node.reboot();
    set_cursor(&node, "10.2.0.2");
    // What is free first, wherever it is; then round robin goes on; never the gateway.
    assert_eq!(given(&node, &sets, 4), ["10.2.0.3", "10.1.0.3", "10.2.0.2", "10.1.0.2"]);
    let error = ask(&node, &sets, &[], "late").unwrap_err();
    assert_eq!(error.code, code::EXHAUSTED);
}

//! Allocation against a store in memory.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use wharf_sdk::addr::successor;

use super::*;
use crate::range::Range;

/// What the contract says of `wharf:store/leases`, without files.
#[derive(Default)]
pub(crate) struct Memory {
    pub(crate) taken: RefCell<BTreeMap<IpAddr, Owner>>,
    pub(crate) cursors: RefCell<BTreeMap<u32, IpAddr>>,
    pub(crate) refuse_release_of: Option<Owner>,
    /// Leases of an earlier boot.
    pub(crate) old: RefCell<BTreeSet<IpAddr>>,
    /// What was asked for in vain since the last address was given.
    pub(crate) full: RefCell<BTreeSet<(IpAddr, Option<IpAddr>)>>,
}

impl Leases for Memory {
    fn try_reserve(&self, address: IpAddr, owner: &Owner) -> HostResult<bool> {
        let mut taken = self.taken.borrow_mut();
        if taken.contains_key(&address) {
            return Ok(false);
        }
        taken.insert(address, owner.clone());
        Ok(true)
    }

    fn reserve_next(
        &self,
        first: IpAddr,
        last: IpAddr,
        after: Option<IpAddr>,
        skip: &[IpAddr],
        owner: &Owner,
    ) -> HostResult<Option<IpAddr>> {
        let mut at = match after {
            Some(after) => successor(after),
            None => Some(first),
        };
        while let Some(address) = at.filter(|address| *address <= last) {
            let again = self.full.borrow().contains(&(first, after));
            if !skip.contains(&address) {
                if again && self.old.borrow_mut().remove(&address) {
                    self.taken.borrow_mut().remove(&address);
                }
                if self.try_reserve(address, owner)? {
                    self.full.take();
                    return Ok(Some(address));
                }
            }
            at = successor(address);
        }
        self.full.borrow_mut().insert((first, after));
        Ok(None)
    }

    fn release(&self, owner: &Owner) -> HostResult<u32> {
        if self.refuse_release_of.as_ref() == Some(owner) {
            return Err(wharf_sdk::HostError {
                kind: wharf_sdk::HostErrorKind::Io,
                errno: Some(5),
                operation: "leases/release".into(),
                message: "the disk is on fire".into(),
            });
        }
        let mut taken = self.taken.borrow_mut();
        let before = taken.len();
        taken.retain(|_, holder| holder != owner);
        Ok(u32::try_from(before - taken.len()).unwrap())
    }

    fn find(&self, owner: &Owner) -> HostResult<Vec<IpAddr>> {
        let taken = self.taken.borrow();
        Ok(taken.iter().filter(|(_, holder)| *holder == owner).map(|(address, _)| *address).collect())
    }

    fn leases(&self) -> HostResult<Vec<Lease>> {
        let taken = self.taken.borrow();
        Ok(taken.iter().map(|(&address, owner)| Lease { address, owner: owner.clone() }).collect())
    }

    fn last_reserved(&self, set: u32) -> HostResult<Option<IpAddr>> {
        Ok(self.cursors.borrow().get(&set).copied())
    }

    fn set_last_reserved(&self, set: u32, address: IpAddr) -> HostResult<()> {
        self.cursors.borrow_mut().insert(set, address);
        Ok(())
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn owner(container: &str) -> Owner {
    Owner { container: container.into(), ifname: "eth0".into() }
}

pub(crate) fn set(ranges: &[(&str, &str, &str)]) -> RangeSet {
    let ranges = ranges.iter().map(|(subnet, first, last)| {
        Range::new(subnet.parse().unwrap(), Some(ip(first)), Some(ip(last)), None).unwrap()
    });
    RangeSet::new(ranges.collect()).unwrap()
}

/// What one attachment after the other is given, until there is no more.
fn given(pool: &Memory, sets: &[RangeSet], count: usize) -> Vec<String> {
    let one = |number: usize| {
        let ips = allocate(pool, sets, &[], &owner(&format!("c{number}"))).unwrap();
        ips.iter().map(|ip| ip.address.ip().to_string()).collect::<Vec<_>>().join(" ")
    };
    (0..count).map(one).collect()
}

#[test]
fn the_gateway_is_skipped_and_the_answer_has_subnet_and_gateway() {
    let pool = Memory::default();
    let sets =
        [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")]), set(&[("fd00::/64", "fd00::1", "fd00::ff")])];
    let ips = allocate(&pool, &sets, &[], &owner("c")).unwrap();
    let shown: Vec<_> = ips.iter().map(|ip| (ip.address.to_string(), ip.gateway, ip.interface)).collect();
    assert_eq!(
        shown,
        [
            ("10.1.0.2/24".into(), Some(ip("10.1.0.1")), None),
            ("fd00::2/64".into(), Some(ip("fd00::1")), None)
        ]
    );
    assert_eq!(
        pool.cursors.borrow().clone().into_values().collect::<Vec<_>>(),
        [ip("10.1.0.2"), ip("fd00::2")]
    );
}

#[test]
fn ranges_follow_each_other_wrap_once_and_end() {
    let sets = [set(&[
        ("10.1.0.0/24", "10.1.0.1", "10.1.0.3"),
        ("10.2.0.0/24", "10.2.0.5", "10.2.0.6"),
        ("10.3.0.0/24", "10.3.0.9", "10.3.0.9"),
    ])];
    let pool = Memory::default();
    assert_eq!(given(&pool, &sets, 5), ["10.1.0.2", "10.1.0.3", "10.2.0.5", "10.2.0.6", "10.3.0.9"]);
    let error = allocate(&pool, &sets, &[], &owner("late")).unwrap_err();
    assert_eq!(error.code, code::EXHAUSTED);
    assert_eq!(
        error.msg,
        "failed to allocate for range 0: no IP addresses available in range set: \
         10.1.0.1-10.1.0.3,10.2.0.5-10.2.0.6,10.3.0.9-10.3.0.9"
    );

    // From the middle of a range: its rest, the ranges behind, those before, its own head up to the cursor.
    let pool = Memory::default();
    pool.cursors.borrow_mut().insert(0, ip("10.2.0.5"));
    assert_eq!(given(&pool, &sets, 5), ["10.2.0.6", "10.3.0.9", "10.1.0.2", "10.1.0.3", "10.2.0.5"]);
}

#[test]
fn a_freed_address_is_not_given_again_at_once() {
    let sets = [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.4")])];
    let pool = Memory::default();
    assert_eq!(given(&pool, &sets, 1), ["10.1.0.2"]);
    pool.release(&owner("c0")).unwrap();
    assert_eq!(given(&pool, &sets, 3), ["10.1.0.3", "10.1.0.4", "10.1.0.2"]);
}

#[test]
fn a_cursor_outside_the_set_counts_for_nothing() {
    let pool = Memory::default();
    pool.cursors.borrow_mut().insert(0, ip("192.0.2.1"));
    assert_eq!(given(&pool, &[set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.4")])], 1), ["10.1.0.2"]);
}

#[test]
fn a_gateway_is_skipped_in_every_range_of_its_set() {
    let pool = Memory::default();
    let mut low = Range::new("10.1.0.0/24".parse().unwrap(), None, Some(ip("10.1.0.2")), None).unwrap();
    low.gateway = ip("10.1.0.10");
    let high = Range::new("10.1.0.0/24".parse().unwrap(), Some(ip("10.1.0.10")), Some(ip("10.1.0.11")), None);
    let sets = [RangeSet::new(vec![low, high.unwrap()]).unwrap()];
    assert_eq!(given(&pool, &sets, 2), ["10.1.0.2", "10.1.0.11"]);
}

#[test]
fn a_second_allocation_of_one_attachment_is_refused_requested_or_not() {
    let sets = [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")])];
    let pool = Memory::default();
    allocate(&pool, &sets, &[], &owner("c0")).unwrap();
    for requested in [&[][..], &[ip("10.1.0.77")]] {
        let error = allocate(&pool, &sets, requested, &owner("c0")).unwrap_err();
        assert_eq!(error.code, code::DUPLICATE);
        assert_eq!(
            error.msg,
            "10.1.0.2 has been allocated to c0 (eth0), duplicate allocation is not allowed"
        );
    }
    assert_eq!(pool.taken.borrow().len(), 1);

    let second_interface = Owner { container: "c0".into(), ifname: "eth1".into() };
    allocate(&pool, &sets, &[], &second_interface).unwrap();
    let elsewhere = [set(&[("10.9.0.0/24", "10.9.0.1", "10.9.0.254")])];
    allocate(&pool, &elsewhere, &[], &owner("c0")).unwrap();
}

#[test]
fn requested_addresses_are_given_to_the_set_that_holds_them() {
    let sets = [
        set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.254")]),
        set(&[("fd00::/64", "fd00::1", "fd00::ff")]),
        set(&[("10.2.0.0/24", "10.2.0.1", "10.2.0.254")]),
    ];
    let pool = Memory::default();
    let ips = allocate(&pool, &sets, &[ip("10.2.0.50"), ip("10.1.0.60")], &owner("c")).unwrap();
    let shown: Vec<_> = ips.iter().map(|ip| ip.address.to_string()).collect();
    assert_eq!(shown, ["10.1.0.60/24", "fd00::2/64", "10.2.0.50/24"]);
    assert_eq!(pool.cursors.borrow()[&0], ip("10.1.0.60"));
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
        let pool = Memory::default();
        pool.try_reserve(ip("10.1.0.9"), &owner("other")).unwrap();
        let requested: Vec<IpAddr> = requested.iter().map(|text| ip(text)).collect();
        let error = allocate(&pool, &sets, &requested, &owner("c")).unwrap_err();
        assert_eq!(error.code, wanted_code, "{error}");
        assert!(error.msg.ends_with(text), "{error}");
    }
}

#[test]
fn leases_of_an_earlier_boot_are_the_last_resort() {
    let pool = Memory::default();
    let sets = [set(&[("10.1.0.0/24", "10.1.0.1", "10.1.0.3"), ("10.2.0.0/24", "10.2.0.2", "10.2.0.3")])];
    for address in ["10.1.0.1", "10.1.0.2", "10.2.0.2"] {
        pool.try_reserve(ip(address), &owner("gone")).unwrap();
        pool.old.borrow_mut().insert(ip(address));
    }
    pool.set_last_reserved(0, ip("10.2.0.2")).unwrap();
    // What is free first, wherever it is; then round robin goes on; never the gateway.
    assert_eq!(given(&pool, &sets, 4), ["10.2.0.3", "10.1.0.3", "10.2.0.2", "10.1.0.2"]);
    let error = allocate(&pool, &sets, &[], &owner("late")).unwrap_err();
    assert_eq!(error.code, code::EXHAUSTED);
}

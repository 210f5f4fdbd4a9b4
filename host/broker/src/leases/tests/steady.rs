//! The cost: counted in scans of the directory and words of the bitmaps, not in time.

use std::net::Ipv4Addr;

use super::*;

const RANGE: (&str, &str) = ("10.1.0.1", "10.1.255.254");

/// ADD and DEL as the host-local guest does them; answers the scans and the words.
fn add_and_del(bench: &Bench, who: &str) -> (usize, usize) {
    let mut pool = bench.pool();
    assert!(pool.find(&owner(who)).unwrap().is_empty());
    let last = pool.last_reserved(0).unwrap().map(|ip| ip.to_string());
    let address = next(&mut pool, RANGE, last.as_deref(), &["10.1.0.1"], who).unwrap();
    pool.set_last_reserved(0, address).unwrap();
    let added = (pool.scans, pool.words);
    drop(pool);
    let mut pool = bench.pool();
    assert_eq!(pool.release(&owner(who)).unwrap(), 1);
    assert_eq!(pool.release(&owner(who)).unwrap(), 0);
    (added.0 + pool.scans, added.1 + pool.words)
}

#[test]
fn sixty_thousand_leases_cost_what_none_do() {
    let bench = Bench::new();
    let first = u32::from(Ipv4Addr::new(10, 1, 0, 2));
    bench.fill((first..first + 60_000).map(|bits| Ipv4Addr::from(bits).into()));
    let mut pool = bench.pool();
    pool.set_last_reserved(0, ip("10.1.0.2")).unwrap();
    assert_eq!(pool.scans, 1, "the first use makes the index");
    drop(pool);
    // From the start of 60,000 taken addresses: 938 words. Behind them: one.
    let (scans, words) = add_and_del(&bench, "new0");
    assert_eq!(scans, 0);
    assert!((937..=940).contains(&words), "{words}");
    for number in 1..50 {
        assert_eq!(add_and_del(&bench, &format!("new{number}")), (0, 1));
    }
    let mut pool = bench.pool();
    assert_eq!(pool.find(&owner("c59999")).unwrap(), [IpAddr::from(Ipv4Addr::from(first + 59_999))]);
    assert_eq!(pool.release(&owner("c30000")).unwrap(), 1);
    assert_eq!(pool.scans, 0);
}

#[test]
fn a_full_range_is_seen_from_its_bitmap() {
    let bench = Bench::new();
    let first = u32::from(Ipv4Addr::new(10, 1, 0, 0));
    bench.fill((first..first + 8192).map(|bits| Ipv4Addr::from(bits).into()));
    drop(bench.pool().find(&owner("nobody")).unwrap());
    let mut pool = bench.pool();
    assert_eq!(next(&mut pool, ("10.1.0.0", "10.1.31.255"), None, &[], "c"), None);
    assert_eq!((pool.scans, pool.words), (0, 128));
    assert_eq!(next(&mut pool, ("10.1.0.0", "10.1.32.0"), None, &[], "c"), Some(ip("10.1.32.0")));
}

#[test]
fn growing_needs_no_scan() {
    let bench = Bench::new();
    drop(bench.pool().find(&owner("nobody")).unwrap());
    // Both tables grow: many holders, and as many bitmaps.
    for number in 0..1500_u32 {
        let mut pool = bench.pool();
        let address = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + (number << 12)));
        assert!(pool.try_reserve(address, &owner(&format!("c{number}"))).unwrap());
        assert_eq!(pool.scans, 0, "{number}");
    }
    let mut pool = bench.pool();
    for number in 0..1500_u32 {
        let address = IpAddr::from(Ipv4Addr::from(0x0a00_0000 + (number << 12)));
        assert_eq!(pool.find(&owner(&format!("c{number}"))).unwrap(), [address]);
        if number % 2 == 0 {
            assert_eq!(pool.release(&owner(&format!("c{number}"))).unwrap(), 1);
        }
    }
    for number in 0..1500_u32 {
        let there = pool.find(&owner(&format!("c{number}"))).unwrap().len();
        assert_eq!(there, usize::from(number % 2 == 1));
    }
    assert_eq!(pool.scans, 0);
}

#[test]
fn huge_ranges_cost_no_more() {
    let bench = Bench::new();
    drop(bench.pool().find(&owner("nobody")).unwrap());
    let range = ("fd01::1", "fd01::ffff:ffff:ffff:ffff");
    let mut pool = bench.pool();
    for number in 0..5000 {
        let who = format!("c{number}");
        assert!(next(&mut pool, range, None, &[], &who).is_some());
    }
    assert_eq!(pool.find(&owner("c4999")).unwrap(), [ip("fd01::1388")]);
    assert_eq!(next(&mut pool, range, Some("fd01::1:0:0:0"), &[], "far"), Some(ip("fd01::1:0:0:1")));
    assert_eq!(pool.scans, 0);
}

#[test]
fn a_new_cursor_does_not_cost_the_index() {
    let bench = Bench::new();
    drop(bench.pool().find(&owner("nobody")).unwrap());
    for set in 0..3 {
        let mut pool = bench.pool();
        pool.set_last_reserved(set, ip("10.1.0.2")).unwrap();
        assert_eq!(pool.find(&owner("nobody")).unwrap(), [] as [IpAddr; 0]);
        assert_eq!(pool.scans, 0);
    }
}

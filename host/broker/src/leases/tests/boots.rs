//! Leases of an earlier boot: nobody's when there is need, and until then where they are.

use std::fs;
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::super::boot::Boot;
use super::*;

const RANGE: (&str, &str) = ("10.1.0.1", "10.1.0.3");
const NOW: &str = "22222222-0000-0000-0000-000000000000";

/// The pool in an earlier boot.
fn before(bench: &Bench) -> Pool {
    let boot = Boot::of("11111111-0000-0000-0000-000000000000", UNIX_EPOCH);
    Pool::open_in(&boot, &bench.directory(), &bench.index(), None).unwrap()
}

/// The pool in the present boot, which began half a minute ago. The index did not survive.
fn now(bench: &Bench) -> Pool {
    let _ = fs::remove_dir_all(bench.index());
    again(bench)
}

fn again(bench: &Bench) -> Pool {
    let boot = Boot::of(NOW, SystemTime::now() - Duration::from_secs(30));
    Pool::open_in(&boot, &bench.directory(), &bench.index(), None).unwrap()
}

/// Asks as host-local does: for every range once, and then once more.
fn insist(pool: &mut Pool, range: (&str, &str), skip: &[&str], who: &str) -> Option<IpAddr> {
    next(pool, range, None, skip, who).or_else(|| next(pool, range, None, skip, who))
}

fn full_before() -> Bench {
    let bench = Bench::new();
    for who in ["c1", "c2", "c3"] {
        next(&mut before(&bench), RANGE, None, &[], who).unwrap();
    }
    bench
}

#[test]
fn what_is_free_goes_first_and_a_range_that_is_asked_for_once_is_full() {
    let bench = full_before();
    let mut pool = now(&bench);
    assert_eq!(next(&mut pool, ("10.1.0.1", "10.1.0.4"), None, &[], "n"), Some(ip("10.1.0.4")));
    assert_eq!(next(&mut pool, RANGE, None, &[], "m"), None);
    assert_eq!(next(&mut pool, ("10.1.0.1", "10.1.0.2"), None, &[], "m"), None, "another range");
    assert_eq!(next(&mut pool, RANGE, None, &["10.1.0.1"], "m"), Some(ip("10.1.0.2")), "never a gateway");
    assert_eq!(fs::read(bench.lease("10.1.0.2")).unwrap(), b"m\r\neth0");
    assert_eq!(pool.scans, 1);
    drop(pool);
    let mut pool = again(&bench);
    assert_eq!(insist(&mut pool, RANGE, &[], "o"), Some(ip("10.1.0.1")));
    assert_eq!(insist(&mut pool, RANGE, &[], "p"), Some(ip("10.1.0.3")));
    assert_eq!(insist(&mut pool, RANGE, &[], "q"), None, "all are of this boot");
    assert_eq!(pool.scans, 0, "the index knows which are old");
}

#[test]
fn nobody_has_a_lease_of_an_earlier_boot_but_collection_sees_it() {
    let bench = full_before();
    let mut pool = now(&bench);
    assert_eq!(pool.find(&owner("c1")).unwrap(), [] as [IpAddr; 0]);
    assert_eq!(pool.get_current().unwrap(), []);
    assert_eq!(pool.get_all().unwrap().len(), 3);
    assert_eq!(pool.release(&owner("c1")).unwrap(), 1);
    assert_eq!(next(&mut pool, RANGE, None, &[], "n"), Some(ip("10.1.0.1")));
    assert_eq!(pool.get_current().unwrap().len(), 1);
}

#[test]
fn a_lease_that_becomes_older_in_its_place_is_seen() {
    // As a restored backup is: the directory stays as it was, and the index belongs to it.
    let bench = Bench::new();
    let lease = bench.lease("10.1.0.2");
    fs::create_dir_all(lease.parent().unwrap()).unwrap();
    fs::write(&lease, "c1\r\neth0").unwrap();
    let find = || again(&bench).find(&owner("c1")).unwrap();
    assert_eq!(find(), [ip("10.1.0.2")]);
    let touch = |at| fs::File::options().write(true).open(&lease).unwrap().set_modified(at).unwrap();
    touch(UNIX_EPOCH);
    assert_eq!(find(), [] as [IpAddr; 0]);
    touch(SystemTime::now());
    assert_eq!(find(), [ip("10.1.0.2")]);
}

#[test]
fn a_requested_address_is_taken_over() {
    let bench = full_before();
    let mut pool = now(&bench);
    assert!(pool.try_reserve(ip("10.1.0.2"), &owner("n")).unwrap());
    assert!(!pool.try_reserve(ip("10.1.0.2"), &owner("m")).unwrap());
    assert_eq!(pool.find(&owner("n")).unwrap(), [ip("10.1.0.2")]);
    assert_eq!(pool.release(&owner("c2")).unwrap(), 0, "it is not its own any more");
}

#[test]
fn a_container_that_keeps_its_id_across_boots_starts_anew() {
    let bench = full_before();
    bench.write("10.1.0.9", "c2");
    fs::File::open(bench.lease("10.1.0.9")).unwrap().set_modified(UNIX_EPOCH).unwrap();
    let mut pool = now(&bench);
    assert_eq!(next(&mut pool, ("10.1.0.1", "10.1.0.8"), None, &[], "c2"), Some(ip("10.1.0.2")));
    assert!(!bench.lease("10.1.0.9").exists());
    assert!(pool.try_reserve(ip("10.1.0.7"), &owner("c3")).unwrap());
    assert!(!bench.lease("10.1.0.3").exists());
    assert_eq!(pool.release(&owner("c2")).unwrap(), 1);
}

#[test]
fn without_a_mark_the_time_of_the_file_tells() {
    let bench = Bench::new();
    let day = Duration::from_hours(24);
    for (address, age) in [("10.1.0.1", day), ("10.1.0.2", Duration::ZERO), ("10.1.0.3", day)] {
        bench.write(address, &format!("of-{address}\r\neth0"));
        fs::File::open(bench.lease(address)).unwrap().set_modified(SystemTime::now() - age).unwrap();
    }
    // Its writer crashed before that boot ended.
    bench.write("10.1.0.1", "");
    fs::File::open(bench.lease("10.1.0.1")).unwrap().set_modified(SystemTime::now() - day).unwrap();
    let mut pool = now(&bench);
    assert_eq!(insist(&mut pool, RANGE, &[], "n"), Some(ip("10.1.0.1")));
    assert_eq!(insist(&mut pool, RANGE, &[], "m"), Some(ip("10.1.0.3")));
    assert_eq!(insist(&mut pool, RANGE, &[], "o"), None);
    assert_eq!(pool.find(&owner("of-10.1.0.2")).unwrap(), [ip("10.1.0.2")]);
}

#[test]
fn what_was_renewed_in_place_is_not_taken() {
    let bench = full_before();
    drop(now(&bench).get_all());
    assert_eq!(now(&bench).find(&owner("c1")).unwrap(), [] as [IpAddr; 0]);
    // The directory does not show it, and so the index still says that it is old.
    let boot = Boot::of(NOW, UNIX_EPOCH);
    boot.mark(&fs::File::options().write(true).open(bench.lease("10.1.0.1")).unwrap());
    let mut pool = again(&bench);
    assert_eq!(insist(&mut pool, RANGE, &[], "n"), Some(ip("10.1.0.2")));
    assert_eq!(fs::read(bench.lease("10.1.0.1")).unwrap(), b"c1\r\neth0");
}

#[test]
fn what_is_no_file_is_of_no_boot() {
    let bench = Bench::new();
    fs::create_dir_all(bench.lease("10.1.0.1")).unwrap();
    symlink("/etc/hostname", bench.lease("10.1.0.2")).unwrap();
    nix::unistd::mkfifo(&bench.lease("10.1.0.3"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let boot = Boot::of(NOW, SystemTime::now() + Duration::from_hours(1));
    let mut pool = Pool::open_in(&boot, &bench.directory(), &bench.index(), None).unwrap();
    assert_eq!(insist(&mut pool, RANGE, &[], "n"), None);
    assert!(!pool.try_reserve(ip("10.1.0.2"), &owner("n")).unwrap());
}

#[test]
fn a_network_without_leases_gets_no_directory() {
    let bench = Bench::new();
    assert!(Pool::open_existing(&bench.directory(), &bench.index(), None).unwrap().is_none());
    assert!(!bench.directory().exists());
    drop(bench.pool());
    assert!(Pool::open_existing(&bench.directory(), &bench.index(), None).unwrap().is_some());
}

//! What lies on the disk, and what is made of what others put there.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use wharf_ops::ErrorKind;
use wharf_ops::leases::{Lease, LeaseOwner};

use super::super::NOBODY;
use super::super::boot::Boot;
use super::super::files::Files;
use super::super::holder::Holder;
use super::*;

const RANGE: (&str, &str) = ("10.1.0.1", "10.1.0.6");

#[test]
fn files_are_those_of_host_local() {
    let bench = Bench::new();
    let mut pool = bench.pool();
    assert!(pool.try_reserve(ip("10.1.0.2"), &owner("c1")).unwrap());
    assert!(pool.try_reserve(ip("fd01:0:0::2"), &owner("c1")).unwrap());
    pool.set_last_reserved(0, ip("10.1.0.2")).unwrap();
    drop(pool);

    let mut names: Vec<_> = fs::read_dir(bench.directory())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["10.1.0.2", "fd01::2", "last_reserved_ip.0", "lock"]);
    assert_eq!(fs::read(bench.lease("10.1.0.2")).unwrap(), b"c1\r\neth0");
    assert_eq!(fs::read(bench.lease("fd01::2")).unwrap(), b"c1\r\neth0");
    assert_eq!(fs::read(bench.lease("last_reserved_ip.0")).unwrap(), b"10.1.0.2");
    assert_eq!(fs::read(bench.lease("lock")).unwrap(), b"");
    // The umask may only take bits away.
    for (name, mode) in [("10.1.0.2", 0o600), ("last_reserved_ip.0", 0o600), ("lock", 0o750)] {
        let metadata = fs::metadata(bench.lease(name)).unwrap();
        assert_eq!(metadata.mode() & 0o777 & !mode, 0, "{name}");
        assert_eq!(metadata.mode() & 0o600, 0o600, "{name}");
        assert_eq!(metadata.nlink(), 1, "{name}");
    }
    assert_eq!(fs::metadata(bench.index()).unwrap().mode() & 0o777, 0o700);
    assert_eq!(fs::metadata(bench.index_file()).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn reserve_find_release() {
    let bench = Bench::new();
    let mut pool = bench.pool();
    assert_eq!(next(&mut pool, RANGE, None, &[], "c1"), Some(ip("10.1.0.1")));
    assert_eq!(next(&mut pool, ("fd01::1", "fd01::ffff"), None, &["fd01::1"], "c1"), Some(ip("fd01::2")));
    assert!(!pool.try_reserve(ip("10.1.0.1"), &owner("c2")).unwrap());
    assert_eq!(pool.find(&owner("c1")).unwrap(), [ip("10.1.0.1"), ip("fd01::2")]);
    assert_eq!(pool.find(&owner("c2")).unwrap(), [] as [IpAddr; 0]);
    assert_eq!(pool.get_all().unwrap().len(), 2);
    assert_eq!(pool.release(&owner("c2")).unwrap(), 0);
    assert_eq!(pool.release(&owner("c1")).unwrap(), 2);
    assert_eq!(pool.release(&owner("c1")).unwrap(), 0);
    assert!(!bench.lease("10.1.0.1").exists());
    assert_eq!(next(&mut pool, RANGE, None, &[], "c2"), Some(ip("10.1.0.1")));
}

#[test]
fn ranges_have_ends() {
    let bench = Bench::new();
    let mut pool = bench.pool();
    assert_eq!(next(&mut pool, RANGE, Some("10.1.0.5"), &[], "a"), Some(ip("10.1.0.6")));
    assert_eq!(next(&mut pool, RANGE, Some("10.1.0.5"), &[], "b"), None, "does not wrap");
    assert_eq!(next(&mut pool, RANGE, Some("10.1.0.6"), &[], "b"), None);
    assert_eq!(next(&mut pool, RANGE, Some("10.9.9.9"), &[], "b"), None, "behind the range");
    assert_eq!(
        next(&mut pool, RANGE, Some("10.0.0.9"), &["10.1.0.1"], "c"),
        Some(ip("10.1.0.2")),
        "before it"
    );
    let all = ["10.1.0.1", "10.1.0.3", "10.1.0.4", "10.1.0.5"];
    assert_eq!(next(&mut pool, RANGE, None, &all, "d"), None, "taken or skipped");
    let top = ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    for _ in 0..2 {
        assert!(next(&mut pool, top, None, &[], "e").is_some());
    }
    assert_eq!(next(&mut pool, top, None, &[], "e"), None);
    assert_eq!(next(&mut pool, top, Some(top.1), &[], "e"), None);
    assert_eq!(
        next(&mut pool, ("255.255.255.255", "255.255.255.255"), None, &["255.255.255.255"], "f"),
        None
    );

    for (first, last, after) in [
        ("10.0.0.2", "10.0.0.1", None),
        ("10.0.0.1", "fd00::1", None),
        ("10.0.0.1", "10.0.0.2", Some("fd00::1")),
    ] {
        let error = pool.reserve_next(ip(first), ip(last), after.map(ip), &[], &owner("g")).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Invalid, "{error}");
    }
}

#[test]
fn cursors_are_read_and_written_in_place() {
    let bench = Bench::new();
    let mut pool = bench.pool();
    assert_eq!(pool.last_reserved(0).unwrap(), None);
    for address in ["10.1.0.200", "10.1.0.9", "10.1.0.10", "fd01::5"] {
        pool.set_last_reserved(0, ip(address)).unwrap();
        assert_eq!(pool.last_reserved(0).unwrap(), Some(ip(address)));
        assert_eq!(fs::read_to_string(bench.lease("last_reserved_ip.0")).unwrap(), address);
    }
    assert_eq!(pool.last_reserved(1).unwrap(), None);
    for damaged in ["", "nonsense", "10.1.0"] {
        fs::write(bench.lease("last_reserved_ip.0"), damaged).unwrap();
        assert_eq!(pool.last_reserved(0).unwrap(), None, "{damaged:?}");
    }
}

#[test]
fn old_leases_belong_to_the_container() {
    let bench = Bench::new();
    bench.write("10.1.0.2", "c1\n");
    bench.write("10.1.0.3", "c1\r\neth1\r\n");
    let mut pool = bench.pool();
    let eth1 = LeaseOwner { container: "c1".into(), ifname: "eth1".into() };
    assert_eq!(pool.find(&eth1).unwrap(), [ip("10.1.0.3")], "an exact one hides the old one");
    assert_eq!(pool.find(&owner("c1")).unwrap(), [ip("10.1.0.2")]);
    assert_eq!(
        pool.get_all().unwrap()[0].owner,
        LeaseOwner { container: "c1".into(), ifname: String::new() }
    );
    assert_eq!(pool.release(&owner("c1")).unwrap(), 1);
    assert_eq!(pool.find(&owner("c1")).unwrap(), [] as [IpAddr; 0]);
    assert_eq!(pool.find(&eth1).unwrap(), [ip("10.1.0.3")]);
}

#[test]
fn what_is_no_lease_is_left_alone() {
    let bench = Bench::new();
    for name in ["README", "FD01::3", "10.1.0.4.bak", "last_reserved_ip.7"] {
        bench.write(name, "c1\r\neth0");
    }
    bench.write("10.1.0.2", "");
    symlink("/etc/passwd", bench.lease("10.1.0.3")).unwrap();
    fs::create_dir(bench.lease("10.1.0.4")).unwrap();
    nix::unistd::mkfifo(&bench.lease("10.1.0.5"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut pool = bench.pool();
    assert_eq!(pool.get_all().unwrap(), []);
    assert_eq!(pool.release(&owner("c1")).unwrap(), 0);
    assert_eq!(next(&mut pool, ("10.1.0.2", "10.1.0.9"), None, &[], "c2"), Some(ip("10.1.0.6")), "all taken");
    assert!(!pool.try_reserve(ip("10.1.0.2"), &owner("c2")).unwrap());
    assert!(bench.lease("10.1.0.2").exists() && bench.lease("FD01::3").exists());
}

#[test]
fn what_names_nobody_is_taken_until_it_is_collected() {
    let bench = Bench::new();
    bench.write("10.1.0.2", "");
    bench.write("10.1.0.3", "c1\r\neth0");
    bench.write("10.1.0.4", "\r\n");
    fs::create_dir(bench.lease("10.1.0.5")).unwrap();
    let mut pool = bench.pool();
    let range = ("10.1.0.2", "10.1.0.6");
    assert_eq!(next(&mut pool, range, None, &["10.1.0.6"], "c2"), None);
    let nobodys = |leases: Vec<Lease>| -> Vec<IpAddr> {
        leases.into_iter().filter(|lease| lease.owner == NOBODY).map(|lease| lease.address).collect()
    };
    assert_eq!(pool.get_taken().unwrap().len(), 4);
    assert_eq!(nobodys(pool.get_taken().unwrap()), ["10.1.0.2", "10.1.0.4", "10.1.0.5"].map(ip));
    assert_eq!(nobodys(pool.get_releasable().unwrap()), ["10.1.0.2", "10.1.0.4"].map(ip));
    assert!(pool.release(&NOBODY).is_err(), "it is no owner");

    assert_eq!(pool.release_nobodys().unwrap(), 2);
    assert_eq!(pool.release_nobodys().unwrap(), 0);
    assert_eq!(pool.get_taken().unwrap().len(), 2);
    assert_eq!(next(&mut pool, range, None, &[], "c2"), Some(ip("10.1.0.2")), "the index knows it");
    assert_eq!(next(&mut pool, range, None, &[], "c3"), Some(ip("10.1.0.4")));
    assert_eq!(pool.find(&owner("c1")).unwrap(), [ip("10.1.0.3")]);
    assert_eq!(pool.scans, 1);
}

#[test]
fn a_bad_owner_reserves_nothing() {
    let bench = Bench::new();
    let mut pool = bench.pool();
    let error = pool.try_reserve(ip("10.1.0.2"), &owner("c1\r\nc2")).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Invalid);
    assert!(!bench.lease("10.1.0.2").exists());
}

#[test]
fn a_file_system_without_unnamed_files_will_do() {
    let bench = Bench::new();
    fs::create_dir_all(bench.directory()).unwrap();
    bench.write(".wharf-draft", "left by a crash");
    let files = Files::open(&bench.directory(), Boot::default()).unwrap();
    let holder = Holder::new(&owner("c1")).unwrap();
    let draft = files.named_draft(&holder).unwrap();
    assert!(draft.publish(ip("10.1.0.2").into()).unwrap());
    assert!(!draft.publish(ip("10.1.0.2").into()).unwrap());
    drop(draft);
    assert_eq!(fs::read(bench.lease("10.1.0.2")).unwrap(), b"c1\r\neth0");
    assert!(!bench.lease(".wharf-draft").exists());
}

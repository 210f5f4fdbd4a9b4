//! The lock, and others who work on the same directory.

use std::collections::HashSet;
use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, symlink};
use std::time::{Duration, Instant};

use nix::fcntl::{Flock, FlockArg};
use wharf_ops::ErrorKind;

use super::*;

const RANGE: (&str, &str) = ("10.1.0.1", "10.1.255.254");

#[test]
fn no_address_is_given_out_twice() {
    let bench = Bench::new();
    let given: Vec<IpAddr> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..10)
            .map(|worker| {
                let bench = &bench;
                scope.spawn(move || {
                    let one = |number| {
                        let who = format!("w{worker}-{number}");
                        let deadline = Some(Instant::now() + Duration::from_mins(2));
                        let mut pool = Pool::open(&bench.directory(), &bench.index(), deadline).unwrap();
                        let last = pool.last_reserved(0).unwrap();
                        let address =
                            next(&mut pool, RANGE, last.map(|ip| ip.to_string()).as_deref(), &[], &who);
                        pool.set_last_reserved(0, address.unwrap()).unwrap();
                        assert_eq!(pool.find(&owner(&who)).unwrap(), [address.unwrap()]);
                        address.unwrap()
                    };
                    (0..100).map(one).collect::<Vec<_>>()
                })
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(given.iter().collect::<HashSet<_>>().len(), 1000);
    assert_eq!(bench.pool().get_all().unwrap().len(), 1000);
}

#[test]
fn the_deadline_bounds_the_wait() {
    let bench = Bench::new();
    let pool = bench.pool();
    let late = Instant::now() + Duration::from_millis(20);
    let error = Pool::open(&bench.directory(), &bench.index(), Some(late)).err().unwrap();
    assert!(Instant::now() >= late);
    assert_eq!(error.kind, ErrorKind::Busy);
    assert!(error.message.contains(bench.lease("lock").to_str().unwrap()), "{error}");
    drop(pool);
    Pool::open(&bench.directory(), &bench.index(), Some(Instant::now())).unwrap();
}

#[test]
fn the_lock_is_the_one_of_host_local() {
    let bench = Bench::new();
    drop(bench.pool());
    let theirs =
        Flock::lock(File::open(bench.lease("lock")).unwrap(), FlockArg::LockExclusiveNonblock).unwrap();
    let error = Pool::open(&bench.directory(), &bench.index(), Some(Instant::now())).err().unwrap();
    assert_eq!(error.kind, ErrorKind::Busy);
    drop(theirs);
    let pool = bench.pool();
    assert!(Flock::lock(File::open(bench.lease("lock")).unwrap(), FlockArg::LockExclusiveNonblock).is_err());
    drop(pool);
}

#[test]
fn a_lock_that_was_removed_meanwhile_is_not_taken() {
    let bench = Bench::new();
    let held = bench.pool();
    // A waiter is a line of /proc/locks with an arrow and `major:minor:inode`.
    let inode = format!(":{} ", fs::metadata(bench.lease("lock")).unwrap().ino());
    let waits = || {
        let locks = fs::read_to_string("/proc/locks").unwrap();
        locks.lines().any(|line| line.contains("->") && line.contains(&inode))
    };
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| bench.pool());
        while !waits() {
            std::thread::yield_now();
        }
        fs::remove_dir_all(bench.directory()).unwrap();
        drop(held);
        let _pool = waiter.join().unwrap();
        let lock = File::open(bench.lease("lock")).unwrap();
        assert!(Flock::lock(lock, FlockArg::LockExclusiveNonblock).is_err());
    });
}

#[test]
fn a_lock_that_is_no_file_is_refused() {
    for make in [
        |path: &std::path::Path| fs::create_dir(path).unwrap(),
        |path: &std::path::Path| symlink("/etc/passwd", path).unwrap(),
        |path: &std::path::Path| nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap(),
    ] {
        let bench = Bench::new();
        fs::create_dir_all(bench.directory()).unwrap();
        make(&bench.lease("lock"));
        let error = Pool::open(&bench.directory(), &bench.index(), None).err().unwrap();
        assert_eq!(error.kind, ErrorKind::Conflict, "{error}");
        assert!(error.message.contains("not a regular file"), "{error}");
    }
}

#[test]
fn the_lock_is_closed_on_exec() {
    let bench = Bench::new();
    let _pool = bench.pool();
    let held = fs::canonicalize(bench.lease("lock")).unwrap();
    let listing = std::process::Command::new("ls").args(["-l", "/proc/self/fd"]).output().unwrap();
    assert!(!String::from_utf8_lossy(&listing.stdout).contains(held.to_str().unwrap()));
}

#[test]
fn files_of_others_count_at_once() {
    let bench = Bench::new();
    let mut pool = bench.pool();
    assert_eq!(next(&mut pool, RANGE, None, &[], "c1"), Some(ip("10.1.0.1")));
    // Made while the pool is open, and found again after each of its own changes.
    bench.write("10.1.0.2", "theirs\r\neth0");
    assert_eq!(pool.find(&owner("theirs")).unwrap(), [ip("10.1.0.2")]);
    bench.write("10.1.0.3", "more\r\neth0");
    assert_eq!(next(&mut pool, RANGE, None, &[], "c2"), Some(ip("10.1.0.4")));
    bench.remove("10.1.0.1");
    assert_eq!(pool.find(&owner("c1")).unwrap(), [] as [IpAddr; 0]);
    drop(pool);
    bench.remove("10.1.0.3");
    bench.write("10.1.0.5", "theirs\r\neth0");
    let mut pool = bench.pool();
    assert_eq!(next(&mut pool, RANGE, Some("10.1.0.1"), &[], "c3"), Some(ip("10.1.0.3")));
    assert_eq!(pool.find(&owner("theirs")).unwrap(), [ip("10.1.0.2"), ip("10.1.0.5")]);
    assert_eq!(pool.release(&owner("theirs")).unwrap(), 2);
    assert!(pool.try_reserve(ip("10.1.0.2"), &owner("c4")).unwrap());
    assert_eq!(pool.find(&owner("c2")).unwrap(), [ip("10.1.0.4")]);
}

#[test]
fn a_lease_rewritten_in_place_is_not_given_back_for_the_wrong_owner() {
    let bench = Bench::new();
    let mut pool = bench.pool();
    assert!(pool.try_reserve(ip("10.1.0.2"), &owner("c1")).unwrap());
    bench.write("10.1.0.2", "c2\r\neth0");
    assert_eq!(pool.release(&owner("c1")).unwrap(), 0);
    assert_eq!(pool.find(&owner("c2")).unwrap(), [ip("10.1.0.2")]);
}

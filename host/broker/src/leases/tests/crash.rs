//! Whatever happens to the index, the answers stay right.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};

use super::super::boot::Boot;
use super::super::files::Files;
use super::super::holder::Holder;
use super::*;

const RANGE: (&str, &str) = ("10.1.0.1", "10.1.0.254");

/// A bench with `10.1.0.1` to `.3` given to c1, c2, c3, and an index.
fn three() -> Bench {
    let bench = Bench::new();
    let mut pool = bench.pool();
    for who in ["c1", "c2", "c3"] {
        next(&mut pool, RANGE, None, &[], who).unwrap();
    }
    drop(pool);
    assert!(bench.index_file().is_file());
    bench
}

/// The answers that hold after [`three`].
fn check(bench: &Bench, what: &str) {
    let mut pool = bench.pool();
    assert_eq!(pool.find(&owner("c2")).unwrap(), [ip("10.1.0.2")], "{what}");
    assert_eq!(pool.find(&owner("c4")).unwrap(), [] as [IpAddr; 0], "{what}");
    assert_eq!(next(&mut pool, RANGE, None, &[], "c4"), Some(ip("10.1.0.4")), "{what}");
    assert_eq!(pool.find(&owner("c4")).unwrap(), [ip("10.1.0.4")], "{what}");
    assert_eq!(pool.release(&owner("c4")).unwrap(), 1, "{what}");
    assert_eq!(pool.release(&owner("c4")).unwrap(), 0, "{what}");
}

#[test]
fn a_crash_after_the_lease_and_before_the_index_is_seen() {
    let bench = three();
    let files = Files::open(&bench.directory(), Boot::default()).unwrap();
    assert!(
        files.draft(&Holder::new(&owner("c4")).unwrap()).unwrap().publish(ip("10.1.0.4").into()).unwrap()
    );
    let mut pool = bench.pool();
    assert_eq!(pool.find(&owner("c4")).unwrap(), [ip("10.1.0.4")]);
    assert_eq!(pool.scans, 1);
    drop(pool);
    files.remove(ip("10.1.0.4").into()).unwrap();
    check(&bench, "removed");
}

#[test]
fn a_crash_between_the_seal_and_the_header_is_seen() {
    let bench = three();
    let files = Files::open(&bench.directory(), Boot::default()).unwrap();
    bench.write("10.1.0.4", "c4\r\neth0");
    files.seal().unwrap();
    assert_eq!(bench.pool().find(&owner("c4")).unwrap(), [ip("10.1.0.4")]);
}

#[test]
fn a_seal_is_a_time_that_no_change_gets() {
    let bench = three();
    let files = Files::open(&bench.directory(), Boot::default()).unwrap();
    let [first, second] = [files.seal().unwrap(), files.seal().unwrap()];
    assert_ne!(first, second);
    // Older than what a clock of whole seconds would call now.
    let age = std::time::SystemTime::now()
        .duration_since(fs::metadata(bench.directory()).unwrap().modified().unwrap());
    assert!(age.unwrap().as_secs() >= 9);
    assert_eq!(files.stamp(), Some(second));
    bench.remove("10.1.0.1");
    assert_ne!(files.stamp(), Some(second));
}

#[test]
fn a_crash_before_the_seal_is_seen() {
    // The pages of the index are written, and neither the time nor the header is.
    let bench = three();
    let header = fs::read(bench.index_file()).unwrap()[..1024].to_vec();
    assert_eq!(bench.pool().release(&owner("c3")).unwrap(), 1);
    let index = fs::File::options().write(true).open(bench.index_file()).unwrap();
    index.write_all_at(&header, 0).unwrap();
    assert_eq!(next(&mut bench.pool(), RANGE, None, &[], "c5"), Some(ip("10.1.0.3")));
}

#[test]
fn an_index_may_be_missing_old_or_damaged() {
    let bench = three();
    let good = fs::read(bench.index_file()).unwrap();
    check(&bench, "good");
    fs::write(bench.index_file(), &good).unwrap();
    check(&bench, "older");
    fs::remove_dir_all(bench.root.path().join("run")).unwrap();
    check(&bench, "deleted");
    for size in [0, 1, 1023, 1024, 5000] {
        fs::write(bench.index_file(), &good[..size]).unwrap();
        check(&bench, "cut");
    }
    fs::write(bench.index_file(), vec![0xa5; good.len()]).unwrap();
    check(&bench, "garbage");
    fs::write(bench.index_file(), vec![0; good.len()]).unwrap();
    check(&bench, "zeros");
}

#[test]
fn damage_behind_a_good_header_is_seen() {
    let bench = three();
    let size = fs::metadata(bench.index_file()).unwrap().size();
    for damage in [vec![0; 1024], vec![0xff; 1024]] {
        // All pages but the header, so that those that matter are among them.
        let index = fs::File::options().write(true).open(bench.index_file()).unwrap();
        for page in 1..size / 1024 {
            index.write_all_at(&damage, page * 1024).unwrap();
        }
        check(&bench, "damaged pages");
    }
}

#[test]
fn an_index_that_vanishes_under_an_open_pool_is_no_trouble() {
    let bench = three();
    let mut pool = bench.pool();
    assert_eq!(pool.find(&owner("c1")).unwrap(), [ip("10.1.0.1")]);
    fs::remove_dir_all(bench.index()).unwrap();
    assert_eq!(next(&mut pool, RANGE, None, &[], "c4"), Some(ip("10.1.0.4")));
    assert_eq!(pool.find(&owner("c4")).unwrap(), [ip("10.1.0.4")]);
    assert_eq!(pool.release(&owner("c4")).unwrap(), 1);
    drop(pool);
    check(&bench, "after");
}

#[test]
fn hostile_things_in_place_of_the_index_are_not_touched() {
    let bench = three();
    let victim = bench.root.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    for name in ["index", "index.new"] {
        let path = bench.index().join(name);
        let _ = fs::remove_file(&path);
        symlink(&victim, &path).unwrap();
        check(&bench, "a link");
        let _ = fs::remove_file(&path);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        check(&bench, "a FIFO");
        let _ = fs::remove_file(&path);
        fs::create_dir(&path).unwrap();
        check(&bench, "a directory");
        fs::remove_dir(&path).unwrap();
        check(&bench, "nothing");
    }
    let elsewhere = bench.root.path().join("elsewhere");
    fs::rename(bench.index(), &elsewhere).unwrap();
    symlink(&elsewhere, bench.index()).unwrap();
    check(&bench, "a linked directory");
    fs::remove_file(bench.index()).unwrap();
    fs::write(bench.index(), "").unwrap();
    check(&bench, "a file in place of the directory");
    assert_eq!(fs::read(&victim).unwrap(), b"precious");
}

#[test]
fn a_directory_that_others_can_write_to_is_not_believed() {
    let bench = three();
    fs::set_permissions(bench.index(), fs::Permissions::from_mode(0o777)).unwrap();
    let before = fs::read(bench.index_file()).unwrap();
    check(&bench, "open to all");
    assert_eq!(fs::read(bench.index_file()).unwrap(), before);
}

#[test]
fn the_index_of_another_directory_is_not_believed() {
    let bench = three();
    let other = bench.root.path().join("networks/net2");
    let mut pool = Pool::open(&other, &bench.index(), None).unwrap();
    assert_eq!(pool.find(&owner("c1")).unwrap(), [] as [IpAddr; 0]);
    assert_eq!(next(&mut pool, RANGE, None, &[], "c9"), Some(ip("10.1.0.1")));
    drop(pool);
    check(&bench, "back");
}

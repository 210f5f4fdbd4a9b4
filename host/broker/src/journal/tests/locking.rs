//! One process at a time, and never a file that was removed.

use std::time::{Duration, Instant};

use super::*;

#[test]
fn who_cannot_wait_hears_that_it_is_busy() {
    let bench = Bench::new();
    let held = bench.create();
    let error = bench.store.find(&key("n"), &Patience::NONE).unwrap_err();
    assert!(matches!(error, JournalError::Busy { .. }), "{error}");
    assert!(bench.store.list().unwrap()[0].busy);
    drop(held);
    assert!(!bench.store.list().unwrap()[0].busy);
}

#[test]
fn a_signal_ends_the_wait() {
    let bench = Bench::new();
    let _held = bench.create();
    let until = || Instant::now() + Duration::from_mins(1);
    let patience = Patience { until: &until, interrupted: &|| Some("SIGTERM") };
    let error = bench.store.create(&key("n"), &patience).unwrap_err();
    assert!(error.to_string().contains("SIGTERM"), "{error}");
}

#[test]
fn a_file_that_was_removed_meanwhile_is_not_used() {
    let bench = Bench::new();
    let held = bench.create();
    let until = || Instant::now() + Duration::from_mins(1);
    let waiting = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        let store = &bench.store;
        let other = scope.spawn(|| {
            let told = std::cell::Cell::new(false);
            let interrupted = || {
                // Asked for the first time when the lock was found taken: from now on the file may go.
                if !told.replace(true) {
                    waiting.wait();
                }
                None
            };
            let mut held =
                store.create(&key("n"), &Patience { until: &until, interrupted: &interrupted }).unwrap();
            held.begin(&begin(&key("n"))).unwrap();
        });
        waiting.wait();
        held.remove().unwrap();
        other.join().unwrap();
    });
    assert!(bench.find().unwrap().record().pending().is_some(), "it wrote into the file that has the name");
}

#[test]
fn something_else_of_that_name_is_not_touched() {
    let bench = Bench::new();
    let path = bench.create().path().to_owned();
    let target = path.with_file_name("target");
    std::fs::write(&target, "precious").unwrap();
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let error = bench.store.create(&key("n"), &Patience::NONE).unwrap_err();
    assert!(error.to_string().contains("symbolic link"), "{error}");
    assert_eq!(std::fs::read_to_string(&target).unwrap(), "precious");
    std::fs::remove_file(&path).unwrap();
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let error = bench.store.create(&key("n"), &Patience::NONE).unwrap_err();
    assert!(error.to_string().contains("regular file"), "{error}");
}

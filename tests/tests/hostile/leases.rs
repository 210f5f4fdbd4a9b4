//! Address managers that reach for what is not their attachment's.

use std::time::{Duration, Instant};

use wharf_tests::json;

use crate::hostile::Stage;

#[test]
fn other_leases() {
    let mut stage = Stage::new("other-leases");
    stage.config = json!({"ipam": {"type": "other-leases"}});
    stage.add_fails(200, &["denied"]);
}

#[test]
fn other_owner() {
    let stage = Stage::new("other-owner");
    std::fs::create_dir_all(stage.node.leases("net")).unwrap();
    std::fs::write(stage.node.leases("net").join("10.1.0.66"), "other\r\neth0").unwrap();
    let owners = ["denied"; 12].join(" ");
    let text = stage.call("ADD").error(200);
    assert!(text.starts_with(&format!("busy {owners} done;")), "{text}");
    assert_eq!(
        stage.node.leased("net"),
        ["10.1.0.66"],
        "the own address was given back, the other one stays"
    );
}

#[test]
fn kept_lock() {
    let stage = Stage::with_limits("kept-lock", "deadline-ms = 400");
    for _ in 0..2 {
        let started = Instant::now();
        stage.add_fails(903, &["kept-lock: not finished after 400 ms"]);
        assert!(started.elapsed() < Duration::from_secs(20));
    }
    assert_eq!(stage.node.leased("net"), [""; 0]);
}

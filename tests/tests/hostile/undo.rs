//! Guests that fail half-way, and guests that will not clean up.

use crate::hostile::{Stage, imports_nothing_of_wasi};
use wharf_tests::json;

#[test]
fn panic_in_add() {
    imports_nothing_of_wasi("panic-in-add");
    let stage = Stage::new("panic-in-add");
    let words = [
        "panic-in-add: the guest trapped: wasm trap: wasm `unreachable` instruction executed",
        "it said: words before it; ",
        "src/lib.rs:15:9:; hostile words",
    ];
    stage.add_fails(902, &words);
    let log = stage.call("ADD").stderr;
    assert!(log.contains("wharf error panic-in-add: hostile words\n"), "{log}");
    assert!(!log.contains("RUST_BACKTRACE"), "nobody can set it: {log}");
}

#[test]
fn trap_after_operations() {
    for after in 0..=13 {
        let mut stage = Stage::new("trap-after-operations");
        stage.config = json!({"after": after});
        stage.call("ADD").error_naming(902, &["unreachable"]);
        crate::common::assert_undone(&stage.node.dump(), stage.before_node());
        stage.container.dump().assert_same(stage.before_container());
        assert_ne!(stage.node.sysctl("ipv4/conf/lo/rp_filter"), "2", "after {after}");
    }
}

/// An ADD that succeeds, and a guest that fails its DEL with this error: the broker cleans up from the record, and the
/// DEL succeeds. So does the one that comes twice, for there is nothing any more.
#[track_caller]
fn del_fails(how: &str, limits: &str, words: &[&str]) {
    let mut stage = Stage::with_limits("fail-in-del", limits);
    stage.config = json!({"how": how});
    stage.call("ADD").ok();
    assert!(stage.node.dump().mentions("10.1.0.2"), "the ADD made a rule");
    let first = stage.call("DEL");
    assert!(words.iter().all(|word| first.stderr.contains(word)), "{}", first.stderr);
    first.silent();
    crate::common::assert_undone(&stage.node.dump(), stage.before_node());
    let second = stage.call("DEL");
    assert!(words.iter().all(|word| second.stderr.contains(word)), "{}", second.stderr);
    second.silent();
    crate::common::assert_undone(&stage.node.dump(), stage.before_node());
}

#[test]
fn fail_in_del() {
    del_fails("by-panic", "", &["fail-in-del: the guest trapped", "hostile words in del"]);
    del_fails("by-error", "", &["I will not", "guest: fail-in-del sha256:"]);
    del_fails("by-loop", "deadline-ms = 400", &["fail-in-del: not finished after 400 ms"]);
}

#[test]
fn trap_at_start() {
    Stage::new("trap-at-start").add_fails(902, &["trap-at-start: the guest trapped", "unreachable"]);
}

//! Guests that take more than they are given: time, stack, memory, tables, operations, log, messages.

use std::time::{Duration, Instant};

use crate::hostile::Stage;

/// Too short for anybody to notice, and long enough for a guest to be started on a busy machine.
const SHORT: &str = "deadline-ms = 400";

/// The ADD ends at the deadline, and not much later.
#[track_caller]
fn ends_in_time(name: &str) {
    let stage = Stage::with_limits(name, SHORT);
    let started = Instant::now();
    stage.add_fails(903, &[name, "not finished after 400 ms"]);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn loop_for_ever() {
    ends_in_time("loop-for-ever");
}

#[test]
fn loop_at_start() {
    ends_in_time("loop-at-start");
}

#[test]
fn ask_for_ever() {
    let stage = Stage::with_limits("ask-for-ever", "deadline-ms = 400\noperations = 4000000000");
    stage.add_fails(903, &["ask-for-ever", "not finished after 400 ms"]);
}

#[test]
fn sleep_for_ever() {
    ends_in_time("sleep-for-ever");
}

#[test]
fn deep_recursion() {
    Stage::new("deep-recursion")
        .add_fails(904, &["deep-recursion: the guest's calls nest too deep: its stack is used up"]);
}

#[test]
fn memory_growth() {
    for mib in [4, 64] {
        let stage = Stage::with_limits("memory-growth", &format!("memory-mib = {mib}"));
        stage.add_fails(904, &["bytes of memory, its limit is", &(mib << 20).to_string()]);
    }
}

#[test]
fn memory_at_start() {
    Stage::new("memory-at-start")
        .add_fails(904, &["the guest asked for 4294967296 bytes of memory, its limit is 67108864"]);
}

#[test]
fn many_memories() {
    Stage::new("many-memories").add_fails(904, &["resource limit exceeded: memory count too high"]);
}

#[test]
fn table_growth() {
    Stage::new("table-growth").add_fails(904, &["table elements, its limit is 65536"]);
}

#[test]
fn table_at_start() {
    Stage::new("table-at-start")
        .add_fails(904, &["the guest asked for 10000000 table elements, its limit is 65536"]);
}

#[test]
fn huge_result() {
    // Whichever limit comes first.
    Stage::new("huge-result").add_fails(904, &["bytes of memory, its limit is 67108864"]);
    Stage::with_limits("huge-result", "memory-mib = 256")
        .add_fails(904, &["the guest handed over more than 8388608 bytes in one call"]);
}

#[test]
fn million_interfaces() {
    Stage::with_limits("million-interfaces", "memory-mib = 512")
        .add_fails(904, &["the guest handed over more than 8388608 bytes in one call"]);
}

#[test]
fn huge_argument() {
    Stage::with_limits("huge-argument", "memory-mib = 512")
        .add_fails(904, &["the guest handed over more than 8388608 bytes in one call"]);
}

#[test]
fn ten_thousand_operations() {
    Stage::new("ten-thousand-operations").add_fails(904, &["more than 4096 operations"]);
    let stage = Stage::with_limits("ten-thousand-operations", "operations = 10000");
    stage.call("ADD").ok();
    stage.only_a_record_is_left();
}

#[test]
fn huge_log_line() {
    let stage = Stage::with_limits("huge-log-line", "log-bytes = 1000");
    let outcome = stage.call("ADD");
    assert!(outcome.stderr.len() < 2000, "{} bytes", outcome.stderr.len());
    assert!(!outcome.stderr.contains('\x1b'), "a terminal would obey: {:?}", outcome.stderr);
    assert!(outcome.stderr.lines().all(|line| line.starts_with("wharf ")), "{:?}", outcome.stderr);
    assert!(outcome.stderr.contains("limit") && !outcome.stderr.contains("after"), "{:?}", outcome.stderr);
    outcome.ok();
    stage.only_a_record_is_left();
}

#[test]
fn log_flood() {
    let stage = Stage::with_limits("log-flood", "log-bytes = 5000");
    let outcome = stage.call("ADD");
    assert!(outcome.stderr.contains("line 0") && outcome.stderr.contains("limit"), "{}", outcome.stderr);
    assert!(outcome.stderr.len() < 25_000, "{} bytes", outcome.stderr.len());
    outcome.ok();
    stage.only_a_record_is_left();
}

#[test]
fn denial_flood() {
    let stage = Stage::with_limits("denial-flood", "log-bytes = 5000");
    let outcome = stage.call("ADD");
    let log = &outcome.stderr;
    assert!(log.contains("cannot be the name of a link") && log.contains("further denials"), "{log}");
    assert!(log.len() < 15_000, "{} bytes", log.len());
    assert!(log.contains("a word"), "what it is denied is not taken off its own lines: {log}");
    outcome.ok();
    stage.only_a_record_is_left();
}

#[test]
fn stdout_flood() {
    let stage = Stage::with_limits("stdout-flood", "log-bytes = 5000");
    let outcome = stage.call("ADD");
    assert!(outcome.stderr.len() < 25_000, "{} bytes", outcome.stderr.len());
    // Standard output belongs to the protocol: what the guest prints never gets there.
    assert_eq!(outcome.ok(), wharf_tests::json!({"cniVersion": "1.1.0"}));
    stage.only_a_record_is_left();
}

#[test]
fn ten_thousand_interfaces() {
    let stage = Stage::new("ten-thousand-interfaces");
    let result = stage.call("ADD").ok();
    assert_eq!(result["interfaces"].as_array().unwrap().len(), 10_000);
    stage.only_a_record_is_left();
}

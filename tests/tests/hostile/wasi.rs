//! Guests that try to reach the world without asking the host.

use crate::hostile::{Stage, imports_nothing_of_wasi};
use wharf_tests::json;

#[test]
fn sockets() {
    Stage::new("sockets").add_fails(
        200,
        &["connect PermissionDenied", "listen PermissionDenied", "datagrams PermissionDenied"],
    );
}

#[test]
fn lookup() {
    Stage::new("lookup").add_fails(200, &["Err("]);
}

#[test]
fn filesystem() {
    Stage::new("filesystem")
        .add_fails(200, &["read failed; write failed; list failed; stat failed; link failed"]);
    assert!(!std::path::Path::new("/tmp/pwned").exists());
}

#[test]
fn environment() {
    Stage::new("environment").add_fails(
        200,
        &["time Ok(0); stopwatch 0ns; variables 0; CNI_PATH None; arguments 0; input Some(0)"],
    );
}

#[test]
fn exit() {
    Stage::new("exit").add_fails(902, &["exit: the guest trapped: the guest called exit with code 0"]);
}

#[test]
fn printed_words() {
    imports_nothing_of_wasi("printed-words");
    let stage = Stage::new("printed-words");
    let config = json!({"cniVersion": "1.1.0", "name": "net", "type": "printed-words"});
    let target = stage.target();
    let mut env = target.env("ADD");
    env.push(("WHARF_LOG", "info"));
    let outcome = stage.node.exec("wharf", &env, config.to_string().as_bytes());
    let lines: Vec<_> = outcome.stderr.lines().filter(|line| line.contains("printed-words:")).collect();
    let long = format!("wharf warn printed-words: {}é", "x".repeat(4093));
    let told = [
        "wharf info printed-words: to the standard output",
        "wharf warn printed-words: in pieces, one line",
        &long,
        "wharf warn printed-words: éyyyyyyyyyy",
        "wharf warn printed-words: without an end",
    ];
    assert_eq!(lines, told);
    assert_eq!(outcome.ok(), json!({"cniVersion": "1.1.0"}));
    stage.only_a_record_is_left();
}

//! Guests that try to reach the world without asking the host.

use crate::hostile::Stage;

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

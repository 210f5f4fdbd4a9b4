//! Guests that pass the host what they never got, and what is no value.

use crate::hostile::Stage;

#[test]
fn forged_handle() {
    Stage::new("forged-handle")
        .add_fails(902, &["forged-handle: the guest trapped: unknown handle index 4711"]);
}

#[test]
fn stale_handle() {
    Stage::new("stale-handle").add_fails(902, &["the guest trapped: unknown handle index"]);
}

#[test]
fn borrowed_as_link() {
    Stage::new("borrowed-as-link")
        .add_fails(902, &["the guest trapped: handle index", "used with the wrong type"]);
}

#[test]
fn kept_namespace() {
    Stage::new("kept-namespace").add_fails(902, &["the guest trapped: unknown handle index"]);
}

#[test]
fn invalid_utf8() {
    Stage::new("invalid-utf8").add_fails(902, &["the guest trapped: invalid utf-8"]);
}

#[test]
fn invalid_utf8_result() {
    Stage::new("invalid-utf8-result").add_fails(902, &["the guest trapped: invalid utf-8"]);
}

#[test]
fn enormous_list() {
    Stage::new("enormous-list")
        .add_fails(902, &["the guest trapped: string pointer/length out of bounds of memory"]);
}

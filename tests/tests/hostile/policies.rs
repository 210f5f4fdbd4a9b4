//! Policies that trap, hang, talk too much or want more than they may: the ADD of an honest plugin is denied, and undone.

use std::fs;
use std::time::{Duration, Instant};

use wharf_tests::Outcome;

use crate::common::{assert_undone, layer2};
use crate::hostile::Stage;

/// The ADD of a bridge, under this policy alone.
fn add(stage: &Stage) -> Outcome {
    let settings = format!("policies = [{:?}]\n", stage.name);
    fs::write(stage.node.root().join("etc/cni/wharf.toml"), settings).unwrap();
    wharf_tests::Network::new(&stage.node, [layer2(wharf_tests::json!({}))]).add(&stage.target())
}

/// It is denied with these words behind the policy's name, and nothing is left.
#[track_caller]
fn denied(stage: &Stage, words: &[&str]) -> String {
    let text = add(stage).error(901);
    let name = format!("policy {:?} ", stage.name);
    for word in words.iter().chain([&name.as_str()]) {
        assert!(text.contains(word), "the error does not name {word:?}: {text}");
    }
    assert_undone(&stage.node.dump(), stage.before_node());
    stage.container.dump().assert_same(stage.before_container());
    text
}

#[track_caller]
fn denied_in_time(name: &str, what: &str) {
    let stage = Stage::with_limits(name, "deadline-ms = 2000");
    let started = Instant::now();
    denied(&stage, &[what, "no answer within 2000 ms"]);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[test]
fn policy_panics() {
    denied(
        &Stage::new("policy-panics"),
        &["cannot judge links/ensure-bridge of bridge", "it trapped", "a bridge too far"],
    );
}

#[test]
fn policy_hangs() {
    denied_in_time("policy-hangs", "the result");
}

#[test]
fn policy_hangs_at_once() {
    denied_in_time("policy-hangs-at-once", "the ADD");
}

#[test]
fn policy_grows() {
    denied(&Stage::new("policy-grows"), &["bytes of memory, its limit is 67108864"]);
}

#[test]
fn policy_rambles() {
    let text =
        denied(&Stage::new("policy-rambles"), &["denies links/ensure-bridge of bridge", "no, and again no"]);
    assert!(text.len() < 1500 && !text.contains('\u{1b}'), "{} bytes: {text}", text.len());
}

#[test]
fn policy_usurps() {
    denied(
        &Stage::new("policy-usurps"),
        &["cannot judge the configuration of bridge", "its patch changes", "which no policy can"],
    );
}

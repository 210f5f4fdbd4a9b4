//! Policies that trap, hang, talk too much or want more than they may: the ADD of an honest plugin is denied, and undone.

use std::fs;
use std::time::{Duration, Instant};

use wharf_tests::install::{self, wharfctl};
use wharf_tests::{Outcome, json, sh};

use crate::common::{assert_undone, layer2};
use crate::hostile::{Stage, imports_nothing_of_wasi};

/// The ADD of a bridge, under this policy alone.
fn add(stage: &Stage) -> Outcome {
    let settings = format!("policies = [{:?}]\n", stage.name);
    fs::write(stage.node.root().join("etc/cni/wharf.toml"), settings).unwrap();
    wharf_tests::Network::new(&stage.node, [layer2(json!({}))]).add(&stage.target())
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
    imports_nothing_of_wasi("policy-panics");
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
    let stage = Stage::new("policy-rambles");
    let text = denied(&stage, &["denies links/ensure-bridge of bridge", "no, and again no"]);
    assert!(text.len() < 1500 && !text.contains('\u{1b}'), "{} bytes: {text}", text.len());
    let log = add(&stage).stderr;
    assert!(log.contains("words without an end\n"), "{log}");
}

#[test]
fn policy_usurps() {
    denied(
        &Stage::new("policy-usurps"),
        &["cannot judge the configuration of bridge", "its patch changes", "which no policy can"],
    );
}

#[test]
fn policy_redirects() {
    let words = ["its patch changes \"ipam.type\", which no policy can"];
    denied(&Stage::new("policy-redirects"), &words);
}

#[test]
fn policy_leaks() {
    let stage = Stage::new("policy-leaks");
    let root = stage.node.root();
    fs::create_dir_all(root.join("var/log")).unwrap();
    add(&stage).ok();
    let shown = sh::run(wharfctl(&root).args(["journal", "show"]));
    assert!(shown.contains("\"apiToken\":\"[redacted]\"") && shown.contains("\"mtu\":1400"), "{shown}");
    // Whoever else repeats it: here somebody's line in the log.
    let settings = format!("policies = [{:?}]\n[log]\nto = '/var/log/wharf.log'\n", stage.name);
    fs::write(root.join("etc/cni/wharf.toml"), settings).unwrap();
    fs::write(root.join("var/log/wharf.log"), "a token of hunter2-patch\n").unwrap();
    let tar = stage.node.folder("bundle").join("bundle.tar");
    stage.node.run(|| sh::run(wharfctl(&root).arg("support").arg("--output").arg(&tar)));
    let bundle = fs::read(&tar).unwrap();
    let bundle = String::from_utf8_lossy(&bundle);
    assert!(bundle.contains("a token of [redacted]"));
    let json = sh::run(wharfctl(&root).args(["journal", "show", "--json"]));
    for text in [shown.as_str(), json.as_str(), &bundle] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn swallowed_limit() {
    let mut stage = Stage::new("swallowed-limit");
    let root = stage.node.root();
    sh::run(wharfctl(&root).arg("add").arg(install::policies().join("bandwidth-required.wasm")));
    stage.config = json!({"type": "wharf", "chain": [{"type": "swallowed-limit"}]});
    let settings = root.join("etc/cni/wharf.toml");
    fs::write(&settings, "").unwrap();
    stage.call("ADD").ok();
    stage.call("DEL").silent();
    fs::write(&settings, "policies = ['bandwidth-required']\n").unwrap();
    let words = ["policy \"bandwidth-required\" denies the result: the pod has no limit on its bandwidth"];
    stage.add_fails(901, &words);
}

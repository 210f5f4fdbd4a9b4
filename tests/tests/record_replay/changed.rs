//! What is said when a guest, or the recording, is another one.

use std::fs;
use std::path::{Path, PathBuf};

use wharf_tests::install::Binaries;
use wharf_tests::{Value, json};

use super::{Recorded, fails, read, replay, succeeds};

/// A recording to be changed.
struct Changed {
    recorded: Recorded,
    original: Value,
}

impl Changed {
    fn new() -> Self {
        let recorded = Recorded::new("nftables", true, &[]);
        let original = read(&recorded.file);
        Self { recorded, original }
    }

    /// The bridge's operations.
    fn operations(&self) -> &Vec<Value> {
        self.original["calls"][0]["operations"].as_array().unwrap()
    }

    /// The first operation of such a kind, from 0.
    fn at(&self, interface: &str, function: &str) -> usize {
        let is = |exchange: &Value| exchange["op"]["kernel"][interface].get(function).is_some();
        self.operations().iter().position(is).unwrap()
    }

    /// The file with other operations of the bridge.
    fn with(&self, change: impl FnOnce(&mut Vec<Value>)) -> PathBuf {
        let mut recording = self.original.clone();
        change(recording["calls"][0]["operations"].as_array_mut().unwrap());
        let file = self.recorded.file.with_extension("changed");
        fs::write(&file, recording.to_string()).unwrap();
        file
    }

    /// Both ways of replaying it fail with these words.
    #[track_caller]
    fn diverges(&self, file: &Path, words: &str) {
        for mode in [&[][..], &["--lenient"]] {
            let said = fails(&replay(&self.recorded.node, file, mode), words);
            assert!(said.contains("1 of 4 calls diverge from the recording"), "{said}");
            assert_eq!(said.matches("\nok ").count(), 3, "the others are as they were: {said}");
        }
    }
}

#[test]
fn an_operation_that_is_not_in_the_recording_is_a_surprise() {
    let changed = Changed::new();
    let at = changed.at("link", "create-veth");
    let file = changed.with(|operations| drop(operations.remove(at)));
    changed.diverges(&file, &format!("operation {} is a surprise: links/create-veth a=(", at + 1));
    let json = replay(&changed.recorded.node, &file, &["--json"]);
    let calls: Value = serde_json::from_slice(&json.stdout).unwrap();
    let divergence = &calls[0]["divergence"];
    assert_eq!((&divergence["kind"], &divergence["operation"]), (&json!("surprise"), &json!(at + 1)));
    let diff = divergence["diff"].as_str().unwrap();
    assert!(diff.contains("+     \"link\": {\n+       \"create-veth\": {"), "{diff}");
    let then = divergence["then"].as_str().unwrap();
    assert!(then.contains("the recording has no answer to this"), "{then}");
}

#[test]
fn an_operation_that_nobody_asks_for_is_left_over() {
    let changed = Changed::new();
    let at = changed.at("link", "create-veth");
    let extra = json!({
        "op": {"kernel": {"link": {"set-mtu": {"link": {"ns": "host", "index": 9, "name": "x"}, "mtu": 9000}}}},
        "reply": "done",
    });
    let file = changed.with(|operations| operations.insert(at, extra.clone()));
    changed.diverges(
        &file,
        &format!(
            "operation {} of the recording is left over: links/set-mtu is not asked for, but operation {}, \
             links/create-veth a=(",
            at + 1,
            at + 2
        ),
    );
    let file = changed.with(|operations| operations.push(extra));
    let last = changed.operations().len() + 1;
    changed.diverges(
        &file,
        &format!(
            "operation {last} of the recording is left over: the guest ends without links/set-mtu link=host:x#9 mtu=9000"
        ),
    );
}

#[test]
fn a_value_that_differs_is_shown() {
    let changed = Changed::new();
    let at = changed.at("address", "add");
    let file = changed.with(|operations| {
        operations[at]["op"]["kernel"]["address"]["add"]["address"] = "10.1.0.77/24".into();
    });
    changed.diverges(&file, &format!("operation {} is a surprise: addresses/add address=", at + 1));
    let said =
        fails(&replay(&changed.recorded.node, &file, &[]), "    -         \"address\": \"10.1.0.77/24\"");
    assert!(said.contains("    +         \"address\": \"10.1.0."), "{said}");
}

#[test]
fn reads_in_another_order_are_good_enough_for_a_lenient_replay() {
    let changed = Changed::new();
    // Asked for as long as nothing was changed in between, so that either has the same answer.
    let names = changed.operations().iter().map(|exchange| {
        let op = exchange["op"].to_string();
        ["\"get", "\"info", "\"read", "\"detect"].iter().any(|read| op.contains(read))
    });
    let reads: Vec<bool> = names.collect();
    let at = reads.windows(2).position(|pair| pair == [true, true]).expect("two reads, one after the other");
    let file = changed.with(|operations| operations.swap(at, at + 1));
    let node = &changed.recorded.node;
    fails(&replay(node, &file, &[]), &format!("operation {} of the recording is left over", at + 1));
    succeeds(&replay(node, &file, &["--lenient"]));
    // One that nobody asks for matters only strictly.
    let file = changed.with(|operations| operations.insert(at, operations[at].clone()));
    fails(&replay(node, &file, &[]), "is left over");
    succeeds(&replay(node, &file, &["--lenient"]));
}

#[test]
fn another_end_is_told() {
    let changed = Changed::new();
    let mut recording = changed.original.clone();
    recording["calls"][0]["outcome"] =
        json!({"failure": {"Guest": {"code": 7, "msg": "no bridge today", "details": null}}});
    let file = changed.recorded.file.with_extension("changed");
    fs::write(&file, recording.to_string()).unwrap();
    changed.diverges(
        &file,
        "the call comes to another end: the guest's error 7: no bridge today was recorded, and now it is a result",
    );
}

#[test]
fn another_guest_is_told_and_diverges_where_it_does_something_else() {
    let changed = Changed::new();
    let Recorded { node, file, .. } = &changed.recorded;
    let guests = &Binaries::get().guests;
    // Of another digest, but it does the same.
    let mut wasm = fs::read(guests.join("bridge.wasm")).unwrap();
    // A custom section: its id, its length, the length of its name, its name.
    wasm.extend([0, 5, 4, b'n', b'o', b't', b'e']);
    let same = node.folder("recordings").join("same.wasm");
    fs::write(&same, wasm).unwrap();
    let said = succeeds(&replay(node, file, &["--guest", &format!("bridge={}", same.display())]));
    assert!(said.contains("another guest: sha256:") && said.contains(" was recorded"), "{said}");
    assert_eq!(said.matches("another guest").count(), 1, "{said}");

    let other = guests.join("loopback.wasm");
    let said = fails(
        &replay(node, file, &["--guest", &format!("bridge={}", other.display())]),
        "operation 1 is a surprise: links/get name=lo ns=container; the recording has ",
    );
    assert!(said.contains("DIVERGES  1 bridge") && said.contains("another guest: sha256:"), "{said}");
    assert!(said.contains("the call then came to this end: the guest's error "), "{said}");
}

#[test]
fn a_guest_that_never_ends_is_ended() {
    let changed = Changed::new();
    let mut recording = changed.original.clone();
    recording["calls"][0]["limits"]["deadline-ms"] = 300.into();
    recording["calls"][0]["limits"]["operations"] = 50.into();
    let Recorded { node, file, .. } = &changed.recorded;
    let file = file.with_extension("short");
    fs::write(&file, recording.to_string()).unwrap();
    let guest = |name: &str| {
        let path = node.folder("recordings").join(name).with_extension("wasm");
        fs::write(&path, crate::hostile::component(name)).unwrap();
        format!("bridge={}", path.display())
    };
    let said = fails(
        &replay(node, &file, &["--guest", &guest("loop-for-ever")]),
        "operation 1 of the recording is left over",
    );
    assert!(said.contains("the call then came to this end: not finished in time"), "{said}");
    let said = fails(&replay(node, &file, &["--guest", &guest("ask-for-ever")]), "is a surprise");
    assert!(said.contains("more than 50 operations") || said.contains("not finished in time"), "{said}");
}

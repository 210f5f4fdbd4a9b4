//! The journal as its callers see it.

mod damage;
mod locking;

use wharf_ops::links::{Common, LinkOp};
use wharf_ops::{Attachment, KernelOp, Link, Ns};

use super::*;
use crate::Paths;
use crate::flock::Patience;

fn key(network: &str) -> Key {
    let attachment = Attachment { network: network.into(), container: "c1".into(), ifname: "eth0".into() };
    Key { attachment, entry: "bridge".into() }
}

fn begin(key: &Key) -> Begin {
    let netns = Some(NetnsId { path: "/run/netns/x".into(), device: 4, inode: 7, cookie: Some(9) });
    Begin { netns, plugin_path: vec!["/opt/cni/bin".into()], args: "K=V".into(), ..Begin::of_test(key) }
}

fn effect(name: &str) -> Effect {
    let common = Common { name: name.into(), ..Common::default() };
    let op = KernelOp::Link(LinkOp::CreateIfb { ns: Ns::Host, common });
    let link = Link { ns: Ns::Host, index: 0, name: name.into() };
    Effect::Kernel {
        op,
        undo: vec![Undo { op: KernelOp::Link(LinkOp::Delete { link }), unless_joined: None }],
    }
}

fn commit() -> Commit {
    Commit { time: 1001, result: wharf_ops::call::NetworkResult::default() }
}

/// A directory for journals that goes with the test.
struct Bench {
    _root: tempfile::TempDir,
    store: Store,
}

impl Bench {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = Store::of(&Paths::below(root.path()));
        Self { _root: root, store }
    }

    fn create(&self) -> Held {
        self.store.create(&key("n"), &Patience::NONE).unwrap()
    }

    fn find(&self) -> Option<Held> {
        self.store.find(&key("n"), &Patience::NONE).unwrap()
    }
}

/// Nor are its numbers: the namespace has one.
#[test]
fn no_member_of_a_record_is_taken_for_a_secret() {
    let record = serde_json::json!([begin(&key("n")), effect("ifb0"), commit()]);
    let mut shown = record.clone();
    crate::secrets::scrub(&mut shown);
    assert_eq!(shown, record);
    assert_eq!(record[0]["netns"]["number"], 9);
}

#[test]
fn what_was_written_is_read() {
    let bench = Bench::new();
    let mut held = bench.create();
    let permissions = |path: &std::path::Path| {
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(path).unwrap().permissions()) & 0o777
    };
    assert_eq!((permissions(held.path()), permissions(held.path().parent().unwrap())), (0o600, 0o700));
    held.begin(&begin(&key("n"))).unwrap();
    held.guest(&GuestRun { name: "bridge".into(), digest: "sha256:0".into() }).unwrap();
    held.intent(0, "bridge", &effect("ifb0"), true).unwrap();
    let made = vec![Link { ns: Ns::Host, index: 9, name: "ifb0".into() }];
    held.done(0, &Outcome::Created(made.clone()), true).unwrap();
    held.intent(1, "bridge", &effect("ifb1"), true).unwrap();
    held.intent(2, "bridge", &effect("ifb2"), false).unwrap();
    held.done(2, &Outcome::AlreadySo, false).unwrap();
    drop(held);

    let held = bench.find().unwrap();
    let pending = held.record().pending().unwrap();
    assert_eq!(pending.begin, begin(&key("n")));
    assert_eq!(pending.steps.len(), 2, "what may wait was lost with its process");
    assert_eq!(pending.created().collect::<Vec<_>>(), made.iter().collect::<Vec<_>>());
    assert_eq!(pending.steps[1].outcome, Outcome::Pending);
    assert!(!held.is_whole());
    held.close().unwrap();
    assert!(bench.find().is_none(), "nothing was committed");
}

#[test]
fn a_second_add_is_another_transaction_and_can_be_taken_back() {
    let bench = Bench::new();
    let mut held = bench.create();
    held.begin(&begin(&key("n"))).unwrap();
    held.intent(0, "bridge", &effect("ifb0"), false).unwrap();
    held.commit(&commit()).unwrap();
    drop(held);
    let mut held = bench.create();
    assert!(held.is_whole());
    assert_eq!(held.record().since(), Some(1001));
    assert_eq!(held.record().committed().next().unwrap().steps[0].outcome, Outcome::Done);
    let first = held.record().clone();
    held.begin(&begin(&key("n"))).unwrap();
    held.intent(0, "bridge", &effect("ifb1"), true).unwrap();
    held.commit(&commit()).unwrap();
    // Even after its commit.
    held.close().unwrap();
    let held = bench.find().unwrap();
    assert_eq!(*held.record(), first);
    held.remove().unwrap();
    assert!(bench.find().is_none());
}

#[test]
fn a_renamed_network_is_found_by_the_rest() {
    let bench = Bench::new();
    bench.create().begin(&begin(&key("n"))).unwrap();
    let other = key("renamed");
    assert!(bench.store.find(&other, &Patience::NONE).unwrap().is_none());
    let renamed =
        |key: &Key, is_same: bool| bench.store.find_renamed(key, |_| is_same, &Patience::NONE).unwrap();
    assert_eq!(renamed(&other, true).unwrap().record().attachment().unwrap().network, "n");
    assert!(renamed(&other, false).is_none(), "another network");
    assert!(renamed(&Key { entry: "portmap".into(), ..other }, true).is_none());
}

#[test]
fn a_long_name_is_found_and_listed() {
    let bench = Bench::new();
    let mut long = key("n");
    long.attachment.container = "c".repeat(250);
    let mut held = bench.store.create(&long, &Patience::NONE).unwrap();
    held.begin(&begin(&long)).unwrap();
    held.commit(&commit()).unwrap();
    drop(held);
    let mut renamed = long.clone();
    renamed.attachment.network = "m".into();
    assert!(bench.store.find_renamed(&renamed, |_| true, &Patience::NONE).unwrap().is_some());
    let listed = bench.store.list().unwrap();
    assert_eq!(listed[0].record.attachment(), Some(&long.attachment));
}

#[test]
fn what_is_no_journal_hides_no_other() {
    let bench = Bench::new();
    let mut held = bench.create();
    held.begin(&begin(&key("n"))).unwrap();
    held.commit(&commit()).unwrap();
    let directory = held.path().parent().unwrap().to_owned();
    drop(held);
    let odd = |container: &str| {
        let mut odd = key("n");
        odd.attachment.container = container.into();
        odd
    };
    let mut names = vec!["directory", "socket", "link"];
    std::fs::create_dir(directory.join(odd("directory").file_name())).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(directory.join(odd("socket").file_name())).unwrap();
    std::os::unix::fs::symlink("nowhere", directory.join(odd("link").file_name())).unwrap();
    if nix::unistd::geteuid().is_root() {
        let foreign = directory.join(odd("foreign").file_name());
        std::fs::write(&foreign, "").unwrap();
        std::os::unix::fs::chown(&foreign, Some(4242), None).unwrap();
        names.push("foreign");
    } else {
        eprintln!("not root: a journal of another user was not tried");
    }
    let hashed = format!("blake3-{}", "0".repeat(64));
    std::os::unix::fs::symlink("nowhere", directory.join(&hashed)).unwrap();

    let listing = bench.store.listing().unwrap();
    assert_eq!(listing.journals.len(), 1);
    assert_eq!(listing.odd.len(), names.len() + 1, "{:?}", listing.odd);
    for name in names.iter().copied().chain([hashed.as_str()]) {
        let told = listing.odd.iter().map(ToString::to_string).find(|text| text.contains(name));
        assert!(told.as_ref().is_some_and(|text| text.ends_with("; remove it")), "{name}: {told:?}");
    }
    assert_eq!(bench.store.list().unwrap().len(), 1);
    assert_eq!(bench.store.attachments("n").unwrap().len(), 1 + names.len(), "by their names");
    assert!(bench.store.key_of(&hashed).unwrap().is_none());
    let mut elsewhere = key("renamed");
    let renamed = |key: &Key| bench.store.find_renamed(key, |_| true, &Patience::NONE).unwrap();
    assert!(renamed(&elsewhere).is_some());
    elsewhere.attachment.container = "c9".into();
    assert!(renamed(&elsewhere).is_none());
    for name in names {
        let error = bench.store.find(&odd(name), &Patience::NONE).unwrap_err();
        assert!(matches!(error, JournalError::Foreign { .. }), "{name}: {error}");
    }
}

#[test]
fn one_transaction_cannot_fill_the_memory() {
    let bench = Bench::new();
    let mut held = bench.create();
    held.begin(&begin(&key("n"))).unwrap();
    let large = Effect::Native { plugin: "p".into(), config: "x".repeat(6 << 20) };
    held.intent(0, "bridge", &large, true).unwrap();
    held.intent(1, "bridge", &large, true).unwrap();
    let error = held.intent(2, "bridge", &large, true).unwrap_err();
    assert!(matches!(error, JournalError::Full { .. }), "{error}");
    held.intent(2, "bridge", &effect("ifb0"), true).unwrap();
    drop(held);
    assert_eq!(bench.find().unwrap().record().pending().unwrap().steps.len(), 3);
}

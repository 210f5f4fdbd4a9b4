//! Journals of which nothing can be read, under names that are hashes: nobody can tell whose they are. They go when they
//! are told to, unless somebody works on them, and a GC finds what they owned.
#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "a test")]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use common::attach::masquerade;
use common::{Node, Script, faulty};
use nix::fcntl::{Flock, FlockArg};
use wharf_broker::collect::{Collection, Kind, Report};
use wharf_broker::journal::HEADER;
use wharf_broker::{Paths, Recovered, Unreadable};
use wharf_kernel::{Netns, RealKernel};
use wharf_ops::call::{Answer, NetworkResult};

const ADD: Script = |guest| {
    let done = guest.attempt(masquerade("10.0.0.2"));
    guest.conclude(done.map(|_| Answer::Result(NetworkResult::default())));
};

/// Where the first frame's checksum is.
const CHECKSUM: usize = HEADER.len() + 8;

fn paths(node: &Node) -> Paths {
    Paths::below(node.root.path())
}

/// A node with an attachment of a name that no file can have, and its journal.
fn attached() -> (Node, PathBuf) {
    let mut node = Node::new(None, "");
    node.id = "c".repeat(250).leak();
    let output = node.run("ADD", ADD);
    assert_eq!(output.status, 0, "{output:?}");
    let names = node.journals();
    assert!(names.len() == 1 && names[0].starts_with("blake3-"), "{names:?}");
    let journal = paths(&node).attachments().join(&names[0]);
    (node, journal)
}

fn damage(journal: &Path, at: impl FnOnce(usize) -> usize) {
    let mut bytes = fs::read(journal).unwrap();
    let at = at(bytes.len());
    bytes[at] ^= 0xff;
    fs::write(journal, bytes).unwrap();
}

fn recover(node: &Node, unreadable: Unreadable) -> Vec<Recovered> {
    let recover = || wharf_broker::recover(&paths(node), &faulty::kernel, node.log, unreadable);
    node.host.enter(recover).unwrap().unwrap()
}

/// As `wharfctl gc --network n --all`.
fn collect(node: &Node) -> Report {
    let all =
        Collection { network: "n".into(), valid: Vec::new(), data_dir: None, adopt: false, dry_run: false };
    let collect = || all.run(&paths(node), &mut RealKernel::new(Netns::own().unwrap(), None));
    node.host.enter(collect).unwrap()
}

#[test]
fn one_that_nobody_holds_goes_on_request() {
    let (node, journal) = attached();
    damage(&journal, |_| CHECKSUM);
    let [one]: [Recovered; 1] = recover(&node, Unreadable::Stays).try_into().unwrap();
    assert!(one.damage.is_some() && one.attachment.is_none() && !one.removed, "{one:?}");
    assert!(journal.exists(), "its pod may be running");

    let held = Flock::lock(File::open(&journal).unwrap(), FlockArg::LockExclusive).unwrap();
    assert!(recover(&node, Unreadable::Goes).is_empty(), "a call works on it");
    assert!(journal.exists());
    drop(held);

    let [one]: [Recovered; 1] = recover(&node, Unreadable::Goes).try_into().unwrap();
    assert!(one.removed && one.failures.is_empty() && !one.undone, "{one:?}");
    assert!(node.journals().is_empty());
    assert!(recover(&node, Unreadable::Goes).is_empty());

    let report = collect(&node);
    assert!(report.is_complete() && report.items.iter().any(|item| item.kind == Kind::Rules), "{report:?}");
    assert_eq!(collect(&node), Report::default(), "nothing is left");
}

#[test]
fn one_that_tells_whose_it_is_stays() {
    let (node, journal) = attached();
    damage(&journal, |length| length - 1);
    let [one]: [Recovered; 1] = recover(&node, Unreadable::Goes).try_into().unwrap();
    assert!(one.damage.is_some() && one.attachment.is_some() && !one.removed, "{one:?}");
    assert!(journal.exists(), "a GC of its network knows it");
    collect(&node);
    assert!(node.journals().is_empty());
}

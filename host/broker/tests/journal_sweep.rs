//! Every change of an ADD and of a DEL fails once, or is the last one before the process ends; then one DEL leaves
//! nothing.
#![allow(clippy::unwrap_used, reason = "a test")]

mod common;

use common::attach::{ADD, DEL, LAZY_DEL};
use common::faulty::{What, changes, plan, survive};
use common::{Call, Node, Script, assert_same};

/// EBUSY, EEXIST, ENODEV: something that passes, and what could be taken for success.
const ERRNOS: [i32; 3] = [16, 17, 19];

/// A node that had an attachment before: what is shared is there.
fn used() -> (Node, String) {
    let node = Node::new(None, "");
    let output = node.run("ADD", ADD);
    assert_eq!(output.status, 0, "{output:?}");
    assert_eq!(node.journals(), ["c1:eth0:g:n"]);
    let output = node.run("DEL", LAZY_DEL);
    assert_eq!(output.status, 0, "{output:?}");
    let dump = node.dump();
    (node, dump)
}

/// How many changes a call makes.
fn count(node: &Node, command: &str, script: Script) -> u32 {
    plan(None);
    let output = node.run(command, script);
    assert_eq!(output.status, 0, "{output:?}");
    changes()
}

fn all() -> impl Iterator<Item = What> {
    ERRNOS.into_iter().map(What::Errno).chain([What::EndBefore, What::EndAfter])
}

#[test]
fn an_add_that_fails_or_ends_anywhere() {
    let (node, before) = used();
    let total = count(&node, "ADD", ADD);
    assert!(total > 15, "{total}");
    assert_eq!(node.run("DEL", LAZY_DEL).status, 0);
    assert_same(&node.dump(), &before, "after a plain DEL");
    for at in 1..=total {
        for what in all() {
            let context = format!("change {at}: {what:?}");
            plan(Some((at, what)));
            let output = survive(|| node.run("ADD", ADD));
            match (&output, what) {
                (Some(output), What::Errno(_)) => {
                    if output.status == 1 {
                        assert_same(&node.dump(), &before, &format!("{context}: {output:?}"));
                    }
                }
                (None, What::EndBefore | What::EndAfter) => {
                    assert_eq!(node.journals().len(), 1, "{context}");
                }
                (output, _) => panic!("{context}: {output:?}"),
            }
            let output = node.run("DEL", LAZY_DEL);
            assert_eq!(output.status, 0, "{context}: {output:?}");
            assert_same(&node.dump(), &before, &context);
        }
    }
}

#[test]
fn a_del_that_fails_or_ends_anywhere() {
    let (node, before) = used();
    for script in [DEL, LAZY_DEL] {
        assert_eq!(node.run("ADD", ADD).status, 0);
        let total = count(&node, "DEL", script);
        assert_same(&node.dump(), &before, "after a plain DEL");
        for at in 1..=total {
            for what in all() {
                let context = format!("change {at}: {what:?}");
                assert_eq!(node.run("ADD", ADD).status, 0, "{context}");
                plan(Some((at, what)));
                survive(|| node.run("DEL", script));
                let output = node.run("DEL", script);
                assert_eq!(output.status, 0, "{context}: {output:?}");
                assert_same(&node.dump(), &before, &context);
            }
        }
    }
}

#[test]
fn a_repair_that_ends_anywhere() {
    let (node, before) = used();
    let total = count(&node, "ADD", ADD);
    assert_eq!(node.run("DEL", LAZY_DEL).status, 0);
    // The ADD ends after its last change; then the repair of that ends too, at each of its changes.
    for at in 1..=total {
        for what in all() {
            plan(Some((total, What::EndAfter)));
            assert!(survive(|| node.run("ADD", ADD)).is_none());
            plan(Some((at, what)));
            survive(|| node.host.enter(|| node.broker(LAZY_DEL).recover()).unwrap().unwrap());
            node.host.enter(|| node.broker(LAZY_DEL).recover()).unwrap().unwrap();
            assert_same(&node.dump(), &before, &format!("change {at}: {what:?}"));
        }
    }
}

#[test]
fn a_fresh_node_is_as_fresh_after_an_add_that_ended() {
    let node = Node::new(None, "");
    let links = || node.shell("ip -br link | awk '{ print $1 }'");
    let before = links();
    plan(None);
    let total = {
        let other = Node::new(None, "");
        count(&other, "ADD", ADD)
    };
    for at in 1..=total {
        for what in [What::EndBefore, What::EndAfter] {
            plan(Some((at, what)));
            // Switches of the host that are on by now are no changes any more.
            let ended = survive(|| node.run("ADD", ADD)).is_none();
            assert!(ended || at + 2 > total, "change {at} of {total}");
            let call = Call { netns: None, ..Call::of(&node, "DEL") };
            assert_eq!(node.call(&call, LAZY_DEL).status, 0);
            if ended {
                assert_eq!(links(), before, "change {at}: {what:?}");
            }
            assert!(node.journals().is_empty());
        }
    }
}

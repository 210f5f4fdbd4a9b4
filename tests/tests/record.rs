//! The record of an attachment: what DEL and GC do with it when everything else is missing, and what `wharfctl` shows.

use std::fs;
use std::path::PathBuf;

use wharf_tests::install::wharfctl;
use wharf_tests::{Node, Value, json, sh};

use crate::common::scene::{Scene, everywhere, scene};

fn journals(node: &Node) -> Vec<PathBuf> {
    wharf_tests::node::files(&node.root().join("run/wharf/attachments"))
}

fn remove_guests(node: &Node) {
    fs::remove_dir_all(node.root().join("var/lib/wharf/guests")).unwrap();
}

#[test]
fn an_attachment_has_a_journal_per_process_and_a_del_takes_it() {
    for as_chain in [false, true] {
        let node = Node::new();
        let Scene { attachment, container, .. } = scene(&node, "nftables", as_chain);
        let expected: &[&str] = if as_chain {
            &["c:eth0:wharf:net"]
        } else {
            &["c:eth0:bandwidth:net", "c:eth0:bridge:net", "c:eth0:portmap:net"]
        };
        assert_eq!(journals(&node), expected.iter().map(PathBuf::from).collect::<Vec<_>>());
        attachment.del().silent();
        assert!(journals(&node).is_empty());
        drop(container);
    }
}

#[test]
fn without_any_guest_a_del_still_leaves_nothing() {
    everywhere(|node, Scene { container, attachment, before }| {
        remove_guests(node);
        attachment.del().silent();
        node.dump().assert_same(&before);
        assert_eq!(container.links(), ["lo"]);
    });
}

#[test]
fn without_guests_and_namespace_too() {
    everywhere(|node, Scene { container, attachment, before }| {
        remove_guests(node);
        drop(container);
        attachment.network.del(&attachment.target.clone().without_netns(), None).silent();
        node.dump().assert_same(&before);
    });
}

#[test]
fn under_another_name_of_the_network() {
    everywhere(|node, Scene { container, attachment, before }| {
        let renamed = attachment.network.clone().named("renamed");
        renamed.del(&attachment.target, Some(&attachment.result)).silent();
        node.dump().assert_same(&before);
        assert_eq!(container.links(), ["lo"]);
    });
}

#[test]
fn a_namespace_that_is_another_containers_is_not_touched() {
    // plugins#714: the runtime's path leads to a new container that has an eth0 of its own.
    everywhere(|node, Scene { container, attachment, before }| {
        drop(container);
        let other = node.container("c");
        other.sh("ip link add eth0 type bridge");
        attachment.del().silent();
        assert_eq!(other.links(), ["lo", "eth0"]);
        node.dump().assert_same(&before);
    });
}

#[test]
fn gc_goes_by_the_records() {
    everywhere(|node, Scene { container, attachment, before }| {
        remove_guests(node);
        // The guests are missing, which is told; what was recorded goes all the same.
        attachment.network.gc(&[]).error(50);
        node.dump().assert_same(&before);
        assert_eq!(container.links(), ["lo"]);
    });
}

#[test]
fn a_repeated_add_fails_and_leaves_the_attachment_as_it_is() {
    everywhere(|node, Scene { container, attachment, .. }| {
        let before = (node.dump(), container.dump());
        assert_ne!(attachment.network.add(&attachment.target).status, 0);
        node.dump().assert_same(&before.0);
        container.dump().assert_same(&before.1);
        attachment.check().silent();
    });
}

#[test]
fn wharfctl_shows_it() {
    let node = Node::new();
    let Scene { attachment, container, .. } = scene(&node, "nftables", true);
    let show = |arguments: &[&str]| {
        sh::run(wharfctl(&node.root()).args([&["journal", "show"][..], arguments].concat()))
    };
    let text = show(&["c/eth0"]);
    for word in
        ["c:eth0:wharf:net", "guest bridge sha256:", "links/create-veth", "nat/masquerade", "committed at"]
    {
        assert!(text.contains(word), "no {word:?} in:\n{text}");
    }
    let json: Value = serde_json::from_str(&show(&["--json"])).unwrap();
    assert_eq!(json[0]["transactions"][0]["begin"]["attachment"]["container"], "c");
    assert_eq!(json[0]["transactions"][0]["begin"]["netns"]["path"], attachment.target.netns);
    assert_eq!(json[0]["busy"], false);
    let unknown = sh::output(wharfctl(&node.root()).args(["journal", "show", "nobody"]));
    assert!(!unknown.status.success());
    attachment.del().silent();
    assert_eq!(show(&[]), "there are no attachments\n");
    assert_eq!(sh::run(wharfctl(&node.root()).arg("recover")), "nothing was cut short\n");
    assert_eq!(json!([]), serde_json::from_str::<Value>(&show(&["--json"])).unwrap());
    drop(container);
}

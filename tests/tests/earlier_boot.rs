//! Leases that a reboot has left: nobody's when there is need.

use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use rustix::fs::{XattrFlags, fsetxattr};
use wharf_tests::{Network, Node, json};

use crate::common::with_ipam;

/// Three addresses behind a gateway.
fn network(node: &Node) -> Network<'_> {
    let range = json!({"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.2", "rangeEnd": "10.1.0.4"});
    Network::new(node, [with_ipam(json!({"ranges": [[range]]}))])
}

/// A lease as the reference plugin wrote it long before this machine was started.
fn old_lease(node: &Node, address: &str, container: &str) {
    fs::create_dir_all(node.leases("net")).unwrap();
    let file = node.leases("net").join(address);
    fs::write(&file, format!("{container}\r\neth0")).unwrap();
    File::open(&file).unwrap().set_modified(UNIX_EPOCH + Duration::from_hours(24)).unwrap();
}

#[test]
fn they_are_given_out_again_when_nothing_else_is_left() {
    let node = Node::new();
    let network = network(&node);
    for (address, container) in [("10.1.0.2", "old-2"), ("10.1.0.3", "old-3")] {
        old_lease(&node, address, container);
    }
    network.status().silent();
    let containers = ["one", "two", "three", "four"].map(|id| node.container(id));
    let given = containers.each_ref().map(|container| {
        let outcome = network.add(&container.eth0());
        (outcome.status == 0).then(|| outcome.ok()["ips"][0]["address"].as_str().unwrap().to_owned())
    });
    assert_eq!(
        given.each_ref().map(Option::as_deref),
        [Some("10.1.0.4/24"), Some("10.1.0.2/24"), Some("10.1.0.3/24"), None]
    );
    network.status().error_naming(50, &["10.1.0.2-10.1.0.4"]);
    // A late DEL of the container that had it takes nothing away.
    let late = node.container("old-2");
    network.del(&late.eth0(), None).silent();
    assert_eq!(node.leased("net").len(), 3);
    let fifth = node.container("five");
    network.add(&fifth.eth0()).error_naming(102, &["10.1.0.2-10.1.0.4"]);
}

#[test]
fn one_that_carries_this_boot_is_never_old() {
    let node = Node::new();
    let network = network(&node);
    let containers = ["one", "two", "three"].map(|id| node.container(id));
    for container in &containers {
        network.attach(&container.eth0());
    }
    // As after a restore of a backup, or with a clock that was wrong.
    for address in node.leased("net") {
        let file = File::open(node.leases("net").join(address)).unwrap();
        if let Err(error) = fsetxattr(&file, "user.wharf.of-a-test", b"", XattrFlags::empty()) {
            // Before Linux 6.6 a tmpfs does not.
            wharf_tests::skip!("{} keeps no attributes of users: {error}", node.root().display());
        }
        file.set_modified(UNIX_EPOCH + Duration::from_hours(24)).unwrap();
    }
    network.status().error(50);
    let late = node.container("late");
    network.add(&late.eth0()).error_naming(102, &["no IP addresses available"]);
    assert_eq!(node.leased("net").len(), 3);
}

#[test]
fn gc_removes_them_unless_their_attachment_is_valid() {
    let node = Node::new();
    let network = network(&node);
    for (address, container) in [("10.1.0.2", "kept"), ("10.1.0.3", "gone")] {
        old_lease(&node, address, container);
    }
    network.gc(&[("kept", "eth0")]).silent();
    assert_eq!(node.leased("net"), ["10.1.0.2"]);
}

#[test]
fn a_container_that_keeps_its_id_is_attached_again() {
    let node = Node::new();
    let network = network(&node);
    old_lease(&node, "10.1.0.3", "again");
    let container = node.container("again");
    let attachment = network.attach(&container.eth0());
    assert_eq!(node.leased("net").len(), 1, "the old one went");
    attachment.check().silent();
    attachment.del().silent();
    assert!(node.leased("net").is_empty());
}

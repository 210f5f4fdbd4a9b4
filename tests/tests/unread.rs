//! `wharfctl COMMAND | head`: nobody reads what it prints any more, and that is no mistake.

use std::io::pipe;
use std::process::{Command, Stdio};

use wharf_tests::install::{Binaries, wharfctl};
use wharf_tests::{Node, sh};

/// A pipe that nobody reads.
fn unread() -> Stdio {
    let (reader, writer) = pipe().unwrap();
    drop(reader);
    writer.into()
}

fn command(node: &Node, line: &str) -> Command {
    let mut command = wharfctl(&node.root());
    command.args(line.split_whitespace()).stdin(Stdio::null());
    command
}

#[test]
fn what_nobody_reads_is_no_mistake() {
    let node = Node::new();
    sh::run(&mut command(
        &node,
        "conflist --pod-cidr 10.244.3.0/28 --write /etc/cni/net.d/10-wharf.conflist",
    ));
    let component = format!("inspect {}", Binaries::get().guests.join("bridge.wasm").display());
    for line in [
        "metrics",
        "conflist --pod-cidr 10.244.3.0/28",
        "grants explain bridge",
        "guests",
        "attachments",
        "journal show",
        "reconcile",
        "reference cli",
        "lint",
        &component,
    ] {
        let output = node.run(|| command(&node, line).stdout(unread()).output().unwrap());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{line}: {}: {said}", output.status);
    }
    // What it finds is told by the exit status all the same.
    let output = node.run(|| command(&node, "doctor").stdout(unread()).output().unwrap());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some() && !said.contains("os error"), "{}: {said}", output.status);
}

#[test]
fn an_error_that_nobody_reads_is_an_error() {
    let node = Node::new();
    for line in ["plan nothing.conflist", "gc --network n", "export"] {
        let status =
            node.run(|| command(&node, line).stderr(unread()).stdout(Stdio::null()).status().unwrap());
        assert!(matches!(status.code(), Some(1 | 2)), "{line}: {status}");
    }
}

#[test]
fn what_cannot_be_written_is_a_mistake() {
    let node = Node::new();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let output = node.run(|| command(&node, "guests").stdout(full).output().unwrap());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("cannot write to standard output: No space left on device"), "{said}");
}

//! Bad requests: names, namespaces, JSON. Each is one error with the right code that names the key and the value, exit
//! status 1, and nothing done.

use std::fs;

use wharf_tests::{Container, Node, json};

use crate::common::bridge;

/// A request that must fail.
struct Bad {
    /// Variables that replace the good ones.
    env: Vec<(&'static str, String)>,
    stdin: Vec<u8>,
    code: u32,
    /// What the message says.
    words: Vec<String>,
    /// What the details say.
    details: Vec<String>,
}

impl Bad {
    /// The details say this.
    fn explained(self, details: &str) -> Self {
        Self { details: vec![details.to_owned()], ..self }
    }
}

fn good() -> Vec<u8> {
    bridge(json!({"cniVersion": "1.1.0", "name": "net"})).to_string().into_bytes()
}

fn variable(key: &'static str, value: &str, code: u32, words: &[&str]) -> Bad {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    Bad { env: vec![(key, value.to_owned())], stdin: good(), code, words, details: Vec::new() }
}

fn input(stdin: impl Into<Vec<u8>>, code: u32, words: &[&str]) -> Bad {
    let words = words.iter().map(|&word| word.to_owned()).collect();
    Bad { env: Vec::new(), stdin: stdin.into(), code, words, details: Vec::new() }
}

/// Each fails for ADD as a drop-in and leaves node and container as they were.
fn refuse(node: &Node, container: &Container, table: Vec<Bad>) {
    let before = (node.dump(), container.dump());
    for bad in table {
        let target = container.eth0();
        let mut env = target.env("ADD");
        for (key, value) in &bad.env {
            env.retain(|(other, _)| other != key);
            env.push((key, value));
        }
        let [words, details] =
            [&bad.words, &bad.details].map(|words| words.iter().map(String::as_str).collect::<Vec<_>>());
        node.exec("bridge", &env, &bad.stdin).error_explaining(bad.code, &words, &details);
    }
    node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
}

#[test]
fn names_in_the_environment() {
    let node = Node::new();
    let container = node.container("c");
    refuse(
        &node,
        &container,
        vec![
            variable("CNI_CONTAINERID", "../c", 4, &["containerID"]).explained("../c"),
            variable("CNI_CONTAINERID", "-c", 4, &["containerID"]).explained("-c"),
            variable("CNI_CONTAINERID", "c/d", 4, &["containerID"]).explained("c/d"),
            variable("CNI_CONTAINERID", "c d", 4, &["containerID"]).explained("c d"),
            variable("CNI_CONTAINERID", "c\nd", 4, &["containerID"]).explained("c\\nd"),
            variable("CNI_CONTAINERID", "käse", 4, &["containerID"]).explained("käse"),
            variable("CNI_IFNAME", "sixteen-bytes-12", 4, &["CNI_IFNAME", "sixteen-bytes-12", "15"]),
            variable("CNI_IFNAME", "a/b", 4, &["CNI_IFNAME", "a/b"]),
            variable("CNI_IFNAME", "a:b", 4, &["CNI_IFNAME", "a:b"]),
            variable("CNI_IFNAME", "a b", 4, &["CNI_IFNAME", "a b"]),
            variable("CNI_IFNAME", "..", 4, &["CNI_IFNAME", ".."]),
            variable("CNI_IFNAME", ".", 4, &["CNI_IFNAME=\".\""]),
            variable("CNI_IFNAME", "eth%d", 4, &["CNI_IFNAME", "eth%d"]),
            variable("CNI_COMMAND", "add", 4, &["CNI_COMMAND", "add"]),
        ],
    );
}

#[test]
fn namespaces() {
    let node = Node::new();
    let container = node.container("c");
    let folder = node.folder("paths");
    let file = folder.join("a file");
    fs::write(&file, "not a namespace").unwrap();
    let file = file.to_str().unwrap();
    let gone = folder.join("gone");
    let gone = gone.to_str().unwrap();
    let folder = folder.to_str().unwrap();
    refuse(
        &node,
        &container,
        vec![
            variable("CNI_NETNS", file, 8, &["CNI_NETNS", file]),
            variable("CNI_NETNS", gone, 8, &["CNI_NETNS", gone]),
            variable("CNI_NETNS", folder, 8, &["CNI_NETNS", folder]),
            variable("CNI_NETNS", "relative", 8, &["CNI_NETNS", "relative"]),
            variable("CNI_NETNS", "/dev/null", 8, &["CNI_NETNS", "/dev/null"]),
            // A namespace, but of another kind.
            variable("CNI_NETNS", "/proc/self/ns/mnt", 8, &["CNI_NETNS", "/proc/self/ns/mnt"]),
            variable("CNI_NETNS", "/proc/self/ns/net", 8, &["CNI_NETNS", "/proc/self/ns/net"]),
        ],
    );
    assert!(!std::path::Path::new(gone).exists(), "no file came into being");
}

#[test]
fn malformed_input() {
    let node = Node::new();
    let container = node.container("c");
    refuse(
        &node,
        &container,
        vec![
            input("", 6, &["network config"]),
            input("{", 6, &["network config"]),
            input("[]", 6, &["network config", "array"]),
            input("null", 6, &["network config", "null"]),
            input("\"text\"", 6, &["network config"]),
            input(r#"{"name": "net"} trailing"#, 6, &["network config"]),
            input(b"{\"name\": \"\xff\"}".to_vec(), 6, &["network config"]),
            input("[".repeat(100_000), 6, &["network config"]),
            input(r#"{"cniVersion": 1, "name": "net"}"#, 6, &["cniVersion", "found 1"]),
            input(r#"{"cniVersion": "1.0.0", "name": 7}"#, 6, &["name", "found 7"]),
            input(r#"{"cniVersion": "1.0.0", "name": "net", "type": []}"#, 6, &["type", "found an array"]),
            input(r#"{"cniVersion": "1.0.0"}"#, 7, &["missing network name"]),
            input(r#"{"cniVersion": "1.0.0", "name": "../x"}"#, 7, &["network name"]).explained("../x"),
            input(r#"{"cniVersion": "1.0.0", "name": "a b"}"#, 7, &["network name"]).explained("a b"),
            input(
                r#"{"cniVersion": "1.0.0", "name": "n", "type": "../../bin/sh"}"#,
                7,
                &["type", "../../bin/sh"],
            ),
            input(r#"{"cniVersion": "2.0.0", "name": "net"}"#, 1, &["CNI versions"]).explained("2.0.0"),
            input(
                r#"{"cniVersion": "1.0.0", "name": "net", "prevResult": 5}"#,
                6,
                &["prevResult", "found 5"],
            ),
            input(
                r#"{"cniVersion": "1.0.0", "name": "net", "prevResult": {"cniVersion": "7.0.0"}}"#,
                1,
                &["CNI versions"],
            )
            .explained("prevResult.cniVersion is \"7.0.0\""),
            input(
                r#"{"cniVersion": "1.0.0", "name": "net", "prevResult": {"cniVersion": "1.0.0", "ips": [{"address": "10.1.2.300/24"}]}}"#,
                6,
                &["prevResult.ips[0].address", "10.1.2.300/24"],
            ),
        ],
    );
}

#[test]
fn a_configuration_of_ten_megabytes() {
    let node = Node::new();
    let container = node.container("c");
    let before = (node.dump(), container.dump());
    let padding = "x".repeat(10 << 20);
    let config = bridge(json!({"cniVersion": "1.1.0", "name": "net", "padding": padding})).to_string();
    let outcome = node.call_raw("bridge", "ADD", &container.eth0(), config.as_bytes());
    assert!(outcome.stdout.len() < 4096, "the error does not repeat the configuration");
    let text = outcome.error(6);
    assert!(text.contains("network config") && text.contains("at most 4194304"), "{text}");
    node.dump().assert_same(&before.0);
    container.dump().assert_same(&before.1);
}

#[test]
fn long_values_are_cut_in_errors() {
    let node = Node::new();
    let container = node.container("c");
    let long = "y".repeat(100_000);
    let config = bridge(json!({"cniVersion": "1.1.0", "name": "net", "bridge": long}));
    let outcome = node.call("bridge", "ADD", &container.eth0(), &config);
    assert!(outcome.stdout.len() < 4096, "{} bytes", outcome.stdout.len());
    let text = outcome.error(7);
    assert!(text.contains("bridge: \"yyyy"), "{text}");
}

#[test]
fn bad_requests_fail_for_every_command() {
    let node = Node::new();
    let container = node.container("c");
    for command in ["ADD", "CHECK", "DEL", "STATUS", "GC"] {
        node.call_raw("bridge", command, &container.eth0(), b"{").error(6);
        node.call_raw("wharf", command, &container.eth0(), b"{}").error_saying(7, &["missing network name"]);
    }
}

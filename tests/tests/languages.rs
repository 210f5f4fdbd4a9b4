//! The same policy in four languages: only these ports of the host for each namespace. Each is installed as an operator
//! would, and judges real ADDs. That they do so with their toolchains' wide imports of WASI, and without anything
//! behind them, is the other half of the test.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use wharf_tests::install::{self, Binaries};
use wharf_tests::{Container, Dump, Network, Node, json, sh, skip};

use crate::common::{assert_undone, bridge, portmap};

/// The name under which each of them is installed.
const POLICY: &str = "host-ports";
const SETTINGS: &str =
    "[policy.host-ports.namespaces]\ningress = [[80, 80], [8000, 8001]]\ngames = [[30000, 30999]]\n";

/// What asks for a port, the port, and whether it is allowed.
const CASES: [(&str, u16, bool); 7] = [
    ("ingress", 80, true),
    ("ingress", 8001, true),
    ("ingress", 8002, false),
    ("games", 30999, true),
    ("games", 80, false),
    ("stranger", 80, false),
    ("", 80, false),
];

/// Where `cargo xtask languages` leaves the guests.
fn component(language: &str) -> Result<PathBuf, String> {
    let file = install::languages().join(language).join(POLICY).with_extension("wasm");
    file.canonicalize()
        .map_err(|error| format!("{}: {error}: `cargo xtask languages` builds it", file.display()))
}

/// The SDK's own example, which the others do again.
fn original() -> Result<PathBuf, String> {
    let file = Binaries::get().guests.join("../policies").join(POLICY).with_extension("wasm");
    file.canonicalize().map_err(|error| format!("{}: {error}: `cargo xtask build` builds it", file.display()))
}

/// A root with that policy installed. Compiling an interpreter takes long, so that one of an earlier run is used again
/// if nothing changed.
fn installed(component: &Path) -> PathBuf {
    let mut hasher = Sha256::new();
    for file in [component, &Binaries::get().wharfctl] {
        hasher.update(Sha256::digest(fs::read(file).unwrap()));
    }
    let name: Vec<String> = hasher.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("languages");
    let root = all.join(name.concat());
    if !root.exists() {
        let work = all.join(format!("{}.{}", name.concat(), std::process::id()));
        let guests = work.join("guests");
        fs::create_dir_all(&guests).unwrap();
        fs::copy(component, guests.join(POLICY).with_extension("wasm")).unwrap();
        let mut install = install::wharfctl(&work.join("root"));
        install.arg("install").arg("--guests").arg(&guests).arg("--binary").arg(&Binaries::get().wharf);
        sh::run(&mut install);
        // The same, made by a process beside this one, is as good.
        let _ = fs::rename(work.join("root"), &root);
        fs::remove_dir_all(&work).unwrap();
    }
    root
}

/// A node on which the policy is in force, with these settings.
fn node(component: &Path, settings: &str) -> Node {
    let (node, from) = (Node::new(), installed(component));
    let adopt = |folder: &str| {
        for file in wharf_tests::node::files(&from.join(folder)) {
            let to = node.root().join(folder).join(&file);
            if !to.exists() {
                fs::copy(from.join(folder).join(&file), to).unwrap();
            }
        }
    };
    adopt("var/lib/wharf");
    adopt("etc/cni/wharf.d");
    configure(&node, settings);
    node
}

fn configure(node: &Node, settings: &str) {
    let text = format!("policies = [\"{POLICY}\"]\n{settings}");
    fs::write(node.root().join("etc/cni/wharf.toml"), text).unwrap();
}

/// A chain that can open ports of the host.
fn network(node: &Node) -> Network<'_> {
    Network::new(node, [bridge(json!({})), portmap(json!({}))]).chain()
}

/// An ADD that asks for a port of the host, in a namespace unless it is empty.
fn add(network: &Network<'_>, container: &Container, namespace: &str, port: u16) -> wharf_tests::Outcome {
    let pod = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE={namespace};K8S_POD_NAME=pod");
    let args = if namespace.is_empty() { "IgnoreUnknown=1" } else { &pod };
    network.add(&container.eth0().args(args).port(port, 80))
}

fn assert_nothing_left(node: &Node, container: &Container, before: &Dump, own: &Dump) {
    assert_undone(&node.dump(), before);
    container.dump().assert_same(own);
    assert_eq!(node.leased("net"), [""; 0]);
}

/// Each case with the policy.
fn each_case(component: &Path) {
    let node = node(component, SETTINGS);
    let network = network(&node);
    // The bridge and what all share stay from the first ADD on.
    let first = node.container("first");
    let result = add(&network, &first, "ingress", 80).ok();
    network.del(&first.eth0(), Some(&result)).silent();
    for (index, (namespace, port, allowed)) in CASES.into_iter().enumerate() {
        let container = node.container(&format!("c{index}"));
        let (before, own) = (node.dump(), container.dump());
        let outcome = add(&network, &container, namespace, port);
        if allowed {
            let result = outcome.ok();
            network.del(&container.eth0(), Some(&result)).silent();
        } else {
            let reason = format!("port {port} of the host is not the namespace \"{namespace}\"'s");
            outcome
                .error_naming(901, &["policy \"host-ports\" denies nat/forward-ports of portmap", &reason]);
        }
        assert_nothing_left(&node, &container, &before, &own);
    }
}

/// Settings that say nothing sensible allow nothing.
fn wrong_settings(component: &Path) {
    let node = node(component, "");
    let network = network(&node);
    let container = node.container("c");
    let (before, own) = (node.dump(), container.dump());
    let table = |line: &str| format!("[policy.host-ports]\n{line}\n");
    for settings in [
        String::new(),
        table("namespaces = 3"),
        table("namespaces.ingress = 80"),
        table("namespaces.ingress = [80]"),
        table("namespaces.ingress = [[80]]"),
        table("namespaces.ingress = [[\"80\", \"90\"]]"),
        table("namespaces.ingress = [[80, 90, 1]]"),
        table("namespaces.ingress = [[-1, 70000]]"),
        table("namespaces.ingress = [[80, 65536]]"),
        table("namespaces.ingress = [[-4294967290, 90]]"),
        table("namespaces.ingress = \"80\""),
    ] {
        configure(&node, &settings);
        let outcome = add(&network, &container, "ingress", 80);
        outcome.error_naming(901, &["policy \"host-ports\" denies", "the policy's settings: "]);
        assert_nothing_left(&node, &container, &before, &own);
    }
}

fn holds(component: Result<PathBuf, String>) {
    match component {
        Ok(component) => {
            each_case(&component);
            wrong_settings(&component);
        }
        Err(reason) => skip!("{reason}"),
    }
}

#[test]
fn in_rust_it_holds() {
    holds(original());
}

#[test]
fn in_python_it_holds() {
    holds(component("python"));
}

#[test]
fn in_javascript_it_holds() {
    holds(component("javascript"));
}

#[test]
fn in_c_it_holds() {
    holds(component("c"));
}

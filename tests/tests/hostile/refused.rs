//! Components that are refused before anything of them runs: most when they are installed, in words that say why.

use wharf_tests::{Node, json};

use crate::hostile::{Stage, component, install_into};

/// `wharfctl install` fails with these words and changes nothing.
#[track_caller]
fn is_not_installed(name: &str, words: &[&str]) {
    let node = Node::new();
    let before = wharf_tests::node::files(&node.root());
    let output = install_into(&node.root(), &[(name, component(name))]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    for word in words.iter().chain([&format!("{name}.wasm").as_str()]) {
        assert!(text.contains(word), "the error does not name {word:?}: {text}");
    }
    assert_eq!(wharf_tests::node::files(&node.root()), before);
    // Whoever calls it all the same hears that it is not there.
    let config = json!({"cniVersion": "1.1.0", "name": "net", "type": name});
    let container = node.container("c");
    node.call("wharf", "ADD", &container.eth0(), &config)
        .error_naming(50, &[name, "is not installed", "wharfctl add"]);
}

#[test]
fn core_module() {
    is_not_installed("core-module", &["not a WebAssembly component", "it is a core module", "wasm32-wasip2"]);
}

#[test]
fn no_memory() {
    is_not_installed("no-memory", &["is no guest", "memory"]);
}

#[test]
fn unknown_world() {
    is_not_installed(
        "unknown-world",
        &["the component exports acme:rockets/launch@1.0.0", "a guest exports wharf:plugin/network@0.1.0 or"],
    );
}

#[test]
fn both_worlds() {
    is_not_installed("both-worlds", &["exports both wharf:plugin/network@0.1.0 and wharf:plugin/ipam@0.1.0"]);
}

#[test]
fn policy_acts() {
    is_not_installed(
        "policy-acts",
        &["a policy changes and asks nothing by itself, and this imports nat/remove-forwards"],
    );
}

#[test]
fn newer_world() {
    is_not_installed(
        "newer-world",
        &["exports wharf:plugin/network@0.2.0", "a guest exports wharf:plugin/network@0.1.0"],
    );
}

#[test]
fn old_sdk() {
    is_not_installed(
        "old-sdk",
        &[
            "wharf:net/links@0.0.9: this host offers wharf:net/links@0.1.0; rebuild the guest with a matching SDK",
        ],
    );
}

#[test]
fn newer_sdk() {
    is_not_installed(
        "newer-sdk",
        &[
            "wharf:net/links@0.2.0: this host offers wharf:net/links@0.1.0",
            "wharf:net/routes@0.1.0 function teleport: this host's wharf:net/routes@0.1.0 does not have it",
        ],
    );
}

#[test]
fn foreign_imports() {
    is_not_installed(
        "foreign-imports",
        &[
            "wasi:http/handler@0.3.0: this host offers wasi:* in versions 0.2.x only",
            "acme:rockets/launch@1.0.0: this host offers interfaces of wharf:*",
            "system: only interfaces of wharf:* and wasi:* can be imported",
        ],
    );
}

#[test]
fn hollow() {
    Stage::new("hollow").add_fails(905, &["hollow: ", "describe"]);
}

#[test]
fn wrong_types() {
    Stage::new("wrong-types").add_fails(
        905,
        &["wrong-types: what it exports as wharf:plugin/network@0.1.0 does not have its types"],
    );
}

#[test]
fn imports_beyond_grant() {
    let stage = Stage::new("imports-beyond-grant");
    for granted in [json!(["sysctl/read"]), json!([])] {
        stage.grant(&granted, "");
        stage.add_fails(
            900,
            &[
                "\"imports-beyond-grant\" imports more than",
                "imports-beyond-grant.toml grants",
                "sysctl/write",
            ],
        );
    }
    assert_eq!(stage.node.sysctl("ipv4/ip_forward"), "0");
}

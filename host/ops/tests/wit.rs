//! The table of operations is what the WIT packages say, no more and no less.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeSet;
use std::path::Path;

use wharf_ops::OPERATIONS;
use wit_parser::{FunctionKind, Resolve, TypeDefKind};

/// Interfaces that give no authority: the namespace handles, log lines and plain types.
const WITHOUT_AUTHORITY: &[&str] = &["netns", "logging", "ip", "errors", "types"];

fn resolve() -> Resolve {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let mut resolve = Resolve::default();
    for package in ["types", "cni", "net", "firewall", "tc", "store", "host", "policy", "plugin"] {
        resolve.push_path(root.join(package)).unwrap();
    }
    resolve
}

fn imported_by_a_world(resolve: &Resolve) -> Vec<wit_parser::InterfaceId> {
    let worlds = resolve.worlds.iter().flat_map(|(_, world)| world.imports.values());
    worlds
        .filter_map(
            |item| if let wit_parser::WorldItem::Interface { id, .. } = item { Some(*id) } else { None },
        )
        .collect()
}

#[test]
fn every_function_that_a_world_imports_is_an_operation() {
    let resolve = resolve();
    let mut names = BTreeSet::new();
    for id in imported_by_a_world(&resolve) {
        let interface = &resolve.interfaces[id];
        let room = interface.name.as_deref().unwrap();
        if WITHOUT_AUTHORITY.contains(&room) {
            continue;
        }
        for function in interface.functions.values() {
            let name = match function.kind {
                FunctionKind::Freestanding => function.name.as_str(),
                _ => function.item_name(),
            };
            names.insert(format!("{room}/{name}"));
        }
    }
    let table: BTreeSet<String> = OPERATIONS.iter().map(|operation| operation.name.to_string()).collect();
    assert_eq!(table, names);
    assert_eq!(table.len(), OPERATIONS.len(), "a name stands twice in OPERATIONS");
}

#[test]
fn every_interface_function_and_record_is_documented() {
    let resolve = resolve();
    let mut bare = Vec::new();
    for (_, interface) in &resolve.interfaces {
        let Some(name) = &interface.name else { continue };
        if interface.docs.contents.is_none() {
            bare.push(name.clone());
        }
        for function in interface.functions.values() {
            if function.docs.contents.is_none() {
                bare.push(format!("{name}/{}", function.name));
            }
        }
        for id in interface.types.values() {
            let definition = &resolve.types[*id];
            let plain = matches!(definition.kind, TypeDefKind::Type(_) | TypeDefKind::Handle(_));
            if !plain && definition.docs.contents.is_none() {
                bare.push(format!("{name}/{}", definition.name.as_deref().unwrap_or("?")));
            }
        }
    }
    assert!(bare.is_empty(), "without a doc comment: {bare:?}");
}

/// The text of a package without comments and with single spaces: what makes the contract.
fn contract(package: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit").join(package);
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut words = Vec::new();
    for file in files {
        for line in std::fs::read_to_string(file).unwrap().lines() {
            let code = line.split("//").next().unwrap_or_default();
            words.extend(code.split_whitespace().map(str::to_string));
        }
    }
    words.join(" ")
}

#[test]
fn published_versions_do_not_change() {
    use sha2::{Digest, Sha256};
    use std::fmt::Write as _;
    let mut found = String::new();
    for package in ["types", "cni", "net", "firewall", "tc", "store", "host", "policy", "plugin"] {
        let text = contract(package);
        let name = text.strip_prefix("package ").and_then(|rest| rest.split(';').next()).unwrap();
        let mut digest = String::new();
        for byte in Sha256::digest(text.as_bytes()) {
            write!(digest, "{byte:02x}").unwrap();
        }
        writeln!(found, "{name} sha256:{digest}").unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/frozen.lock");
    let lock = std::fs::read_to_string(file).unwrap();
    let frozen: String =
        lock.lines().filter(|line| !line.starts_with('#')).fold(String::new(), |all, line| all + line + "\n");
    assert_eq!(
        found, frozen,
        "a published package changed. Guests out there were built against it: add functions under a new minor \
         version with @since, and put the new line into wit/frozen.lock"
    );
}

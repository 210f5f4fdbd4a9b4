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
    for package in ["types", "cni", "net", "firewall", "tc", "store", "host", "plugin"] {
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

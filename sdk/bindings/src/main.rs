//! Writes the bindings of `wharf-sdk` from `wit/`: `cargo run -p wharf-sdk-bindings`, after a change there. The test of this
//! crate says when that was forgotten.
//!
//! They are in the repository so that a guest builds in seconds: a macro that generates them would bring a parser of WIT, an
//! encoder of components and a second `syn` into every build of every guest, and that is more than half of it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, WithOption};

/// The packages below `wit/`, each after those that it refers to.
const PACKAGES: &[&str] = &["types", "cni", "net", "firewall", "tc", "store", "host", "policy", "plugin"];

/// A world of the SDK, and where what it refers to is generated already.
struct World {
    file: &'static str,
    name: &'static str,
    /// Where the SDK includes the file.
    module: &'static str,
    imports: &'static [&'static str],
    exports: &'static [&'static str],
    elsewhere: &'static [(&'static str, &'static str)],
}

const TYPES: (&str, &str) = ("wharf:types/ip@0.1.0", "crate::bindings::wharf::types::ip");
const CNI: (&str, &str) = ("wharf:cni/types@0.1.0", "crate::bindings::wharf::cni::types");
const NETNS: (&str, &str) = ("wharf:net/netns@0.1.0", "crate::bindings::wharf::net::netns");

const CALLS: (&str, &str) = ("wharf:policy/calls@0.1.0", "crate::policy::bindings::calls");
const CHANGES: (&str, &str) = ("wharf:policy/changes@0.1.0", "crate::policy::bindings::changes");

const WORLDS: &[World] = &[
    World {
        file: "imports",
        name: "imports",
        module: "bindings::imports",
        imports: &[
            "wharf:cni/types@0.1.0",
            "wharf:net/netns@0.1.0",
            "wharf:net/links@0.1.0",
            "wharf:net/bridge-ports@0.1.0",
            "wharf:net/addresses@0.1.0",
            "wharf:net/routes@0.1.0",
            "wharf:net/neighbours@0.1.0",
            "wharf:net/sysctl@0.1.0",
            "wharf:firewall/nat@0.1.0",
            "wharf:firewall/filter@0.1.0",
            "wharf:firewall/conntrack@0.1.0",
            "wharf:tc/shaping@0.1.0",
            "wharf:store/leases@0.1.0",
            "wharf:host/logging@0.1.0",
            "wharf:host/delegate@0.1.0",
        ],
        exports: &[],
        elsewhere: &[],
    },
    World {
        file: "network",
        name: "network-guest",
        module: "bindings::network",
        imports: &[],
        exports: &["wharf:plugin/network@0.1.0"],
        elsewhere: &[TYPES, CNI, NETNS],
    },
    World {
        file: "ipam",
        name: "ipam-guest",
        module: "bindings::ipam",
        imports: &[],
        exports: &["wharf:plugin/ipam@0.1.0"],
        elsewhere: &[TYPES, CNI],
    },
    World {
        file: "policy_data",
        name: "policy-data",
        module: "policy::bindings::data",
        imports: &["wharf:policy/calls@0.1.0", "wharf:policy/changes@0.1.0"],
        exports: &[],
        elsewhere: &[TYPES, CNI],
    },
    World {
        file: "policy",
        name: "policy-guest",
        module: "policy::bindings::policy",
        imports: &[],
        exports: &["wharf:plugin/policy@0.1.0"],
        elsewhere: &[TYPES, CNI, CALLS, CHANGES],
    },
    World {
        file: "admission",
        name: "admission-guest",
        module: "policy::bindings::admission",
        imports: &[],
        exports: &["wharf:plugin/admission@0.1.0"],
        elsewhere: &[TYPES, CNI, CALLS],
    },
];

fn main() -> Result<()> {
    for world in WORLDS {
        let path = file(world);
        std::fs::write(&path, generate(world)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
        println!("{}", path.display());
    }
    Ok(())
}

/// What a `wit_bindgen::generate!` of the world would be.
fn generate(world: &World) -> Result<String> {
    let mut resolve = Resolve::default();
    for package in PACKAGES {
        resolve.push_path(folder("../../wit").join(package))?;
    }
    let package = resolve.push_str("world.wit", &wit(world))?;
    let id = resolve.select_world(&[package], None)?;
    let with = |name: &str, option| (name.to_owned(), option);
    let elsewhere =
        world.elsewhere.iter().map(|(name, path)| with(name, WithOption::Path((*path).to_owned())));
    // What is a world's own: its exports, or its imports if it is there for them.
    let here = if world.exports.is_empty() { world.imports } else { world.exports };
    let here = here.iter().map(|name| with(name, WithOption::Generate));
    let options = Opts {
        with: elsewhere.chain(here).collect(),
        generate_all: world.elsewhere.is_empty(),
        generate_unused_types: world.exports.is_empty(),
        pub_export_macro: true,
        default_bindings_module: Some(format!("wharf_sdk::{}", world.module)),
        ..Opts::default()
    };
    let mut files = Files::default();
    options.build().generate(&mut resolve, id, &mut files)?;
    let (_, text) = files.iter().next().context("nothing was generated")?;
    Ok(format!("// Written by `cargo run -p wharf-sdk-bindings`.\n{}", std::str::from_utf8(text)?))
}

fn wit(world: &World) -> String {
    let World { name, imports, exports, .. } = world;
    let lines = imports.iter().map(|name| format!("import {name};"));
    let lines: Vec<String> = lines.chain(exports.iter().map(|name| format!("export {name};"))).collect();
    format!("package wharf:sdk-{name};\nworld {name} {{\n{}\n}}\n", lines.join("\n"))
}

fn file(world: &World) -> PathBuf {
    folder("../rust/src/bindings").join(world.file).with_extension("rs")
}

fn folder(from_here: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(from_here)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bindings_are_those_of_the_contract() {
        for world in WORLDS {
            let path = file(world);
            let known = std::fs::read_to_string(&path).unwrap_or_default();
            let same = known == generate(world).unwrap();
            assert!(
                same,
                "{} is not what wit/ says: `cargo run -p wharf-sdk-bindings` writes it",
                path.display()
            );
        }
    }
}

//! The worlds of the SDK, and the code that wit-bindgen makes of each.

use std::path::Path;

use anyhow::{Context as _, Result};
use wit_bindgen_core::wit_parser::Resolve;
use wit_bindgen_core::{Files, WorldGenerator as _};
use wit_bindgen_rust::{Opts, WithOption};

/// The packages below `wit/`, each after those that it refers to.
const PACKAGES: &[&str] = &["types", "cni", "net", "firewall", "tc", "store", "host", "policy", "plugin"];

/// A world, and where what it refers to is generated already.
pub(crate) struct World {
    /// What its files are named by.
    pub(crate) file: &'static str,
    package: &'static str,
    name: &'static str,
    /// Where the SDK includes it.
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

pub(crate) const WORLDS: &[World] = &[
    World {
        file: "imports",
        package: "wharf:sdk-imports",
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
        package: "wharf:sdk-network",
        name: "network-guest",
        module: "bindings::network",
        imports: &[],
        exports: &["wharf:plugin/network@0.1.0"],
        elsewhere: &[TYPES, CNI, NETNS],
    },
    World {
        file: "ipam",
        package: "wharf:sdk-ipam",
        name: "ipam-guest",
        module: "bindings::ipam",
        imports: &[],
        exports: &["wharf:plugin/ipam@0.1.0"],
        elsewhere: &[TYPES, CNI],
    },
    World {
        file: "policy_data",
        package: "wharf:sdk-policy-data",
        name: "data",
        module: "policy::bindings::data",
        imports: &["wharf:policy/calls@0.1.0", "wharf:policy/changes@0.1.0"],
        exports: &[],
        elsewhere: &[TYPES, CNI],
    },
    World {
        file: "policy",
        package: "wharf:sdk-policy",
        name: "policy-guest",
        module: "policy::bindings::policy",
        imports: &[],
        exports: &["wharf:plugin/policy@0.1.0"],
        elsewhere: &[TYPES, CNI, CALLS, CHANGES],
    },
    World {
        file: "admission",
        package: "wharf:sdk-admission",
        name: "admission-guest",
        module: "policy::bindings::admission",
        imports: &[],
        exports: &["wharf:plugin/admission@0.1.0"],
        elsewhere: &[TYPES, CNI, CALLS],
    },
];

/// What a `wit_bindgen::generate!` of the world would be.
pub(crate) fn generate(world: &World) -> Result<String> {
    let mut resolve = Resolve::default();
    for package in PACKAGES {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit").join(package);
        resolve.push_path(&folder).with_context(|| format!("cannot read the WIT in {}", folder.display()))?;
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
    Ok(std::str::from_utf8(text)?.to_owned())
}

fn wit(world: &World) -> String {
    let World { package, name, imports, exports, .. } = world;
    let lines = imports.iter().map(|name| format!("import {name};"));
    let lines: Vec<String> = lines.chain(exports.iter().map(|name| format!("export {name};"))).collect();
    format!("package {package};\nworld {name} {{\n{}\n}}\n", lines.join("\n"))
}

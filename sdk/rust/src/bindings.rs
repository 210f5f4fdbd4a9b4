//! Generated from `wit/`. The rest of the crate wraps these types; a guest seldom needs them.
//!
//! There are three worlds. The import side is generated once (`imports`); both export sides (`network`, `ipam`)
//! refer to its types. A native build has the types of `imports` and the functions of [`native`](crate::native). A custom section with an export side is emitted only where a guest invokes
//! [`export_network!`](crate::export_network) or [`export_ipam!`](crate::export_ipam), so that one library serves
//! both kinds of guest. Imports that a guest never calls are dropped when its component is made: the linker
//! drops the function, the component encoder the import.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::indexing_slicing,
    reason = "generated code; the canonical ABI passes raw pointers"
)]

/// What the host offers.
pub(crate) mod imports {
    wit_bindgen::generate!({
        path: [
            "../../wit/types",
            "../../wit/cni",
            "../../wit/net",
            "../../wit/firewall",
            "../../wit/tc",
            "../../wit/store",
            "../../wit/host",
        ],
        inline: r"
            package wharf:sdk-imports;
            world imports {
                import wharf:cni/types@0.1.0;
                import wharf:net/netns@0.1.0;
                import wharf:net/links@0.1.0;
                import wharf:net/bridge-ports@0.1.0;
                import wharf:net/addresses@0.1.0;
                import wharf:net/routes@0.1.0;
                import wharf:net/neighbours@0.1.0;
                import wharf:net/sysctl@0.1.0;
                import wharf:firewall/nat@0.1.0;
                import wharf:firewall/filter@0.1.0;
                import wharf:firewall/conntrack@0.1.0;
                import wharf:tc/shaping@0.1.0;
                import wharf:store/leases@0.1.0;
                import wharf:host/logging@0.1.0;
                import wharf:host/delegate@0.1.0;
            }
        ",
        world: "wharf:sdk-imports/imports",
        generate_all,
        generate_unused_types: true,
    });
}
#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::native::wharf;
#[cfg(target_family = "wasm")]
pub use imports::wharf;

/// The export side of a main or chained plugin.
#[cfg(target_family = "wasm")]
pub mod network {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package wharf:sdk-network;
            world network-guest { export wharf:plugin/network@0.1.0; }
        ",
        world: "wharf:sdk-network/network-guest",
        with: {
            "wharf:types/ip@0.1.0": crate::bindings::wharf::types::ip,
            "wharf:cni/types@0.1.0": crate::bindings::wharf::cni::types,
            "wharf:net/netns@0.1.0": crate::bindings::wharf::net::netns,
            "wharf:plugin/network@0.1.0": generate,
        },
        pub_export_macro: true,
        default_bindings_module: "wharf_sdk::bindings::network",
    });
}

/// The export side of an address manager.
#[cfg(target_family = "wasm")]
pub mod ipam {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package wharf:sdk-ipam;
            world ipam-guest { export wharf:plugin/ipam@0.1.0; }
        ",
        world: "wharf:sdk-ipam/ipam-guest",
        with: {
            "wharf:types/ip@0.1.0": crate::bindings::wharf::types::ip,
            "wharf:cni/types@0.1.0": crate::bindings::wharf::cni::types,
            "wharf:plugin/ipam@0.1.0": generate,
        },
        pub_export_macro: true,
        default_bindings_module: "wharf_sdk::bindings::ipam",
    });
}

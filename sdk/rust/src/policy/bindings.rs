//! Generated from `wit/policy` and `wit/plugin`; see [`crate::bindings`].
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::indexing_slicing,
    reason = "generated code; the canonical ABI passes raw pointers"
)]

/// What both kinds of policies see.
mod data {
    wit_bindgen::generate!({
        path: ["../../wit/types", "../../wit/cni", "../../wit/policy"],
        inline: r"
            package wharf:sdk-policy-data;
            world data {
                import wharf:policy/calls@0.1.0;
                import wharf:policy/changes@0.1.0;
            }
        ",
        world: "wharf:sdk-policy-data/data",
        with: {
            "wharf:types/ip@0.1.0": crate::bindings::wharf::types::ip,
            "wharf:cni/types@0.1.0": crate::bindings::wharf::cni::types,
            "wharf:policy/calls@0.1.0": generate,
            "wharf:policy/changes@0.1.0": generate,
        },
        generate_unused_types: true,
    });
}
pub use data::wharf::policy::{calls, changes};

/// The export side of a policy.
pub mod policy {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package wharf:sdk-policy;
            world policy-guest { export wharf:plugin/policy@0.1.0; }
        ",
        world: "wharf:sdk-policy/policy-guest",
        with: {
            "wharf:types/ip@0.1.0": crate::bindings::wharf::types::ip,
            "wharf:cni/types@0.1.0": crate::bindings::wharf::cni::types,
            "wharf:policy/calls@0.1.0": crate::policy::bindings::calls,
            "wharf:policy/changes@0.1.0": crate::policy::bindings::changes,
            "wharf:plugin/policy@0.1.0": generate,
        },
        pub_export_macro: true,
        default_bindings_module: "wharf_sdk::policy::bindings::policy",
    });
}

/// The export side of a mutating policy.
pub mod admission {
    wit_bindgen::generate!({
        path: "../wit",
        inline: r"
            package wharf:sdk-admission;
            world admission-guest { export wharf:plugin/admission@0.1.0; }
        ",
        world: "wharf:sdk-admission/admission-guest",
        with: {
            "wharf:types/ip@0.1.0": crate::bindings::wharf::types::ip,
            "wharf:cni/types@0.1.0": crate::bindings::wharf::cni::types,
            "wharf:policy/calls@0.1.0": crate::policy::bindings::calls,
            "wharf:plugin/admission@0.1.0": generate,
        },
        pub_export_macro: true,
        default_bindings_module: "wharf_sdk::policy::bindings::admission",
    });
}

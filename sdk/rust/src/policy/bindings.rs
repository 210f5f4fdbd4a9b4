//! Generated from `wit/policy` and `wit/plugin`; see [`crate::bindings`].
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    clippy::all,
    clippy::pedantic,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "generated code; the canonical ABI passes raw pointers"
)]

/// What both kinds of policies see.
mod data {
    include!("../bindings/generated/policy_data.rs");
}
pub use data::wharf::policy::{calls, changes};

/// The export side of a policy.
pub mod policy {
    include!("../bindings/generated/policy.rs");
}

/// The export side of a mutating policy.
pub mod admission {
    include!("../bindings/generated/admission.rs");
}

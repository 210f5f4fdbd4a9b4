//! Generated from `wit/`. The rest of the crate wraps these types; a guest seldom needs them.
//!
//! There are three worlds. The import side is generated once (`imports`); both export sides (`network`, `ipam`)
//! refer to its types. A native build has the types of `imports` and the functions of [`native`](crate::native). A
//! custom section with an export side is emitted only where a guest invokes
//! [`export_network!`](crate::export_network) or [`export_ipam!`](crate::export_ipam), so that one library serves
//! both kinds of guest. Imports that a guest never calls are dropped when its component is made: the linker
//! drops the function, the component encoder the import.
//!
//! What is in `generated` is written by `cargo run -p wharf-sdk-bindings`, which says why it is in the repository: a file
//! for each world and a folder of what it includes, an interface (`imports/net/links.rs`) or a call (`network/add.rs`) each.
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

/// What the host offers.
pub(crate) mod imports {
    include!("bindings/generated/imports.rs");
}
#[cfg(not(target_family = "wasm"))]
pub(crate) use crate::native::wharf;
#[cfg(target_family = "wasm")]
pub use imports::wharf;

/// The export side of a main or chained plugin.
#[cfg(target_family = "wasm")]
pub mod network {
    include!("bindings/generated/network.rs");
}

/// The export side of an address manager.
#[cfg(target_family = "wasm")]
pub mod ipam {
    include!("bindings/generated/ipam.rs");
}

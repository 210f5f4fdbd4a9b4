//! The confined process that runs a guest.
//!
//! The broker maps the compiled guests of a call, checks their digests, and starts a [`Zygote`]: a process that gives up
//! its privileges and loads them. From it each guest's sandbox is forked, which keeps one socket, makes the guest ready,
//! waits for its one call, runs it in Wasmtime, and exits. Each import call of the guest becomes an `Op` on the socket. The broker itself never
//! enters Wasmtime.

mod addresses;
mod artefact;
mod bindings;
mod bridge_ports;
mod confine;
mod conntrack;
mod convert;
mod delegate;
mod engine;
mod filter;
mod guest;
#[cfg(feature = "compiler")]
mod inspect;
mod leases;
mod limits;
mod links;
mod logging;
mod nat;
mod neighbours;
mod offer;
mod place;
mod policy;
mod random;
mod routes;
mod run;
mod seccomp;
mod shaping;
mod spawn;
mod state;
mod streams;
mod sysctl;
mod wasi;
mod zygote;

pub use artefact::Artefact;
pub use confine::Identity;
#[cfg(feature = "compiler")]
pub use inspect::{Inspection, Producer, compile, compiler, inspect};
pub use limits::Limits;
pub use offer::World;
pub use place::{Pinned, Places, pin_to_current_cpu};
pub use spawn::{Child, Ended, Job, spawn, spawn_native};
pub use zygote::Zygote;

/// Why there is no sandbox, or no compiled guest.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file could not be read.
    #[error("the compiled guest cannot be read: {0}")]
    Artefact(std::io::Error),
    /// The file is empty or absurdly large.
    #[error("the compiled guest has {size} bytes; 1 to {limit} are possible")]
    ArtefactSize {
        /// Of the file.
        size: u64,
        /// The largest possible.
        limit: u64,
    },
    /// No socket pair.
    #[error("no socket pair for a sandbox: {0}")]
    Socket(std::io::Error),
    /// No process.
    #[error("no process for a sandbox: {0}")]
    Fork(std::io::Error),
    /// A step of the confinement failed.
    #[error("the sandbox could not be confined: {0}: {1}")]
    Confine(&'static str, String),
    /// These bytes are no component.
    #[cfg(feature = "compiler")]
    #[error("not a WebAssembly component: {0}")]
    NoComponent(String),
    /// The component cannot be compiled.
    #[cfg(feature = "compiler")]
    #[error("the component does not compile: {0}")]
    Compile(String),
}

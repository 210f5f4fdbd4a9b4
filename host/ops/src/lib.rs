//! Every effect that a guest can ask for, as a value.
//!
//! A guest's import call becomes an [`Op`]; the same value is what crosses the socket between sandbox and
//! broker, what the grant and the policy see, what the undo is made of and what a [`KernelOp`] asks of the kernel.
//! One module per capability, named as its WIT interface is; this crate does no I/O.

pub mod addresses;
pub mod bridge_ports;
pub mod call;
mod changed;
pub mod conntrack;
pub mod delegate;
mod error;
pub mod filter;
mod handles;
pub mod leases;
pub mod links;
pub mod logging;
mod mac;
pub mod nat;
pub mod neighbours;
mod op;
pub mod policy;
mod reply;
pub mod routes;
pub mod shaping;
pub mod sysctl;
pub mod wire;

pub use changed::Act;
pub use error::{Error, ErrorKind};
pub use ipnetwork::IpNetwork;
pub use mac::{Mac, ParseMacError};
pub use op::{Attachment, KernelOp, Link, Ns, OPERATIONS, Op, Operation};
pub use reply::Reply;

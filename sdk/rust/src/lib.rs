//! Write Wharf guests in Rust.
//!
//! A guest is a crate of type `cdylib` that implements [`Network`] or [`Ipam`], exports it with
//! [`export_network!`] or [`export_ipam!`], and is built for `wasm32-wasip2`. What it imports is exactly what it
//! calls, and that is what a grant has to allow. Error handling is `?`: a host call's [`HostError`] becomes the
//! CNI [`Error`] that the runtime sees. A panic is a trap: the host logs its message and undoes the call.
//!
//! Everything builds natively too, so that a guest's pure logic is tested by `cargo test`; host calls work in a
//! component only.

pub mod addr;
#[doc(hidden)]
pub mod bindings;
pub mod config;
pub mod delegate;
mod error;
pub mod firewall;
mod guest;
pub mod interface;
mod json;
pub mod leases;
pub mod log;
pub mod names;
pub mod net;
pub mod policy;
mod request;
mod result;
pub mod tc;

pub use addr::{Mac, ParseMacError};
pub use config::Config;
pub use error::{Context, Error, HostError, HostErrorKind, HostResult, Result, code};
#[doc(hidden)]
pub use guest::Adapter;
pub use guest::{Ipam, Network};
pub use ipnetwork::{IpNetwork, Ipv4Network, Ipv6Network};
pub use net::{Link, LinkInfo, Netns};
pub use request::{Args, Attachment, Owner, Request};
pub use result::{Dns, DnsConfig, Interface, IpConfig, NetworkResult, ResultRoute};

/// The example in the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

//! The CNI protocol (specification 1.1.0) as pure data: environment, configuration, results, versions, errors.
//!
//! Nothing here reads a file, a variable or a socket; whoever calls does, and hands the bytes over.
//! Bad input is an [`Error`] that says what and where, and never a panic.

pub mod args;
pub mod attachment;
pub mod chain;
pub mod config;
pub mod conflist;
pub mod env;
pub mod error;
mod json;
pub mod result;
pub mod spelling;
pub mod version;

pub use attachment::Attachment;
pub use config::NetConf;
pub use conflist::NetworkList;
pub use env::{Command, Env};
pub use error::{CniError, Error};
pub use result::{Dns, Interface, IpConfig, NetworkResult, Route};
pub use version::Version;

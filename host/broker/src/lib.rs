//! The broker: the privileged half of Wharf.
//!
//! It reads the request, opens what the request names, and serves the sandboxes. Every operation of a guest passes
//! one pipeline (`pipeline`): the handle is one that was handed out, the grant covers it, the policy agrees, the
//! undo is recorded, the kernel does it.

mod access;
mod boot;
mod bridges;
pub mod collect;
mod convert;
pub mod delegate;
pub mod failure;
mod flock;
pub mod folder;
pub mod grants;
pub mod guests;
pub mod journal;
pub mod launch;
mod lease_ops;
pub mod leases;
pub mod log;
pub mod native;
pub mod overview;
mod paths;
mod pipeline;
pub mod pod_cidr;
pub mod policy;
mod reach;
pub mod reconcile;
mod record;
mod repair;
pub mod run;
mod running;
pub mod secrets;
mod session;
pub mod settings;
pub mod signals;
pub mod spelling;
pub mod spent;
mod teardown;
pub mod telemetry;
pub mod time;
mod undo;
pub mod witness;

pub use access::writable;
pub use paths::{Paths, is_absent};
pub use repair::{Recovered, Unreadable};
pub use run::{Broker, Output, own_namespace, recover, retired_networks};

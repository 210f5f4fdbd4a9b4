//! A node to test on: throw-away network namespaces with an installed Wharf, a runtime that calls it as libcni does,
//! pictures of what is in the kernel, and traffic.
//!
//! Nothing is global: tests run in parallel, each with nodes of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "this is test code: a panic is how it says that something is wrong"
)]

pub mod crash;
pub mod docs;
pub mod dump;
pub mod install;
pub mod native;
pub mod netns;
pub mod node;
pub mod outcome;
pub mod parity;
pub mod runtime;
pub mod runtimes;
pub mod sh;
pub mod trace;
pub mod traffic;

pub use dump::Dump;
pub use netns::Netns;
pub use node::{Container, Node};
pub use outcome::Outcome;
pub use runtime::{Attachment, Network, Target};
pub use serde_json::{Value, json};

/// Says that the test cannot run on this machine, and why, and returns from it.
#[macro_export]
macro_rules! skip {
    ($($reason:tt)*) => {{
        let name = std::thread::current().name().unwrap_or("a test").to_owned();
        println!("SKIPPED: {name}: {}", format_args!($($reason)*));
        return;
    }};
}

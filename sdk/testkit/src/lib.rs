//! Test Wharf guests natively: no component, no root, no network, and a debugger works.
//!
//! A [`Node`] is a machine in memory that answers a guest's host calls as Linux would. A guest runs on it as it does under a
//! runtime, call by call:
//!
//! ```
//! use wharf_sdk::net::VethEnd;
//! use wharf_sdk::{Interface, Netns, NetworkResult, Request, Result};
//! use wharf_testkit::{Node, json};
//!
//! /// A veth pair, and nothing else.
//! #[wharf_sdk::network]
//! fn add(request: &Request, host: &Netns, container: &Netns) -> Result<NetworkResult> {
//!     let (inside, outside) = (VethEnd::new(request.ifname()), VethEnd::new("cable0"));
//!     let (inside, outside) = container.create_veth(&inside, host, &outside)?;
//!     inside.set_up()?;
//!     outside.set_up()?;
//!     let mut result = NetworkResult::default();
//!     result.add_interface(Interface::new(request.ifname()).in_sandbox("/run/netns/c1"));
//!     Ok(result)
//! }
//!
//! # fn main() -> Result<()> {
//! let node = Node::new();
//! let pod = node.container("c1");
//! let result = node.add::<Guest>(&pod, json!({}))?;
//! assert_eq!(result.interfaces[0].name, "eth0");
//! assert!(pod.link("eth0").is_some_and(|eth0| eth0.operational));
//!
//! // The guest has no `del`: the host sweeps what its ADD made, as it does on a real node.
//! node.del::<Guest>(&pod, json!({}))?;
//! assert!(node.host().link("cable0").is_none());
//! # Ok(())
//! # }
//! ```
//!
//! What the host does around a guest, the node does, too: an ADD that fails is undone, CHECK and STATUS may only look, links
//! of the host that are not the attachment's may not be changed, leases belong to their attachment. It grants every operation;
//! [`Node::deny`] takes one away. What only the whole of Wharf can show (the grant file, limits, the component itself),
//! `wharfctl test` shows with the component.

mod attachment;
mod boot;
mod cable;
mod change;
mod conf;
mod container;
mod convert;
mod delegates;
mod fault;
mod host;
mod leases;
mod log;
mod machine;
mod namespace;
mod node;
mod passage;
mod reach;
mod sweep;

pub use cable::Cable;
pub use change::Change;
pub use conf::Conf;
pub use container::Container;
pub use fault::Fault;
pub use log::Line;
pub use namespace::Namespace;
pub use node::{Node, run};
pub use passage::{Outcome, Passage};
pub use serde_json::json;

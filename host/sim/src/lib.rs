//! A simulated machine: namespaces, links, addresses, routes, neighbours, rules, qdiscs and sysctls in memory, behind
//! the same [`Kernel`](wharf_kernel::Kernel) trait as the real ones. It needs no root and touches nothing.
//!
//! It answers every operation as Linux does, with the same errno and the same words where it refuses; one suite of
//! operations runs on both, so that it cannot drift. It is deterministic: indices count up, and what the kernel makes up
//! comes from a seed.
//!
//! ```
//! use wharf_kernel::Kernel;
//! use wharf_ops::links::{Common, LinkOp};
//! use wharf_ops::{Attachment, KernelOp, Ns};
//!
//! let sim = wharf_sim::Sim::new(1);
//! let container = sim.add_namespace("/run/netns/one");
//! let mut kernel = sim.kernel(sim.host(), Some(container));
//! let owner = Attachment { network: "net".into(), container: "one".into(), ifname: "eth0".into() };
//! let common = Common { name: "br0".into(), ..Common::default() };
//! let op = LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering: false };
//! let (bridge, new) = kernel.apply(&owner, &KernelOp::Link(op)).unwrap().bridge().unwrap();
//! assert!(new && bridge.index == 2);
//! ```

mod addresses;
mod bridge_ports;
mod call;
mod conntrack;
mod device;
mod features;
mod filter;
mod firewall;
mod history;
mod imitate;
mod kernel;
mod links;
#[cfg(feature = "machine")]
mod machine;
mod nat;
mod neighbours;
mod picture;
mod probe;
mod routes;
mod shaping;
mod sim;
mod snapshot;
mod sysctl;
mod world;

pub use conntrack::Flow;
pub use features::Features;
pub use history::Change;
pub use kernel::SimKernel;
pub use probe::{Hop, Outcome, Passage, Probe};
pub use sim::Sim;
pub use snapshot::Snapshot;
pub use wharf_kernel::Kernel;
pub use world::Space;

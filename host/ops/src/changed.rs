//! Which links an operation changes: what the host, real or simulated, compares with whose they are.

use crate::bridge_ports::BridgePortOp;
use crate::links::LinkOp;
use crate::shaping::ShapingOp;
use crate::{KernelOp, Link};

/// What is done to a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// It is another one afterwards.
    Change,
    /// It is gone afterwards.
    Delete,
}

impl KernelOp {
    /// The links that the operation changes. Those that it only leads to, as a port to its bridge, are the grant's to bound.
    pub fn changed_links(&self) -> Vec<(&Link, Act)> {
        match self {
            Self::Link(op) => match op {
                LinkOp::SetUp { link, .. }
                | LinkOp::SetMtu { link, .. }
                | LinkOp::SetMac { link, .. }
                | LinkOp::SetMaster { link, .. }
                | LinkOp::SetPromiscuous { link, .. }
                | LinkOp::SetAlias { link, .. } => vec![(link, Act::Change)],
                LinkOp::Delete { link } | LinkOp::DeleteUnusedBridge { link } => vec![(link, Act::Delete)],
                LinkOp::DeleteMany { links } => links.iter().map(|link| (link, Act::Delete)).collect(),
                LinkOp::Get { .. }
                | LinkOp::GetAll { .. }
                | LinkOp::Info { .. }
                | LinkOp::Peer { .. }
                | LinkOp::CreateVeth { .. }
                | LinkOp::EnsureBridge { .. }
                | LinkOp::CreateIfb { .. }
                | LinkOp::WaitOperational { .. } => Vec::new(),
            },
            Self::BridgePort(op) => match op {
                BridgePortOp::SetHairpin { port, .. }
                | BridgePortOp::SetIsolated { port, .. }
                | BridgePortOp::AddVlan { port, .. }
                | BridgePortOp::RemoveVlan { port, .. } => vec![(port, Act::Change)],
                BridgePortOp::Get { .. } | BridgePortOp::GetVlans { .. } => Vec::new(),
            },
            Self::Shaping(op) => match op {
                ShapingOp::SetEgress { on, .. }
                | ShapingOp::Clear { on }
                | ShapingOp::ClearEgress { on }
                | ShapingOp::ClearIngress { on } => vec![(on, Act::Change)],
                ShapingOp::RedirectIngress { on, to } => vec![(on, Act::Change), (to, Act::Change)],
                ShapingOp::GetEgress { .. } | ShapingOp::GetRedirect { .. } => Vec::new(),
            },
            // Addresses, routes and neighbours are bounded by what they are, rules by their owner.
            Self::Address(_)
            | Self::Route(_)
            | Self::Neighbour(_)
            | Self::Sysctl(_)
            | Self::Nat(_)
            | Self::Filter(_)
            | Self::Conntrack(_) => Vec::new(),
        }
    }
}

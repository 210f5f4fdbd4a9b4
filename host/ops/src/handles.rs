//! The handles inside an operation: what the broker compares with what it handed out.

use crate::addresses::AddressOp;
use crate::bridge_ports::BridgePortOp;
use crate::links::LinkOp;
use crate::neighbours::NeighbourOp;
use crate::routes::RouteOp;
use crate::shaping::ShapingOp;
use crate::sysctl::SysctlOp;
use crate::{KernelOp, Link, Ns};

impl KernelOp {
    /// The links that the operation names by handle, at most two.
    pub fn links(&self) -> [Option<&Link>; 2] {
        match self {
            Self::Link(op) => match op {
                LinkOp::Get { .. }
                | LinkOp::GetAll { .. }
                | LinkOp::CreateVeth { .. }
                | LinkOp::EnsureBridge { .. }
                | LinkOp::CreateIfb { .. }
                // The broker's own: its links were checked when they were collected.
                | LinkOp::DeleteMany { .. } => [None, None],
                LinkOp::SetMaster { link, master } => [Some(link), master.as_ref()],
                LinkOp::Info { link }
                | LinkOp::Peer { of: link, .. }
                | LinkOp::SetUp { link, .. }
                | LinkOp::SetMtu { link, .. }
                | LinkOp::SetMac { link, .. }
                | LinkOp::SetPromiscuous { link, .. }
                | LinkOp::SetAlias { link, .. }
                | LinkOp::WaitOperational { link }
                | LinkOp::Delete { link }
                | LinkOp::DeleteUnusedBridge { link } => [Some(link), None],
            },
            Self::BridgePort(op) => match op {
                BridgePortOp::Get { port }
                | BridgePortOp::SetHairpin { port, .. }
                | BridgePortOp::SetIsolated { port, .. }
                | BridgePortOp::AddVlan { port, .. }
                | BridgePortOp::RemoveVlan { port, .. }
                | BridgePortOp::GetVlans { port } => [Some(port), None],
            },
            Self::Address(op) => match op {
                AddressOp::Add { on, .. }
                | AddressOp::Remove { on, .. }
                | AddressOp::GetAll { on }
                | AddressOp::Settle { on }
                | AddressOp::Announce { on } => [Some(on), None],
            },
            Self::Neighbour(op) => match op {
                NeighbourOp::Set { on, .. } | NeighbourOp::Remove { on, .. } | NeighbourOp::GetAll { on } => {
                    [Some(on), None]
                }
            },
            Self::Shaping(op) => match op {
                ShapingOp::RedirectIngress { on, to } => [Some(on), Some(to)],
                ShapingOp::SetEgress { on, .. }
                | ShapingOp::GetEgress { on }
                | ShapingOp::GetRedirect { on }
                | ShapingOp::Clear { on }
                | ShapingOp::ClearEgress { on }
                | ShapingOp::ClearIngress { on } => [Some(on), None],
            },
            Self::Route(_) | Self::Sysctl(_) | Self::Nat(_) | Self::Filter(_) | Self::Conntrack(_) => {
                [None, None]
            }
        }
    }

    /// The namespaces that the operation names besides those of its links, at most two.
    pub fn namespaces(&self) -> [Option<Ns>; 2] {
        match self {
            Self::Link(op) => match op {
                LinkOp::Get { ns, .. }
                | LinkOp::GetAll { ns }
                | LinkOp::Peer { ns, .. }
                | LinkOp::EnsureBridge { ns, .. }
                | LinkOp::CreateIfb { ns, .. } => [Some(*ns), None],
                LinkOp::CreateVeth { a, b } => [Some(a.ns), Some(b.ns)],
                LinkOp::Info { .. }
                | LinkOp::SetUp { .. }
                | LinkOp::SetMtu { .. }
                | LinkOp::SetMac { .. }
                | LinkOp::SetMaster { .. }
                | LinkOp::SetPromiscuous { .. }
                | LinkOp::SetAlias { .. }
                | LinkOp::WaitOperational { .. }
                | LinkOp::Delete { .. }
                | LinkOp::DeleteMany { .. }
                | LinkOp::DeleteUnusedBridge { .. } => [None, None],
            },
            Self::Route(op) => match op {
                RouteOp::Add { ns, .. }
                | RouteOp::Remove { ns, .. }
                | RouteOp::GetAll { ns, .. }
                | RouteOp::Lookup { ns, .. } => [Some(*ns), None],
            },
            Self::Sysctl(op) => match op {
                SysctlOp::Read { ns, .. } | SysctlOp::Write { ns, .. } => [Some(*ns), None],
            },
            // What these do is done on the host's side, or where their links are.
            Self::Nat(_)
            | Self::Filter(_)
            | Self::Conntrack(_)
            | Self::BridgePort(_)
            | Self::Address(_)
            | Self::Neighbour(_)
            | Self::Shaping(_) => [None, None],
        }
    }
}

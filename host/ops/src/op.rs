//! The operation itself, the handles in it, and the table of every operation's name.

use serde::{Deserialize, Serialize};

use crate::addresses::AddressOp;
use crate::bridge_ports::BridgePortOp;
use crate::conntrack::ConntrackOp;
use crate::delegate::{DelegateOp, Verb};
use crate::filter::FilterOp;
use crate::leases::LeaseOp;
use crate::links::LinkOp;
use crate::nat::NatOp;
use crate::neighbours::NeighbourOp;
use crate::routes::RouteOp;
use crate::shaping::ShapingOp;
use crate::sysctl::SysctlOp;

/// One of the two namespaces of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ns {
    /// The runtime's own.
    Host,
    /// The one that CNI_NETNS names.
    Container,
}

/// A link inside one namespace. The broker accepts only what it handed out before.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Link {
    /// Where it is.
    pub ns: Ns,
    /// Its index; 0 means that it is to be found by name (in an undo that was written before the link existed).
    pub index: u32,
    /// Its name when the handle was made.
    pub name: String,
}

/// What one attachment is called: the owner of everything an ADD makes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Attachment {
    /// The `name` of the network configuration.
    pub network: String,
    /// CNI_CONTAINERID.
    pub container: String,
    /// CNI_IFNAME.
    pub ifname: String,
}

/// What is asked of the kernel, real or simulated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelOp {
    /// `links`.
    Link(LinkOp),
    /// `bridge-ports`.
    BridgePort(BridgePortOp),
    /// `addresses`.
    Address(AddressOp),
    /// `routes`.
    Route(RouteOp),
    /// `neighbours`.
    Neighbour(NeighbourOp),
    /// `sysctl`.
    Sysctl(SysctlOp),
    /// `nat`.
    Nat(NatOp),
    /// `filter`.
    Filter(FilterOp),
    /// `conntrack`.
    Conntrack(ConntrackOp),
    /// `shaping`.
    Shaping(ShapingOp),
}

/// What a guest asks of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Op {
    /// Of the kernel.
    Kernel(KernelOp),
    /// Of the lease store.
    Lease(LeaseOp),
    /// Of another plugin.
    Delegate(DelegateOp),
}

/// A row of the table of operations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// `interface/function`, as grants and error messages name it.
    pub name: &'static str,
    /// Whether it changes anything: only then there is something to review and to undo.
    pub changes: bool,
}

/// The name in the table, and whether it changes anything.
impl KernelOp {
    /// Its row in [`OPERATIONS`].
    pub fn operation(&self) -> Operation {
        match self {
            Self::Link(op) => link(op),
            Self::BridgePort(op) => bridge_port(op),
            Self::Address(op) => address(op),
            Self::Route(op) => match op {
                RouteOp::Add { .. } => change("routes/add"),
                RouteOp::Remove { .. } => change("routes/remove"),
                RouteOp::GetAll { .. } => read("routes/get-all"),
                RouteOp::Lookup { .. } => read("routes/lookup"),
            },
            Self::Neighbour(op) => match op {
                NeighbourOp::Set { .. } => change("neighbours/set"),
                NeighbourOp::Remove { .. } => change("neighbours/remove"),
                NeighbourOp::GetAll { .. } => read("neighbours/get-all"),
            },
            Self::Sysctl(op) => match op {
                SysctlOp::Read { .. } => read("sysctl/read"),
                SysctlOp::Write { .. } => change("sysctl/write"),
            },
            Self::Nat(op) => match op {
                NatOp::Detect => read("nat/detect"),
                NatOp::Masquerade { .. } => change("nat/masquerade"),
                NatOp::GetMasquerades => read("nat/get-masquerades"),
                NatOp::RemoveMasquerades => change("nat/remove-masquerades"),
                NatOp::ForwardPorts { .. } => change("nat/forward-ports"),
                NatOp::GetForwards => read("nat/get-forwards"),
                NatOp::RemoveForwards => change("nat/remove-forwards"),
            },
            Self::Filter(op) => match op {
                FilterOp::AntiSpoof { .. } => change("filter/anti-spoof"),
                FilterOp::GetAntiSpoof { .. } => read("filter/get-anti-spoof"),
                FilterOp::RemoveAntiSpoof => change("filter/remove-anti-spoof"),
            },
            Self::Conntrack(ConntrackOp::FlushUdp { .. }) => change("conntrack/flush-udp"),
            Self::Shaping(op) => match op {
                ShapingOp::SetEgress { .. } => change("shaping/set-egress"),
                ShapingOp::GetEgress { .. } => read("shaping/get-egress"),
                ShapingOp::RedirectIngress { .. } => change("shaping/redirect-ingress"),
                ShapingOp::GetRedirect { .. } => read("shaping/get-redirect"),
                ShapingOp::Clear { .. } => change("shaping/clear"),
                ShapingOp::ClearEgress { .. } => change("shaping/clear-egress"),
                ShapingOp::ClearIngress { .. } => change("shaping/clear-ingress"),
            },
        }
    }
}

impl Op {
    /// Its row in [`OPERATIONS`].
    pub fn operation(&self) -> Operation {
        match self {
            Self::Kernel(op) => op.operation(),
            Self::Lease(op) => match op {
                LeaseOp::Open { .. } => read("leases/open"),
                LeaseOp::Close { .. } => read("leases/close"),
                LeaseOp::TryReserve { .. } => change("leases/try-reserve"),
                LeaseOp::ReserveNext { .. } => change("leases/reserve-next"),
                LeaseOp::Release { .. } => change("leases/release"),
                LeaseOp::Find { .. } => read("leases/find"),
                LeaseOp::GetAll { .. } => read("leases/get-all"),
                LeaseOp::LastReserved { .. } => read("leases/last-reserved"),
                LeaseOp::SetLastReserved { .. } => change("leases/set-last-reserved"),
                LeaseOp::ReadResolvConf { .. } => read("leases/read-resolv-conf"),
            },
            Self::Delegate(op) => match op.verb {
                Verb::Add => change("delegate/add"),
                Verb::Check => read("delegate/check"),
                Verb::Del => change("delegate/del"),
                Verb::Status => read("delegate/status"),
                Verb::Gc => change("delegate/gc"),
            },
        }
    }
}

fn link(op: &LinkOp) -> Operation {
    match op {
        LinkOp::Get { .. } => read("links/get"),
        LinkOp::GetAll { .. } => read("links/get-all"),
        LinkOp::Info { .. } => read("links/info"),
        LinkOp::Peer { .. } => read("links/peer"),
        LinkOp::CreateVeth { .. } => change("links/create-veth"),
        LinkOp::EnsureBridge { .. } => change("links/ensure-bridge"),
        LinkOp::CreateIfb { .. } => change("links/create-ifb"),
        LinkOp::SetUp { .. } => change("links/set-up"),
        LinkOp::SetMtu { .. } => change("links/set-mtu"),
        LinkOp::SetMac { .. } => change("links/set-mac"),
        LinkOp::SetMaster { .. } => change("links/set-master"),
        LinkOp::SetPromiscuous { .. } => change("links/set-promiscuous"),
        LinkOp::SetAlias { .. } => change("links/set-alias"),
        LinkOp::WaitOperational { .. } => read("links/wait-operational"),
        LinkOp::Delete { .. } => change("links/delete"),
        LinkOp::DeleteMany { .. } => change("links/delete-many"),
        LinkOp::DeleteUnusedBridge { .. } => change("links/delete-unused-bridge"),
    }
}

fn bridge_port(op: &BridgePortOp) -> Operation {
    match op {
        BridgePortOp::Get { .. } => read("bridge-ports/get"),
        BridgePortOp::SetHairpin { .. } => change("bridge-ports/set-hairpin"),
        BridgePortOp::SetIsolated { .. } => change("bridge-ports/set-isolated"),
        BridgePortOp::AddVlan { .. } => change("bridge-ports/add-vlan"),
        BridgePortOp::RemoveVlan { .. } => change("bridge-ports/remove-vlan"),
        BridgePortOp::GetVlans { .. } => read("bridge-ports/get-vlans"),
    }
}

fn address(op: &AddressOp) -> Operation {
    match op {
        AddressOp::Add { .. } => change("addresses/add"),
        AddressOp::Remove { .. } => change("addresses/remove"),
        AddressOp::GetAll { .. } => read("addresses/get-all"),
        AddressOp::Settle { .. } => read("addresses/settle"),
        AddressOp::Announce { .. } => change("addresses/announce"),
    }
}

const fn change(name: &'static str) -> Operation {
    Operation { name, changes: true }
}

const fn read(name: &'static str) -> Operation {
    Operation { name, changes: false }
}

/// Every operation that a guest can import, in the order of the WIT files. A test compares it with them.
pub const OPERATIONS: &[Operation] = &[
    read("links/info"),
    change("links/set-up"),
    change("links/set-mtu"),
    change("links/set-mac"),
    change("links/set-master"),
    change("links/set-promiscuous"),
    change("links/set-alias"),
    read("links/wait-operational"),
    change("links/delete"),
    read("links/get"),
    read("links/get-all"),
    read("links/peer"),
    change("links/create-veth"),
    change("links/ensure-bridge"),
    change("links/create-ifb"),
    read("bridge-ports/get"),
    change("bridge-ports/set-hairpin"),
    change("bridge-ports/set-isolated"),
    change("bridge-ports/add-vlan"),
    change("bridge-ports/remove-vlan"),
    read("bridge-ports/get-vlans"),
    change("addresses/add"),
    change("addresses/remove"),
    read("addresses/get-all"),
    read("addresses/settle"),
    change("addresses/announce"),
    change("routes/add"),
    change("routes/remove"),
    read("routes/get-all"),
    read("routes/lookup"),
    change("neighbours/set"),
    change("neighbours/remove"),
    read("neighbours/get-all"),
    read("sysctl/read"),
    change("sysctl/write"),
    read("nat/detect"),
    change("nat/masquerade"),
    read("nat/get-masquerades"),
    change("nat/remove-masquerades"),
    change("nat/forward-ports"),
    read("nat/get-forwards"),
    change("nat/remove-forwards"),
    change("filter/anti-spoof"),
    read("filter/get-anti-spoof"),
    change("filter/remove-anti-spoof"),
    change("conntrack/flush-udp"),
    change("shaping/set-egress"),
    read("shaping/get-egress"),
    change("shaping/redirect-ingress"),
    read("shaping/get-redirect"),
    change("shaping/clear"),
    read("leases/open"),
    change("leases/try-reserve"),
    change("leases/reserve-next"),
    change("leases/release"),
    read("leases/find"),
    read("leases/get-all"),
    read("leases/last-reserved"),
    change("leases/set-last-reserved"),
    read("leases/read-resolv-conf"),
    change("delegate/add"),
    read("delegate/check"),
    change("delegate/del"),
    read("delegate/status"),
    change("delegate/gc"),
];

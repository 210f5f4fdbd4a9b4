//! The kernel of this machine: two namespaces, their sockets, and one match over the rooms.

use std::time::{Duration, Instant};

use wharf_ops::{Attachment, Error, KernelOp, Ns, Reply};

pub(crate) use crate::common::{no_container as gone, place};
use crate::iptables::Memory;
use crate::netlink::{NetlinkError, Protocol, Socket};
use crate::netns::Netns;
use crate::sysctl::Procfs;
use crate::{
    Kernel, addresses, bridge_ports, conntrack, filter, links, nat, neighbours, routes, shaping, sysctl,
};

/// The longest wait without a deadline.
const WAIT: Duration = Duration::from_secs(10);

/// Carries out operations on the kernel that this process runs on.
///
/// Sockets are opened when they are first needed, one of NETLINK_ROUTE per namespace and one of NETLINK_NETFILTER
/// in the host's, and kept until the value is dropped. Closing the latter waits for what it deleted, unless a link
/// was deleted afterwards: let firewall state go before links.
#[derive(Debug)]
pub struct RealKernel {
    host: Netns,
    container: Option<Netns>,
    host_route: Option<Socket>,
    container_route: Option<Socket>,
    netfilter: Option<Socket>,
    deadline: Option<Instant>,
    passes_over_legacy: bool,
    pub(crate) memory: Option<Memory>,
    pub(crate) procfs: Procfs,
}

impl RealKernel {
    /// For one call. The container's namespace may be gone when something is torn down.
    pub fn new(host: Netns, container: Option<Netns>) -> Self {
        Self {
            host,
            container,
            host_route: None,
            container_route: None,
            netfilter: None,
            deadline: None,
            passes_over_legacy: false,
            memory: None,
            procfs: Procfs::default(),
        }
    }

    /// Where a wait ends: at the deadline, or soon where none was set.
    pub(crate) fn end_of_wait(&self) -> Instant {
        self.deadline.unwrap_or_else(|| Instant::now() + WAIT)
    }

    /// Whether a table of iptables-legacy that cannot be read has nothing that is asked for.
    pub(crate) fn passes_over_legacy(&self) -> bool {
        self.passes_over_legacy
    }

    /// One of the two namespaces.
    pub(crate) fn netns(&self, ns: Ns) -> Result<&Netns, Error> {
        match ns {
            Ns::Host => Ok(&self.host),
            Ns::Container => self.container.as_ref().ok_or_else(gone),
        }
    }

    /// Whether that namespace is there. What was in one that is gone is gone too.
    pub(crate) fn has(&self, ns: Ns) -> bool {
        ns == Ns::Host || self.container.is_some()
    }

    /// Runs `f` inside a namespace.
    pub(crate) fn in_ns<T>(&mut self, ns: Ns, f: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        inside(self.netns(ns)?, ns, f)
    }

    /// The rtnetlink socket of a namespace.
    pub(crate) fn route(&mut self, ns: Ns) -> Result<&mut Socket, Error> {
        let (slot, netns) = match ns {
            Ns::Host => (&mut self.host_route, &self.host),
            Ns::Container => (&mut self.container_route, self.container.as_ref().ok_or_else(gone)?),
        };
        match slot {
            Some(socket) => Ok(socket),
            None => Ok(slot.insert(open(netns, ns, Protocol::Route)?)),
        }
    }

    /// The nf_tables and conntrack socket of the host's namespace.
    pub(crate) fn netfilter(&mut self) -> Result<&mut Socket, Error> {
        self.netfilter_and_memory().map(|(socket, _)| socket)
    }

    /// The same, and what is remembered of rules.
    pub(crate) fn netfilter_and_memory(&mut self) -> Result<(&mut Socket, Option<&mut Memory>), Error> {
        let socket = match self.netfilter {
            Some(ref mut socket) => socket,
            None => self.netfilter.insert(open(&self.host, Ns::Host, Protocol::Netfilter)?),
        };
        Ok((socket, self.memory.as_mut()))
    }

    /// A new rtnetlink socket that hears the events of `group`.
    pub(crate) fn listener(&self, ns: Ns, group: u32) -> Result<Socket, Error> {
        let mut socket = open(self.netns(ns)?, ns, Protocol::Route)?;
        socket
            .subscribe(group)
            .map_err(|error| error.explain(format!("listening for events in {}", place(ns))))?;
        Ok(socket)
    }
}

impl Kernel for RealKernel {
    fn apply(&mut self, owner: &Attachment, op: &KernelOp) -> Result<Reply, Error> {
        match op {
            KernelOp::Link(op) => {
                let reply = links::apply(self, op)?;
                links::stamp(self, owner, &reply);
                Ok(reply)
            }
            KernelOp::BridgePort(op) => bridge_ports::apply(self, op),
            KernelOp::Address(op) => addresses::apply(self, op),
            KernelOp::Route(op) => routes::apply(self, op),
            KernelOp::Neighbour(op) => neighbours::apply(self, op),
            KernelOp::Sysctl(op) => sysctl::apply(self, op),
            KernelOp::Nat(op) => nat::apply(self, owner, op),
            KernelOp::Filter(op) => filter::apply(self, owner, op),
            KernelOp::Conntrack(op) => conntrack::apply(self, op),
            KernelOp::Shaping(op) => shaping::apply(self, op),
        }
    }

    fn pass_over_legacy(&mut self, pass_over: bool) {
        self.passes_over_legacy = pass_over;
    }

    fn remember_rules(&mut self) {
        self.memory.get_or_insert_default();
    }

    fn among_many(&mut self) {
        self.procfs.keep_apart();
    }

    fn set_deadline(&mut self, deadline: Option<Instant>) {
        self.deadline = deadline;
    }

    fn owners(&mut self, network: &str) -> Result<Vec<Attachment>, Error> {
        nat::owners(self, network)
    }

    fn sweep(&mut self, owner: &Attachment) -> Result<(), Error> {
        nat::sweep(self, owner)
    }
}

fn open(netns: &Netns, ns: Ns, protocol: Protocol) -> Result<Socket, Error> {
    inside(netns, ns, || {
        let opened: Result<Socket, NetlinkError> = Socket::open(protocol);
        opened.map_err(|error| error.explain(format!("talking to the kernel in {}", place(ns))))
    })
}

fn inside<T>(netns: &Netns, ns: Ns, f: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    netns.enter(f).map_err(|error| Error::internal(format!("entering {}: {error}", place(ns))))?
}

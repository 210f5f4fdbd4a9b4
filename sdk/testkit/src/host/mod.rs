//! The host of one call: every function of the WIT becomes an operation, as it does in a sandbox.

mod addresses;
mod bridge_ports;
mod conntrack;
mod delegate;
mod filter;
mod leases;
mod links;
mod logging;
mod nat;
mod neighbours;
mod routes;
mod shaping;
mod sysctl;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use wharf_ops::{Attachment, Error, ErrorKind, KernelOp, Ns, Op, Reply};
use wharf_sdk::native::wit::types::errors;
use wharf_sdk::{Owner, Request};
use wharf_sim::{Kernel as _, Space};

use crate::change::Change;
use crate::convert::to_error;
use crate::machine::Machine;
use crate::reach::Reach;

type Answer<T> = Result<T, errors::Error>;

/// What a call is for, as far as the host treats it differently.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    /// May make things.
    Add,
    /// May remove things.
    Del,
    /// CHECK: may only look.
    Check,
    /// STATUS: may only look.
    Status,
    /// May remove what these do not have.
    Gc(Vec<Owner>),
}

/// Answers the host calls of one call of one guest.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) machine: Rc<Machine>,
    pub(crate) verb: Verb,
    pub(crate) attachment: Attachment,
    /// The container's namespace, if there is one.
    pub(crate) container: Option<Space>,
    /// What a delegate hears, too. STATUS and GC are about no attachment.
    pub(crate) request: Option<Request>,
    /// How many guests are between the runtime and this one.
    pub(crate) depth: u32,
    /// The directories of open pools, by number.
    pub(crate) pools: RefCell<BTreeMap<u32, Option<String>>>,
}

impl Host {
    /// Carries out an operation, notes it, and takes the value out of its reply.
    fn ask<T>(&self, op: impl Into<Operation>, take: impl FnOnce(Reply) -> Result<T, Error>) -> Answer<T> {
        let Operation(op) = op.into();
        let operation = op.operation();
        let answer = self.perform(&op).and_then(take);
        let answer =
            answer.map_err(|error| to_error(Error { operation: operation.name.to_owned(), ..error }));
        self.machine.note(operation, Change::of(&op, answer.as_ref().err().cloned().map(Into::into)));
        answer
    }

    fn perform(&self, op: &Op) -> Result<Reply, Error> {
        let operation = op.operation();
        if operation.changes && matches!(self.verb, Verb::Check | Verb::Status) {
            let reason = format!("{} changes something, and this call may only look", operation.name);
            return Err(Error::new(ErrorKind::Denied, reason));
        }
        self.machine.strike(operation.name)?;
        match op {
            Op::Kernel(op) => self.kernel(op),
            Op::Lease(op) => self.lease(op),
            Op::Delegate(_) => Err(Error::internal("delegates are run, not carried out")),
        }
    }

    fn kernel(&self, op: &KernelOp) -> Result<Reply, Error> {
        let inside = op.links().into_iter().flatten().any(|link| link.ns == Ns::Container);
        if self.container.is_none() && (inside || op.namespaces().contains(&Some(Ns::Container))) {
            return Err(Error::not_found("there is no container namespace in this call"));
        }
        let mut kernel = self.machine.kernel(self.container);
        let mut records = self.machine.records.borrow_mut();
        let record = records.entry(self.attachment.clone()).or_default();
        Reach { attachment: &self.attachment, container: self.container.is_some(), verb: &self.verb, record }
            .check(&mut kernel, op)?;
        let reply = kernel.apply(&self.attachment, op)?;
        match self.verb {
            Verb::Add => record.note(op, &reply),
            Verb::Del | Verb::Gc(_) | Verb::Check | Verb::Status => {}
        }
        Ok(reply)
    }
}

/// An operation of one interface, as one of the host.
struct Operation(Op);

macro_rules! kernel_ops {
    ($($room:ident::$op:ident => $variant:ident,)*) => {
        $(impl From<wharf_ops::$room::$op> for Operation {
            fn from(op: wharf_ops::$room::$op) -> Self {
                Self(Op::Kernel(KernelOp::$variant(op)))
            }
        })*
    };
}

kernel_ops! {
    links::LinkOp => Link,
    bridge_ports::BridgePortOp => BridgePort,
    addresses::AddressOp => Address,
    routes::RouteOp => Route,
    neighbours::NeighbourOp => Neighbour,
    sysctl::SysctlOp => Sysctl,
    nat::NatOp => Nat,
    filter::FilterOp => Filter,
    conntrack::ConntrackOp => Conntrack,
    shaping::ShapingOp => Shaping,
}

impl From<wharf_ops::leases::LeaseOp> for Operation {
    fn from(op: wharf_ops::leases::LeaseOp) -> Self {
        Self(Op::Lease(op))
    }
}

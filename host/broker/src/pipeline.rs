//! The one way that every operation goes: handle, grant, reach, policy, undo, kernel. A policy is asked only about what
//! would be done, and told later if it was not done all the same.

use std::time::{Duration, Instant};

use wharf_kernel::Kernel;
use wharf_ops::addresses::AddressOp;
use wharf_ops::bridge_ports::BridgePortOp;
use wharf_ops::delegate::Verb;
use wharf_ops::filter::FilterOp;
use wharf_ops::leases::LeaseOp;
use wharf_ops::links::LinkOp;
use wharf_ops::nat::NatOp;
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::RouteOp;
use wharf_ops::shaping::ShapingOp;
use wharf_ops::{Attachment, Error, ErrorKind, KernelOp, Link, Ns, Op, Reply};

use crate::flock::Patience;
use crate::grants::Grant;
use crate::journal::{Effect, Outcome};
use crate::log::GuestLog;
use crate::policy::{Allowed, Policies};
use crate::reach::Reach;
use crate::running::Running;
use crate::signals::Signals;
use crate::teardown::Removal;
use crate::undo::{self, Plan};

/// The links that one guest was handed in one call. What is not here, it cannot name.
#[derive(Debug, Default)]
pub(crate) struct Handles {
    links: Vec<Link>,
    /// Those of them that are bridges.
    bridges: Vec<Link>,
    /// Those of the host that are the other end of a link in the container.
    own: Vec<Link>,
}

impl Handles {
    fn hand_out(&mut self, link: &Link) {
        if !self.links.contains(link) {
            self.links.push(link.clone());
        }
    }

    pub(crate) fn check(&self, op: &KernelOp) -> Result<(), Error> {
        match op.links().into_iter().flatten().find(|link| !self.links.contains(link)) {
            None => Ok(()),
            Some(link) => {
                let reason = format!(
                    "the handle {:?} (index {}) was not handed out to this guest",
                    link.name, link.index
                );
                Err(Error::new(ErrorKind::Denied, reason))
            }
        }
    }

    /// Whether the link is known to be a bridge.
    pub(crate) fn is_bridge(&self, link: &Link) -> bool {
        self.bridges.contains(link)
    }

    /// Whether the link is known to be the host's end of a veth of the container.
    pub(crate) fn is_own(&self, link: &Link) -> bool {
        self.own.contains(link)
    }

    fn learn(&mut self, op: &KernelOp, reply: &Reply) {
        match (op, reply) {
            (_, Reply::Bridge(link, _)) => self.bridges.push(link.clone()),
            (KernelOp::Link(LinkOp::Peer { of, .. }), Reply::MaybeLink(Some(link)))
                if of.ns == Ns::Container && link.ns == Ns::Host =>
            {
                self.own.push(link.clone());
            }
            _ => {}
        }
        match reply {
            Reply::Link(link) | Reply::MaybeLink(Some(link)) | Reply::Bridge(link, _) => self.hand_out(link),
            Reply::Pair(a, b) => {
                self.hand_out(a);
                self.hand_out(b);
            }
            _ => {}
        }
    }

    fn forget(&mut self, op: &KernelOp) {
        if let KernelOp::Link(LinkOp::Delete { link }) = op {
            for list in [&mut self.links, &mut self.bridges, &mut self.own] {
                list.retain(|own| own != link);
            }
        }
    }
}

/// What a guest keeps of its time when it waited for somebody else in vain.
const SPARE: Duration = Duration::from_millis(200);

/// What becomes of changes.
#[derive(Debug)]
pub(crate) enum Course {
    /// They are recorded, to be undone if the ADD fails.
    Add(Box<Running>),
    /// Some are put off, to be done at once; what is done need not be swept.
    Del(Removal),
    /// There are none.
    Look,
}

/// Who asks, and under which rules.
pub(crate) struct Gate<'a> {
    pub(crate) guest: &'a str,
    pub(crate) attachment: &'a Attachment,
    pub(crate) grant: &'a Grant,
    /// What the component imports: the other half of what it may do.
    pub(crate) imports: &'a [String],
    /// CHECK and STATUS look, and do not touch.
    pub(crate) read_only: bool,
    /// Whether this may make something that somebody has to remove again: not in DEL and GC.
    pub(crate) may_make: bool,
    pub(crate) container_present: bool,
    /// Of a GC: container and interface of what stays.
    pub(crate) valid: Option<&'a [(String, String)]>,
    pub(crate) log: &'a GuestLog<'a>,
    /// When the call must be over.
    pub(crate) deadline: Option<Instant>,
    pub(crate) signals: &'a Signals,
}

impl Gate<'_> {
    /// The grant. The guest hears that it was denied, the log which line would allow it.
    pub(crate) fn admit(&self, op: &Op) -> Result<(), Error> {
        let operation = op.operation();
        let granted =
            self.grant.allows(operation.name) && self.imports.iter().any(|name| name == operation.name);
        // Closing a pool is what dropping it means; there is nothing to grant.
        if !granted && operation.name != "leases/close" {
            let cure = match Grant::line_for(operation.name) {
                Some(line) => format!("a grant of `{line}` would allow it"),
                None => "no grant can allow it".to_string(),
            };
            self.log.denied(&format!("{} denied; {cure}", operation.name));
            return Err(Error::new(ErrorKind::Denied, format!("{} is not granted", operation.name)));
        }
        if let Err(refusal) = self.grant.confine(op, self.attachment) {
            self.log.denied(&refusal.to_string());
            return Err(refusal.into_error());
        }
        if self.read_only && operation.changes {
            let reason = format!("{} changes something, and this call may only look", operation.name);
            return Err(Error::new(ErrorKind::Denied, reason));
        }
        if !self.may_make && makes(op) {
            let reason = format!(
                "{} makes something, and this call takes down: it may only put back what the ADD of this attachment took \
                 away",
                operation.name
            );
            return Err(Error::new(ErrorKind::Denied, reason));
        }
        // Only a GC knows who is valid: elsewhere its delegate would give back what is anybody's.
        if self.valid.is_none() && matches!(op, Op::Delegate(op) if op.verb == Verb::Gc) {
            let reason = "delegate/gc removes what is not valid, and only a GC knows what is";
            return Err(Error::new(ErrorKind::Denied, reason));
        }
        Ok(())
    }

    /// The policies, if it changes something. What one denies ends the ADD: see [`Policies::veto`].
    pub(crate) fn review(&self, policies: &mut Policies<'_>, op: &Op) -> Result<Option<Allowed>, Error> {
        if !op.operation().changes {
            return Ok(None);
        }
        let reviewed = policies.review(self.guest, op, self.deadline, self.signals);
        reviewed.map_err(|veto| Error::new(ErrorKind::Denied, veto.msg))
    }

    /// Whether what it is about is within the call's reach.
    pub(crate) fn reaches(
        &self,
        kernel: &mut dyn Kernel,
        handles: &Handles,
        course: &Course,
        op: &KernelOp,
    ) -> Result<(), Error> {
        if !self.container_present && op.namespaces().contains(&Some(Ns::Container)) {
            return Err(Error::not_found("there is no container namespace in this call"));
        }
        let reach = Reach {
            attachment: self.attachment,
            valid: self.valid,
            container_present: self.container_present,
        };
        reach.check(kernel, handles, course, op)
    }

    /// Carries out an operation that nothing speaks against.
    pub(crate) fn carry_out(
        &self,
        kernel: &mut dyn Kernel,
        handles: &mut Handles,
        course: &mut Course,
        op: &KernelOp,
    ) -> Result<Reply, Error> {
        let reply = match course {
            Course::Add(running) if op.operation().changes => self.recorded(kernel, running, op)?,
            Course::Del(removal) => {
                if removal.teardown.takes(op) {
                    Reply::Done
                } else {
                    let reply = kernel.apply(self.attachment, op)?;
                    removal.owned.kernel_done(op);
                    reply
                }
            }
            Course::Add(_) | Course::Look => kernel.apply(self.attachment, op)?,
        };
        handles.learn(op, &reply);
        handles.forget(op);
        Ok(reply)
    }

    fn recorded(
        &self,
        kernel: &mut dyn Kernel,
        running: &mut Running,
        op: &KernelOp,
    ) -> Result<Reply, Error> {
        if let KernelOp::Link(LinkOp::EnsureBridge { ns: Ns::Host, common, .. }) = op {
            // A little before the guest's time is over, so that it hears what it waited for.
            let until = || self.deadline.and_then(|end| end.checked_sub(SPARE)).unwrap_or_else(Instant::now);
            let patience = Patience { until: &until, interrupted: &|| self.signals.caught() };
            running.share_bridge(&common.name, &patience)?;
        }
        let undo = match undo::plan(kernel, self.attachment, running, op)? {
            Plan::AlreadySo => {
                running.found(self.guest, op)?;
                return Ok(Reply::Done);
            }
            Plan::Do(undo) => undo,
        };
        running.intend(self.guest, Effect::Kernel { op: op.clone(), undo })?;
        let answer = kernel.apply(self.attachment, op);
        running.ended(match &answer {
            Ok(reply) => undo::outcome(reply),
            Err(error) if did_nothing(op, error) => Outcome::Nothing,
            Err(_) => Outcome::Failed,
        })?;
        if let (KernelOp::Link(LinkOp::Delete { link }), Ok(_)) = (op, &answer) {
            running.forget(link);
        }
        answer
    }
}

/// Whether an operation makes what is not there, and is to be removed with the attachment. What sets something that is
/// there, or puts it back, is not meant.
fn makes(op: &Op) -> bool {
    match op {
        Op::Kernel(op) => match op {
            KernelOp::Link(op) => matches!(
                op,
                LinkOp::CreateVeth { .. } | LinkOp::CreateIfb { .. } | LinkOp::EnsureBridge { .. }
            ),
            KernelOp::BridgePort(op) => matches!(op, BridgePortOp::AddVlan { .. }),
            KernelOp::Address(op) => matches!(op, AddressOp::Add { .. }),
            KernelOp::Route(op) => matches!(op, RouteOp::Add { .. }),
            KernelOp::Neighbour(op) => matches!(op, NeighbourOp::Set { .. }),
            // None at all removes those that there are.
            KernelOp::Nat(NatOp::Masquerade { rules, .. }) => !rules.is_empty(),
            KernelOp::Nat(NatOp::ForwardPorts { rules, .. }) => !rules.is_empty(),
            KernelOp::Filter(op) => matches!(op, FilterOp::AntiSpoof { .. }),
            KernelOp::Shaping(op) => {
                matches!(op, ShapingOp::SetEgress { .. } | ShapingOp::RedirectIngress { .. })
            }
            KernelOp::Nat(_) | KernelOp::Sysctl(_) | KernelOp::Conntrack(_) => false,
        },
        Op::Lease(op) => matches!(op, LeaseOp::TryReserve { .. } | LeaseOp::ReserveNext { .. }),
        Op::Delegate(op) => op.verb == Verb::Add,
    }
}

/// Whether an operation that failed left everything as it was: it was refused, and nothing of it comes before what refuses.
/// Rules (one family, then the other), qdiscs with their filters, and VLANs, which are set one by one, can fail half-way; a
/// link leaves its master before the new one refuses it.
fn did_nothing(op: &KernelOp, error: &Error) -> bool {
    match op {
        KernelOp::Nat(_) | KernelOp::Filter(_) => error.kind == ErrorKind::Invalid,
        KernelOp::Shaping(_) => matches!(error.kind, ErrorKind::Invalid | ErrorKind::Conflict),
        // One that cannot filter VLANs is made first, and deleted again.
        KernelOp::Link(LinkOp::EnsureBridge { .. }) => {
            matches!(error.kind, ErrorKind::AlreadyExists | ErrorKind::Conflict | ErrorKind::Invalid)
        }
        KernelOp::BridgePort(
            BridgePortOp::AddVlan { range, .. } | BridgePortOp::RemoveVlan { range, .. },
        ) => range.first == range.last && is_refusal(error),
        KernelOp::Link(LinkOp::SetMaster { .. }) => false,
        // A value may have been taken in part: only an errno says that none was.
        KernelOp::Sysctl(_) => error.errno.is_some() && is_refusal(error),
        KernelOp::Link(_)
        | KernelOp::BridgePort(_)
        | KernelOp::Address(_)
        | KernelOp::Route(_)
        | KernelOp::Neighbour(_)
        | KernelOp::Conntrack(_) => is_refusal(error),
    }
}

/// Whether the kernel, or a check before it, has said no. An answer that was lost, late or garbled says nothing of what was
/// done, and neither does a socket that failed: of kinds that either can have, the latter is assumed.
fn is_refusal(error: &Error) -> bool {
    match error.kind {
        ErrorKind::Denied
        | ErrorKind::NotFound
        | ErrorKind::AlreadyExists
        | ErrorKind::Invalid
        | ErrorKind::Unsupported
        | ErrorKind::Conflict => true,
        ErrorKind::Busy
        | ErrorKind::Exhausted
        | ErrorKind::TimedOut
        | ErrorKind::Io
        | ErrorKind::Internal => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use wharf_ops::bridge_ports::VlanRange;
    use wharf_ops::links::Common;
    use wharf_ops::shaping::Rate;
    use wharf_ops::sysctl::SysctlOp;

    fn error(kind: ErrorKind) -> Error {
        Error::new(kind, "x")
    }

    fn link() -> Link {
        Link { ns: Ns::Host, index: 3, name: "cni0".into() }
    }

    #[test]
    fn what_may_have_been_done_by_half_is_undone() {
        let did_nothing = |op: &KernelOp, kind| did_nothing(op, &error(kind));
        let common = Common { name: "ifb0".into(), ..Common::default() };
        let create = KernelOp::Link(LinkOp::CreateIfb { ns: Ns::Host, common });
        assert!(did_nothing(&create, ErrorKind::AlreadyExists), "it is somebody else's");
        assert!(did_nothing(&create, ErrorKind::Unsupported), "this kernel makes none");
        assert!(!did_nothing(&create, ErrorKind::Io));
        let rules =
            KernelOp::Nat(NatOp::Masquerade { rules: vec![], backend: wharf_ops::nat::Backend::Automatic });
        assert!(did_nothing(&rules, ErrorKind::Invalid) && !did_nothing(&rules, ErrorKind::Io));
        let rate = Rate { bits_per_second: 8, burst_bits: 8, latency_ms: 1 };
        let shape = KernelOp::Shaping(ShapingOp::SetEgress { on: link(), rate });
        assert!(did_nothing(&shape, ErrorKind::Conflict), "an operator's qdisc stands in the way, and stays");
        assert!(!did_nothing(
            &KernelOp::Link(LinkOp::SetMaster { link: link(), master: None }),
            ErrorKind::Invalid
        ));
    }

    #[test]
    fn an_answer_that_never_came_proves_nothing() {
        let add = KernelOp::Address(AddressOp::Add { on: link(), address: "10.0.0.1/24".parse().unwrap() });
        for kind in [ErrorKind::AlreadyExists, ErrorKind::Denied, ErrorKind::NotFound, ErrorKind::Invalid] {
            assert!(did_nothing(&add, &error(kind)), "{kind:?} is a refusal");
        }
        for kind in [ErrorKind::Busy, ErrorKind::TimedOut, ErrorKind::Internal, ErrorKind::Exhausted] {
            assert!(!did_nothing(&add, &error(kind)), "{kind:?} may come after the change");
        }
        let write =
            KernelOp::Sysctl(SysctlOp::Write { ns: Ns::Host, key: "ipv4/x".into(), value: "1 2".into() });
        assert!(!did_nothing(&write, &error(ErrorKind::Invalid)), "a part of the value was taken");
        assert!(did_nothing(&write, &Error::from_errno(22, "x")));
    }

    #[test]
    fn vlans_are_set_one_by_one() {
        let add = |last| {
            let range = VlanRange { first: 5, last, pvid: false, untagged: false };
            KernelOp::BridgePort(BridgePortOp::AddVlan { port: link(), range })
        };
        assert!(did_nothing(&add(5), &error(ErrorKind::Invalid)));
        assert!(!did_nothing(&add(7), &error(ErrorKind::Invalid)));
    }
}

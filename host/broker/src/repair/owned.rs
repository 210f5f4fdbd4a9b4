//! What a record still owns while its attachment is deleted: what the guests take away themselves is crossed off, and the
//! rest is swept.

use wharf_ops::filter::FilterOp;
use wharf_ops::links::LinkOp;
use wharf_ops::nat::NatOp;
use wharf_ops::neighbours::NeighbourOp;
use wharf_ops::routes::RouteOp;
use wharf_ops::shaping::ShapingOp;
use wharf_ops::{KernelOp, Link, Ns};

use super::task::Task;
use super::undo::lasting;
use super::{Repair, Unfinished, is_joined};
use crate::journal::{Effect, Record, Step};
use crate::undo::fits;

/// RT_TABLE_MAIN.
const MAIN: u32 = 254;

/// The tasks that are left.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owned {
    tasks: Vec<Task>,
    /// Whether the record's network is not the one of this call: rules and leases that go are not the record's then.
    renamed: bool,
    /// What would put back what the ADD took away.
    restoring: Vec<KernelOp>,
    /// Veths between two ends of the host. Attachments share those of which a bridge has one end.
    pairs: Vec<Vec<Link>>,
}

impl Owned {
    /// What the committed transactions of records own. Shared things are nobody's: bridges and what is on them, links
    /// between two ends in the host that a bridge has, sysctls. A container's `lo` is lowered by whoever raised it.
    pub(crate) fn of<'a>(records: impl Iterator<Item = &'a Record>, renamed: bool) -> Self {
        let (mut tasks, mut restoring, mut pairs) = (Vec::<Task>::new(), Vec::new(), Vec::new());
        for transaction in records.flat_map(Record::committed) {
            let gone = transaction.of_earlier_boot();
            if !gone {
                let steps = transaction.steps.iter().filter(|step| step.may_have_changed());
                restoring.extend(steps.clone().flat_map(restored).cloned());
                let pair = |step: &&Step| step.created().len() > 1 && !step.creates_private_links();
                pairs.extend(steps.filter(pair).map(|step| step.created().to_vec()));
            }
            for step in transaction.steps.iter().filter(|step| step.may_have_changed()) {
                let mut of_step = of_step(step);
                of_step.retain(|task| !gone || matches!(task, Task::Lease { .. } | Task::Native { .. }));
                tasks.extend(of_step.into_iter().filter(|task| !tasks.contains(task)).collect::<Vec<_>>());
            }
        }
        tasks.reverse();
        tasks.sort_by_key(rank);
        Self { tasks, renamed, restoring, pairs }
    }

    /// Crosses off what an operation of this DEL took away.
    pub(crate) fn kernel_done(&mut self, op: &KernelOp) {
        let renamed = self.renamed;
        self.tasks.retain(|task| match task {
            Task::Kernel { op: own, .. } => match own {
                KernelOp::Nat(_) | KernelOp::Filter(_) => renamed || own != op,
                own => !takes_away(op, own),
            },
            Task::Link { .. } | Task::Lease { .. } | Task::Native { .. } => true,
        });
        if let KernelOp::Link(LinkOp::Delete { link }) = op {
            self.link_gone(link);
        }
        // Once.
        if let Some(at) = self.restored_by(op) {
            self.restoring.remove(at);
        }
    }

    /// Whether an operation puts back what the ADD took away.
    pub(crate) fn puts_back(&self, op: &KernelOp) -> bool {
        self.restored_by(op).is_some()
    }

    fn restored_by(&self, op: &KernelOp) -> Option<usize> {
        self.restoring.iter().position(|own| match (op, own) {
            // What else a guest does not say of a route is the kernel's to choose.
            (
                KernelOp::Route(RouteOp::Add { ns, route }),
                KernelOp::Route(RouteOp::Add { ns: of, route: own }),
            ) => {
                let main = |table: Option<u32>| table.unwrap_or(MAIN);
                (ns, route.gateway, main(route.table)) == (of, own.gateway, main(own.table))
                    && fits(route, own)
            }
            (op, own) => op == own,
        })
    }

    /// Whether the link is the attachment's alone.
    pub(crate) fn has(&self, link: &Link) -> bool {
        let is = |own: &Link| own.ns == link.ns && own.index == link.index;
        self.tasks.iter().any(|task| matches!(task, Task::Link { ends, .. } if ends.iter().any(is)))
    }

    /// Crosses off a link, and what goes with it.
    pub(crate) fn link_gone(&mut self, link: &Link) {
        let is = |other: &Link| other.ns == link.ns && other.index == link.index;
        let ends = self.tasks.iter().find_map(|task| match task {
            Task::Link { ends, .. } if ends.iter().any(is) => Some(ends.clone()),
            _ => None,
        });
        let ends = ends.unwrap_or_else(|| vec![link.clone()]);
        let is_end = |other: &Link| ends.iter().any(|end| end.ns == other.ns && end.index == other.index);
        self.tasks.retain(|task| match task {
            Task::Link { ends, .. } => !ends.iter().any(is_end),
            Task::Kernel { op, .. } => match op {
                KernelOp::Shaping(ShapingOp::ClearEgress { on } | ShapingOp::ClearIngress { on })
                | KernelOp::Neighbour(NeighbourOp::Remove { on, .. }) => !is_end(on),
                KernelOp::Route(RouteOp::Remove { ns, route }) => {
                    !ends.iter().any(|end| end.ns == *ns && Some(end.index) == route.link)
                }
                _ => true,
            },
            Task::Lease { .. } | Task::Native { .. } => true,
        });
    }

    /// Crosses off the attachment's leases of a pool.
    pub(crate) fn leases_released(&mut self, of: Option<&str>) {
        if !self.renamed {
            self.tasks
                .retain(|task| !matches!(task, Task::Lease { directory, .. } if directory.as_deref() == of));
        }
    }

    /// Crosses off what a native plugin's DEL took away.
    pub(crate) fn native_done(&mut self, name: &str) {
        self.tasks.retain(|task| !matches!(task, Task::Native { plugin, .. } if plugin == name));
    }

    /// Takes away what is left: rules before links, links together, addresses last. Answers what stayed.
    pub(crate) fn sweep(&mut self, repair: &mut Repair<'_>) -> Vec<Unfinished> {
        let mut before = std::mem::take(&mut self.tasks);
        let at = before.iter().position(|task| rank(task) >= LINKS).unwrap_or(before.len());
        let mut rest = before.split_off(at);
        let mut unfinished = repair.work_off(before);
        let links: Vec<Link> = rest
            .iter()
            .filter_map(|task| match task {
                Task::Link { ends, .. } => ends.first().cloned(),
                _ => None,
            })
            .collect();
        if links.len() > 1 {
            // Several cost one wait of the kernel if one request deletes them. If that fails, each is tried alone.
            let together = KernelOp::Link(LinkOp::DeleteMany { links });
            let deleted = repair.kernel.apply(&repair.begin.attachment, &together);
            rest.retain(|task| deleted.is_err() || !matches!(task, Task::Link { .. }));
        }
        unfinished.extend(repair.work_off(rest));
        for ends in std::mem::take(&mut self.pairs) {
            if !is_joined(&repair.infos(&ends)) {
                unfinished.extend(repair.work_off(vec![Task::link("links/create-veth", &ends)]));
            }
        }
        unfinished
    }
}

/// What undoes a step.
fn restored(step: &Step) -> impl Iterator<Item = &KernelOp> {
    let undo = match &step.effect {
        Effect::Kernel { undo, .. } => undo.as_slice(),
        Effect::Lease { .. } | Effect::Native { .. } => &[],
    };
    undo.iter().map(|undo| &undo.op)
}

/// What a step made that is the attachment's own.
fn of_step(step: &Step) -> Vec<Task> {
    let of = step.effect.operation();
    let task = |op: KernelOp| Task::Kernel { of, op, unless_joined: None, own: Vec::new() };
    let Effect::Kernel { op, undo } = &step.effect else { return lasting(step).into_iter().collect() };
    let recorded = || undo.iter().map(|undo| task(undo.op.clone())).collect();
    match op {
        KernelOp::Link(LinkOp::CreateVeth { .. } | LinkOp::CreateIfb { .. }) => match step.created() {
            [] => recorded(),
            _ if !step.creates_private_links() => Vec::new(),
            ends => vec![Task::link(of, ends)],
        },
        // A container's own, such as `lo`. A link that was made for the attachment goes.
        KernelOp::Link(LinkOp::SetUp { link, .. }) if link.ns == Ns::Container => recorded(),
        KernelOp::Route(RouteOp::Add { ns: Ns::Host, .. }) => recorded(),
        KernelOp::Neighbour(NeighbourOp::Set { on, .. }) if on.ns == Ns::Host => recorded(),
        // Not what was recorded, as with rules.
        KernelOp::Shaping(ShapingOp::SetEgress { on, .. }) if on.ns == Ns::Host => {
            vec![task(KernelOp::Shaping(ShapingOp::ClearEgress { on: on.clone() }))]
        }
        KernelOp::Shaping(ShapingOp::RedirectIngress { on, .. }) if on.ns == Ns::Host => {
            vec![task(KernelOp::Shaping(ShapingOp::ClearIngress { on: on.clone() }))]
        }
        // Not what was recorded: that may restore the rules of an earlier ADD, which go as well.
        KernelOp::Nat(NatOp::Masquerade { .. }) => vec![task(KernelOp::Nat(NatOp::RemoveMasquerades))],
        KernelOp::Nat(NatOp::ForwardPorts { .. }) => vec![task(KernelOp::Nat(NatOp::RemoveForwards))],
        KernelOp::Filter(FilterOp::AntiSpoof { .. }) => {
            vec![task(KernelOp::Filter(FilterOp::RemoveAntiSpoof))]
        }
        KernelOp::Link(_)
        | KernelOp::BridgePort(_)
        | KernelOp::Address(_)
        | KernelOp::Route(_)
        | KernelOp::Neighbour(_)
        | KernelOp::Sysctl(_)
        | KernelOp::Nat(_)
        | KernelOp::Filter(_)
        | KernelOp::Conntrack(_)
        | KernelOp::Shaping(_) => Vec::new(),
    }
}

/// Whether `done` takes away what `own` would.
fn takes_away(done: &KernelOp, own: &KernelOp) -> bool {
    let same = |a: &Link, b: &Link| (a.ns, a.index) == (b.ns, b.index);
    match (done, own) {
        (
            KernelOp::Route(RouteOp::Remove { ns, route }),
            KernelOp::Route(RouteOp::Remove { ns: own_ns, route: own }),
        ) => ns == own_ns && route.dst == own.dst && (route.link.is_none() || route.link == own.link),
        (
            KernelOp::Neighbour(NeighbourOp::Remove { on, address }),
            KernelOp::Neighbour(
                NeighbourOp::Remove { on: own, address: own_address }
                | NeighbourOp::Set { on: own, address: own_address, .. },
            ),
        ) => same(on, own) && address == own_address,
        (KernelOp::Shaping(ShapingOp::Clear { on }), KernelOp::Shaping(_)) => {
            own.links().into_iter().flatten().next().is_some_and(|own| same(on, own))
        }
        (done, own) => done == own,
    }
}

/// Where the links come in the order.
const LINKS: u8 = 2;

/// The order in which things go.
fn rank(task: &Task) -> u8 {
    match task {
        Task::Kernel { op, .. } => match op {
            KernelOp::Nat(_) | KernelOp::Filter(_) => 0,
            _ => 1,
        },
        Task::Link { .. } => LINKS,
        Task::Lease { .. } => 3,
        Task::Native { .. } => 4,
    }
}

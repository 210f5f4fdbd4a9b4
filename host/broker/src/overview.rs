//! What exists on this node, by the records: one line per attachment, whatever number of plugins made it.

use ipnetwork::IpNetwork;
use serde::Serialize;
use wharf_kernel::{Kernel, Machine};
use wharf_ops::links::{Info, LinkOp};
use wharf_ops::nat::{NatOp, PortForward};
use wharf_ops::routes::RouteOp;
use wharf_ops::{Attachment, Error, KernelOp, Ns, Reply};

use crate::Paths;
use crate::journal::{Listing, Record, Store};
use crate::record::firewall;
use crate::repair::{Seen, kernel_for, look};
use crate::run::Kernels;

/// Whether an attachment is what its ADD made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Its ADD succeeded, and nothing shows that it has gone since.
    Committed,
    /// An ADD was cut short, or runs.
    Unfinished,
    /// Its host link has vanished, another namespace has the name of its own, or it is of an earlier boot: a DEL or a GC
    /// has still to come.
    Gone,
}

/// One attachment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Attached {
    /// Whose it is.
    #[serde(flatten)]
    pub attachment: Attachment,
    /// What ran, in order.
    pub entries: Vec<String>,
    /// Since when: seconds since 1970.
    pub since: u64,
    /// Its namespace at the time of the ADD.
    pub netns: Option<String>,
    /// The container's addresses.
    pub addresses: Vec<IpNetwork>,
    /// The host's end of its veth.
    pub host_link: Option<String>,
    /// The bridge that this is a port of.
    pub bridge: Option<String>,
    /// Its mapped ports.
    pub ports: Vec<PortForward>,
    /// Whether it is as it should be.
    pub state: State,
    /// Why its namespace cannot be seen from here, if so. That proves nothing: it may be of another pid or mount namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unseen: Option<String>,
}

/// Everything that is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// The host's links with a default route.
    pub uplinks: Vec<String>,
    /// By network, container and interface.
    pub attachments: Vec<Attached>,
    /// The file names of journals of which nothing can be read.
    pub unreadable: Vec<String>,
    /// What stands among the journals and is none, or cannot be opened: why, and what to do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub odd: Vec<String>,
}

/// Reads the records and the host's links, in the caller's network namespace.
pub fn overview(paths: &Paths, kernels: Kernels) -> Result<Overview, Error> {
    let mut kernel = kernel_for(&kernels, None)?;
    let links = ask(kernel.as_mut(), &KernelOp::Link(LinkOp::GetAll { ns: Ns::Host }))?.infos()?;
    let mut overview = Overview {
        uplinks: uplinks(kernel.as_mut(), &links)?,
        attachments: Vec::new(),
        unreadable: Vec::new(),
        odd: Vec::new(),
    };
    let Listing { journals: mut all, odd } = Store::of(paths).listing()?;
    overview.odd.extend(odd.iter().map(ToString::to_string));
    all.sort_by_key(crate::journal::Listed::age);
    for listed in all {
        let Some(one) = attached(&kernels, &listed.record, &links) else {
            // An empty file is an ADD that begins.
            overview.unreadable.extend(listed.record.damage.map(|_| listed.name));
            continue;
        };
        match overview.attachments.iter_mut().find(|other| other.attachment == one.attachment) {
            Some(other) => other.join(one),
            None => overview.attachments.push(one),
        }
    }
    overview.attachments.sort_by(|a, b| a.attachment.cmp(&b.attachment));
    Ok(overview)
}

impl Attached {
    /// With what the next plugin of a list made.
    fn join(&mut self, next: Self) {
        self.entries.extend(next.entries);
        self.since = self.since.min(next.since);
        self.netns = self.netns.take().or(next.netns);
        if !next.addresses.is_empty() {
            self.addresses = next.addresses;
        }
        self.host_link = self.host_link.take().or(next.host_link);
        self.bridge = self.bridge.take().or(next.bridge);
        self.ports.extend(next.ports);
        self.state = self.state.max(next.state);
        self.unseen = self.unseen.take().or(next.unseen).filter(|_| self.state != State::Gone);
    }
}

fn attached(machine: &dyn Machine, record: &Record, links: &[Info]) -> Option<Attached> {
    let (attachment, entry) = (record.attachment()?.clone(), record.entry()?.to_owned());
    let newest = record.committed().next_back();
    let result = newest.and_then(|newest| newest.commit.as_ref()).map(|commit| &commit.result);
    let mut one = Attached {
        attachment,
        entries: vec![entry],
        since: record.since().or_else(|| Some(record.transactions.first()?.begin.time))?,
        netns: record.netns().map(|netns| netns.path.clone()),
        addresses: result.iter().flat_map(|result| &result.ips).map(|ip| ip.address).collect(),
        host_link: None,
        bridge: None,
        ports: Vec::new(),
        state: State::Committed,
        unseen: None,
    };
    if record.pending().is_some() || newest.is_none() {
        one.state = State::Unfinished;
    }
    let seen = record.netns().map(|netns| look(machine, netns));
    let mut lost = matches!(seen, Some(Seen::Replaced))
        || newest.is_some_and(crate::journal::Transaction::of_earlier_boot);
    for (step, op) in record.committed().flat_map(crate::journal::Transaction::operations) {
        // Between two ends in the host is a link that attachments share; an ifb goes without the container's namespace.
        if step.created().iter().any(|end| end.ns == Ns::Container) {
            for link in step.created().iter().filter(|link| link.ns == Ns::Host) {
                lost |= !links.iter().any(|info| (info.index, &info.name) == (link.index, &link.name));
                one.host_link = Some(link.name.clone());
            }
        }
        if let KernelOp::Link(LinkOp::SetMaster { link, master: Some(master) }) = op
            && Some(&link.name) == one.host_link.as_ref()
        {
            one.bridge = Some(master.name.clone());
        }
    }
    for op in firewall::operations(record) {
        if let KernelOp::Nat(NatOp::ForwardPorts { rules, .. }) = op {
            one.ports.extend(rules);
        }
    }
    if lost && newest.is_some() {
        one.state = State::Gone;
    } else {
        one.unseen = seen.as_ref().and_then(Seen::hidden).map(str::to_owned);
    }
    Some(one)
}

fn uplinks(kernel: &mut dyn Kernel, links: &[Info]) -> Result<Vec<String>, Error> {
    let routes = ask(kernel, &KernelOp::Route(RouteOp::GetAll { ns: Ns::Host, table: None }))?.routes()?;
    let mut names = Vec::new();
    for index in routes.iter().filter(|route| route.dst.prefix() == 0).filter_map(|route| route.link) {
        let name = links.iter().find(|info| info.index == index).map(|info| info.name.clone());
        names.extend(name.filter(|name| !names.contains(name)));
    }
    Ok(names)
}

/// Of nobody's in particular.
fn ask(kernel: &mut dyn Kernel, op: &KernelOp) -> Result<Reply, Error> {
    let nobody = Attachment { network: String::new(), container: String::new(), ifname: String::new() };
    kernel.apply(&nobody, op)
}

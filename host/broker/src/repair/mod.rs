//! Putting the host back: an ADD that failed or was cut short is undone, what a record owns is swept, and journals
//! that nobody works on are brought to an end.

mod lease;
mod orphans;
mod owned;
mod seen;
mod task;
mod undo;

use std::path::PathBuf;

use ipnetwork::IpNetwork;
use wharf_kernel::{Kernel, Machine, Netns};
use wharf_ops::addresses::AddressOp;
use wharf_ops::links::{Info, LinkOp};
use wharf_ops::routes::RouteOp;
use wharf_ops::{Error, ErrorKind, KernelOp, Link, Reply};

pub use orphans::{Recovered, Unreadable};
pub(crate) use orphans::{collect, heal, recover, sweep_stale};
pub(crate) use owned::Owned;
pub(crate) use seen::{Seen, host_ends, look};
pub(crate) use undo::undo;

use crate::Paths;
use crate::collect::names_attachment;
use crate::journal::{Begin, Shared, Store};
use crate::log::Log;
use crate::native::Start;
use crate::run::LeaseHook;
use crate::undo::fits;
use task::Task;

/// What repairs work with, whatever they repair.
#[derive(Clone, Copy)]
pub(crate) struct Tools<'a> {
    pub(crate) paths: &'a Paths,
    pub(crate) machine: &'a dyn Machine,
    /// Starts native plugins.
    pub(crate) start: Start<'a>,
    pub(crate) lease_hook: &'a LeaseHook,
    pub(crate) log: Log,
}

impl Tools<'_> {
    /// The journals.
    pub(crate) fn store(&self) -> Store {
        Store::of(self.paths)
    }
}

/// One repair: of one attachment, in its two namespaces.
pub(crate) struct Repair<'a> {
    pub(crate) tools: Tools<'a>,
    pub(crate) kernel: &'a mut dyn Kernel,
    /// The transaction's.
    pub(crate) begin: &'a Begin,
    /// The container's namespace, if it is still the one that was recorded: its path, for native plugins.
    pub(crate) netns: Option<&'a str>,
    /// CNI_PATH of this call, where it has one.
    pub(crate) plugin_path: &'a [String],
    /// Whether time has passed since: an index may be another link's by now.
    pub(crate) later: bool,
}

/// A task that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfinished {
    pub(crate) what: String,
    pub(crate) reason: String,
}

impl std::fmt::Display for Unfinished {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.what, self.reason)
    }
}

impl Repair<'_> {
    /// Does the tasks in order. What fails is tried once more after the rest; what fails again is answered. Only then
    /// "not found" is believed to mean that it went with something else, or with its namespace.
    pub(crate) fn work_off(&mut self, tasks: Vec<Task>) -> Vec<Unfinished> {
        // The deadline that a guest overran does not bound the repair.
        self.kernel.set_deadline(None);
        let given_back: Vec<(Link, IpNetwork)> = tasks.iter().filter_map(address_given_back).collect();
        let mut failed: Vec<Task> = tasks.into_iter().filter(|task| self.attempt(task).is_err()).collect();
        // An address that was to come and go, so that another comes before it, is there by now.
        failed.retain(|task| address_removed(task).is_none_or(|removed| !given_back.contains(&removed)));
        let again = |task: Task| match self.attempt(&task) {
            Ok(()) => None,
            Err(error) if error.kind == ErrorKind::NotFound && task.is_of_the_kernel() => None,
            Err(error) => Some(Unfinished { what: task.to_string(), reason: error.to_string() }),
        };
        failed.into_iter().filter_map(again).collect()
    }

    fn attempt(&mut self, task: &Task) -> Result<(), Error> {
        match task {
            Task::Kernel { op, unless_joined, own, .. } => {
                if let Some(shared) = unless_joined
                    && self.was_joined(own, shared)
                {
                    return Ok(());
                }
                if self.later && !self.is_meant(op) {
                    return Ok(());
                }
                if !self.may_be_ours(op) || self.is_back(op) {
                    return Ok(());
                }
                match self.apply(op) {
                    // It came back with something else, or by an undo that was cut short.
                    Err(error)
                        if error.kind == ErrorKind::AlreadyExists
                            && matches!(op, KernelOp::Address(AddressOp::Add { .. })) =>
                    {
                        Ok(())
                    }
                    other => other,
                }
            }
            Task::Link { ends, .. } => match ends.first() {
                Some(link) => self.apply(&Task::delete(link)),
                None => Ok(()),
            },
            Task::Lease { directory, wanted, .. } => lease::give_back(self, directory.as_deref(), wanted),
            Task::Native { plugin, config } => {
                lease::native_del(self, plugin, config).map_err(|error| Error::internal(error.to_string()))
            }
        }
    }

    /// Whether a link that is to be deleted by its name can be the one that was to be made: anybody may have made one of that
    /// name since.
    fn may_be_ours(&mut self, op: &KernelOp) -> bool {
        let KernelOp::Link(LinkOp::Delete { link }) = op else { return true };
        if link.index != 0 {
            return true;
        }
        let own = &self.begin.attachment;
        let info = KernelOp::Link(LinkOp::Info { link: link.clone() });
        match self.kernel.apply(own, &info).and_then(Reply::info) {
            Ok(info) => {
                let named = |alias: &str| names_attachment(alias, &own.network, &own.container, &own.ifname);
                ["veth", "ifb"].contains(&info.kind.as_str())
                    && info.alias.as_deref().is_none_or(|alias| alias.is_empty() || named(alias))
            }
            // The deletion will tell.
            Err(_) => true,
        }
    }

    /// Whether a route that is to come back is there: the kernel would take another of another protocol beside it.
    fn is_back(&mut self, op: &KernelOp) -> bool {
        let KernelOp::Route(RouteOp::Add { ns, route }) = op else { return false };
        let all = KernelOp::Route(RouteOp::GetAll { ns: *ns, table: route.table });
        let all = self.kernel.apply(&self.begin.attachment, &all).and_then(Reply::routes);
        all.is_ok_and(|all| all.iter().any(|other| fits(route, other)))
    }

    fn apply(&mut self, op: &KernelOp) -> Result<(), Error> {
        self.kernel.apply(&self.begin.attachment, op).map(drop)
    }

    /// Whether the links that an operation names by index are still the ones that were recorded.
    fn is_meant(&mut self, op: &KernelOp) -> bool {
        let links: Vec<Link> =
            op.links().into_iter().flatten().filter(|link| link.index != 0).cloned().collect();
        links.into_iter().all(|link| {
            let name = link.name.clone();
            let info = self.kernel.apply(&self.begin.attachment, &KernelOp::Link(LinkOp::Info { link }));
            // A master is recorded by its index alone.
            info.and_then(Reply::info).is_ok_and(|info| name.is_empty() || info.name == name)
        })
    }

    /// Whether a bridge has ports that it did not have before. `own` are the links that the ADD created: they are nobody
    /// else's.
    fn was_joined(&mut self, own: &[Link], shared: &Shared) -> bool {
        let Shared { bridge, ports } = shared;
        let all = KernelOp::Link(LinkOp::GetAll { ns: bridge.ns });
        let Ok(links) = self.kernel.apply(&self.begin.attachment, &all).and_then(Reply::infos) else {
            return true;
        };
        // One that was to be made is known by its name only.
        let index = match bridge.index {
            0 => links.iter().find(|link| link.name == bridge.name).map(|link| link.index),
            index => Some(index),
        };
        links.iter().any(|link| {
            link.master.is_some()
                && link.master == index
                && !ports.contains(&link.index)
                && !own.iter().any(|own| own.ns == bridge.ns && own.index == link.index)
        })
    }

    /// What the kernel says about links, of those that are there.
    fn infos(&mut self, links: &[Link]) -> Vec<Info> {
        let mut infos = Vec::with_capacity(links.len());
        for link in links {
            let info = KernelOp::Link(LinkOp::Info { link: link.clone() });
            infos.extend(self.kernel.apply(&self.begin.attachment, &info).and_then(Reply::info));
        }
        infos
    }

    /// Whether a veth between two ends of the host does its work: its ADD got as far as that, and others may rely on it.
    fn is_in_use(&mut self, ends: &[Link]) -> bool {
        let infos = self.infos(ends);
        infos.len() == ends.len() && infos.iter().all(|info| info.up) && is_joined(&infos)
    }

    /// Whether the node has another attachment: what a host shares may have become its.
    fn others_exist(&self) -> bool {
        let begin = self.begin;
        let own = |name: &String| {
            let key = self.tools.store().key_of(name);
            key.is_ok_and(|key| {
                key.is_some_and(|key| {
                    (&key.attachment.container, &key.attachment.ifname)
                        == (&begin.attachment.container, &begin.attachment.ifname)
                })
            })
        };
        self.tools.store().names().map_or(true, |names| !names.iter().all(own))
    }

    /// The lease directory of the record's network, and the place of its index.
    fn pool(&self, directory: Option<&str>) -> (PathBuf, PathBuf) {
        let network = &self.begin.attachment.network;
        let paths = self.tools.paths;
        (paths.leases(directory, network), paths.lease_index(directory, network))
    }
}

/// Whether one of them is a bridge's port.
fn is_joined(infos: &[Info]) -> bool {
    infos.iter().any(|info| info.master.is_some())
}

fn address_given_back(task: &Task) -> Option<(Link, IpNetwork)> {
    match task {
        Task::Kernel { op: KernelOp::Address(AddressOp::Add { on, address }), .. } => {
            Some((on.clone(), *address))
        }
        _ => None,
    }
}

fn address_removed(task: &Task) -> Option<(Link, IpNetwork)> {
    match task {
        Task::Kernel { op: KernelOp::Address(AddressOp::Remove { on, address }), .. } => {
            Some((on.clone(), *address))
        }
        _ => None,
    }
}

/// The kernel of a repair that comes later: in the host's namespace, and in the recorded one if it is still there.
pub(crate) fn kernel_for(machine: &dyn Machine, container: Option<Netns>) -> Result<Box<dyn Kernel>, Error> {
    let host = machine.own().map_err(|error| Error::internal(error.to_string()))?;
    Ok(machine.kernel(host, container))
}

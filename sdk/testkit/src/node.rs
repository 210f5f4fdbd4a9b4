//! A machine with a container runtime on it.

use std::cell::RefCell;
use std::rc::Rc;

use wharf_ops::Attachment;
use wharf_sdk::leases::Lease;
use wharf_sdk::native::{Call, Guest, Side, enter, lend};
use wharf_sdk::{Config, HostErrorKind, Netns, NetworkResult, Owner, Request, Result};

use crate::change::Change;
use crate::conf::Conf;
use crate::container::Container;
use crate::fault::Fault;
use crate::host::{Host, Verb};
use crate::log::Line;
use crate::machine::Machine;
use crate::namespace::Namespace;
use crate::{boot, delegates, sweep};

/// A simulated node, and the runtime that calls guests on it. Every node is a machine of its own.
///
/// ```
/// use wharf_testkit::{Node, Outcome};
/// let node = Node::new();
/// assert_eq!(node.host().tcp("192.0.2.1:443").delivered_to(), Some("outside"));
/// assert_eq!(node.outside().udp("192.0.2.10:53").delivered_to(), Some("host"));
/// ```
#[derive(Clone, Debug)]
pub struct Node {
    machine: Rc<Machine>,
    outside: Namespace,
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

impl Node {
    /// A host with 192.0.2.10/24 and 2001:db8::10/64 on `ens3`, and default routes by 192.0.2.1 and 2001:db8::1: the
    /// [outside](Node::outside).
    pub fn new() -> Self {
        let machine = Rc::new(Machine::new());
        // Nothing of it can fail on a machine that is new.
        let space = boot::start(&machine).unwrap_or_else(|_| machine.sim.host());
        Self { outside: Namespace { machine: Rc::clone(&machine), space }, machine }
    }

    /// The host's namespace.
    pub fn host(&self) -> Namespace {
        Namespace { machine: Rc::clone(&self.machine), space: self.machine.sim.host() }
    }

    /// Who is behind `ens3`: 192.0.2.1 and 2001:db8::1. It knows no route back to anything but the host's own addresses.
    pub fn outside(&self) -> Namespace {
        self.outside.clone()
    }

    /// A new container with an empty namespace, whose interface is to be `eth0`.
    pub fn container(&self, id: &str) -> Container {
        let space = self.machine.add_namespace(id);
        Container {
            namespace: Namespace { machine: Rc::clone(&self.machine), space },
            id: id.to_owned(),
            ifname: "eth0".to_owned(),
            args: Vec::new(),
            previous: None,
        }
    }

    /// ADD. What it did is undone if it fails. A second guest of the same network and interface gets the first one's result
    /// as `prevResult`, as in a chain.
    pub fn add<G: Guest>(&self, container: &Container, conf: impl Into<Conf>) -> Result<NetworkResult> {
        let (network, config) = conf.into().finish(G::NAME)?;
        let attachment = attachment(&network, container);
        let machine = &self.machine;
        let before =
            (machine.sim.snapshot(), machine.leases.borrow().clone(), machine.records.borrow().clone());
        let previous = {
            let mut records = machine.records.borrow_mut();
            let previous = records.entry(attachment.clone()).or_default().begin(G::NAME);
            container.previous.clone().or(previous)
        };
        let request = request(container, &network, &config, previous);
        let added = self.call::<G>(Verb::Add, &attachment, container, &request);
        let added = added.map(Option::unwrap_or_default);
        if let Ok(result) = &added {
            let mut records = machine.records.borrow_mut();
            records.entry(attachment).or_default().commit(G::NAME, result.clone());
        } else {
            machine.sim.restore(&before.0);
            machine.leases.replace(before.1);
            machine.records.replace(before.2);
        }
        added
    }

    /// CHECK, with the last ADD's result as `prevResult`.
    pub fn check<G: Guest>(&self, container: &Container, conf: impl Into<Conf>) -> Result<()> {
        let (network, config) = conf.into().finish(G::NAME)?;
        let attachment = attachment(&network, container);
        let request = request(container, &network, &config, self.previous(container, &attachment));
        self.call::<G>(Verb::Check, &attachment, container, &request).map(drop)
    }

    /// DEL, with the last ADD's result as `prevResult`. What the guest leaves of what its ADD made is swept after it, even if
    /// it fails.
    pub fn del<G: Guest>(&self, container: &Container, conf: impl Into<Conf>) -> Result<()> {
        let (network, config) = conf.into().finish(G::NAME)?;
        let attachment = attachment(&network, container);
        let request = request(container, &network, &config, self.previous(container, &attachment));
        let deleted = self.call::<G>(Verb::Del, &attachment, container, &request).map(drop);
        let mut records = self.machine.records.borrow_mut();
        if let Some(record) = records.get_mut(&attachment) {
            sweep::sweep(&self.machine, &attachment, container.space(), &record.end(G::NAME));
            if record.is_over() {
                records.remove(&attachment);
            }
        }
        deleted
    }

    /// STATUS.
    pub fn status<G: Guest>(&self, conf: impl Into<Conf>) -> Result<()> {
        let (network, config) = conf.into().finish(G::NAME)?;
        let host = self.hosting(Verb::Status, of_network(&network), None, None);
        enter(host, || G::call(Call::Status(&config), false)).map(drop)
    }

    /// GC: these containers' interfaces stay.
    pub fn gc<G: Guest>(&self, valid: &[&Container], conf: impl Into<Conf>) -> Result<()> {
        let (network, config) = conf.into().finish(G::NAME)?;
        let owner = |container: &&Container| Owner {
            container: container.id.clone(),
            ifname: container.ifname.clone(),
        };
        let valid: Vec<Owner> = valid.iter().map(owner).collect();
        let host = self.hosting(Verb::Gc(valid.clone()), of_network(&network), None, None);
        enter(host, || G::call(Call::Gc(&config, &valid), false)).map(drop)
    }

    /// Runs `work` as the ADD of a guest would run: to try a part of a guest, or the SDK. Nothing is undone, and nothing is
    /// remembered for a DEL.
    ///
    /// ```
    /// let node = wharf_testkit::Node::new();
    /// let pod = node.container("c1");
    /// let mtu = node.run(&pod, |_request, _host, container| {
    ///     let lo = container.link("lo")?.expect("every namespace has one");
    ///     Ok(lo.info()?.mtu)
    /// })?;
    /// assert_eq!(mtu, 65536);
    /// # Ok::<(), wharf_sdk::Error>(())
    /// ```
    pub fn run<T>(
        &self,
        container: &Container,
        work: impl FnOnce(&Request, &Netns, &Netns) -> Result<T>,
    ) -> Result<T> {
        let (network, config) = Conf::from(serde_json::json!({})).finish("run")?;
        let attachment = attachment(&network, container);
        let previous = self.previous(container, &attachment);
        let request = request(container, &network, &config, previous);
        let host = self.hosting(Verb::Add, attachment, Some(container), Some(request.clone()));
        enter(host, || work(&request, &lend(Side::Host), &lend(Side::Container)))
    }

    /// Brings a guest that others may delegate to, by its name.
    pub fn delegate<G: Guest>(&self) {
        self.machine.delegates.borrow_mut().insert(G::NAME.to_owned(), delegates::guest::<G>());
    }

    /// Brings a plugin that answers every delegated ADD with `result`, and success to the rest.
    pub fn delegate_answers(&self, plugin: &str, result: NetworkResult) {
        self.machine.delegates.borrow_mut().insert(plugin.to_owned(), delegates::answers(result));
    }

    /// Lets an operation fail: `"routes/add"`, or whatever a [`Fault`] says.
    ///
    /// # Panics
    ///
    /// When the node goes, if the operation was never asked for.
    pub fn fail(&self, fault: impl Into<Fault>) {
        self.machine.faults.borrow_mut().push(fault.into());
    }

    /// Denies an operation, or every one of an interface (`"nat/*"`), as a grant without it does.
    pub fn deny(&self, operation: &str) {
        self.fail(Fault::at(operation).kind(HostErrorKind::Denied).always().idle());
    }

    /// What guests changed so far, in order; what failed is among it.
    pub fn changes(&self) -> Vec<Change> {
        self.machine.changes.borrow().clone()
    }

    /// As [`Node::changes`], which begin anew.
    pub fn take_changes(&self) -> Vec<Change> {
        self.machine.changes.take()
    }

    /// The operations that guests asked for so far, each once: what a grant has to allow.
    pub fn operations(&self) -> Vec<&'static str> {
        let mut operations = self.machine.operations.borrow().clone();
        operations.sort_unstable();
        operations.dedup();
        operations
    }

    /// What guests logged so far.
    pub fn log(&self) -> Vec<Line> {
        self.machine.log.borrow().clone()
    }

    /// The leases of a network in the usual directory, those of an earlier boot too.
    pub fn leases(&self, network: &str) -> Vec<Lease> {
        let pools = self.machine.leases.borrow();
        let leases = pools.get(&(network.to_owned(), None)).map(|pool| pool.leases(true));
        let owner =
            |owner: wharf_ops::leases::LeaseOwner| Owner { container: owner.container, ifname: owner.ifname };
        let leases = leases.unwrap_or_default().into_iter();
        leases.map(|lease| Lease { address: lease.address, owner: owner(lease.owner) }).collect()
    }

    /// Puts a file onto the node that a guest may read, as host-local's `resolvConf` names one.
    pub fn add_file(&self, path: &str, content: &str) {
        self.machine.files.borrow_mut().insert(path.to_owned(), content.to_owned());
    }

    /// Starts the node anew: links, rules and containers are gone, leases are of an earlier boot.
    pub fn reboot(&self) {
        // What is there can be removed.
        drop(boot::restart(&self.machine));
    }

    fn previous(&self, container: &Container, attachment: &Attachment) -> Option<NetworkResult> {
        let records = self.machine.records.borrow();
        let recorded = || records.get(attachment).and_then(|record| record.result()).cloned();
        container.previous.clone().or_else(recorded)
    }

    fn call<G: Guest>(
        &self,
        verb: Verb,
        attachment: &Attachment,
        container: &Container,
        request: &Request,
    ) -> Result<Option<NetworkResult>> {
        let call = match verb {
            Verb::Del => Call::Del(request),
            Verb::Check => Call::Check(request),
            Verb::Add | Verb::Status | Verb::Gc(_) => Call::Add(request),
        };
        let host = self.hosting(verb, attachment.clone(), Some(container), Some(request.clone()));
        enter(host, || G::call(call, container.space().is_some()))
    }

    fn hosting(
        &self,
        verb: Verb,
        attachment: Attachment,
        container: Option<&Container>,
        request: Option<Request>,
    ) -> Rc<Host> {
        Rc::new(Host {
            machine: Rc::clone(&self.machine),
            verb,
            attachment,
            container: container.and_then(Container::space),
            request,
            depth: 0,
            pools: RefCell::default(),
        })
    }
}

/// Runs `work` on a new node, for a container `c1`: see [`Node::run`]. For a few lines that are to be tried.
///
/// ```
/// wharf_testkit::run(|request, _host, container| {
///     assert_eq!(request.ifname(), "eth0");
///     Ok(container.set_sysctl("ipv4/ip_forward", "1")?)
/// });
/// ```
///
/// # Panics
///
/// If `work` fails.
pub fn run(work: impl FnOnce(&Request, &Netns, &Netns) -> Result<()>) {
    let node = Node::new();
    let done = node.run(&node.container("c1"), work);
    assert!(done.is_ok(), "{done:?}");
}

fn attachment(network: &str, container: &Container) -> Attachment {
    Attachment {
        network: network.to_owned(),
        container: container.id.clone(),
        ifname: container.ifname.clone(),
    }
}

/// STATUS and GC are about a network, not about one attachment.
fn of_network(network: &str) -> Attachment {
    Attachment { network: network.to_owned(), container: String::new(), ifname: String::new() }
}

fn request(
    container: &Container,
    network: &str,
    config: &Config,
    previous: Option<NetworkResult>,
) -> Request {
    let attachment = wharf_sdk::Attachment {
        network: network.to_owned(),
        container: container.id.clone(),
        ifname: container.ifname.clone(),
    };
    let mut request = Request::new(attachment, config.as_str()).with_args(container.args());
    if container.space().is_some() {
        request = request.with_netns_path(container.netns_path());
    }
    match previous {
        Some(previous) => request.with_previous(previous),
        None => request,
    }
}

//! A container that a runtime wants to attach.

use std::ops::Deref;

use wharf_ops::nat::NatOp;
use wharf_ops::{Attachment, KernelOp, Reply};
use wharf_sdk::firewall::nat::{MasqueradeRule, PortForward, Protocol};
use wharf_sdk::{Args, NetworkResult};
use wharf_sim::{Kernel as _, Space};

use crate::namespace::Namespace;

/// A container of a [`Node`](crate::Node), or rather one interface of it: what `CNI_CONTAINERID`, `CNI_IFNAME`, `CNI_ARGS` and
/// `CNI_NETNS` say. It can be asked whatever its [`Namespace`] can.
///
/// ```
/// let node = wharf_testkit::Node::new();
/// let eth0 = node.container("c1");
/// let net1 = eth0.clone().with_ifname("net1").with_arg("K8S_POD_NAMESPACE", "shop");
/// assert_eq!((eth0.ifname(), net1.ifname()), ("eth0", "net1"));
/// assert!(net1.link("lo").is_some(), "both are of the same namespace");
/// ```
#[derive(Clone, Debug)]
pub struct Container {
    pub(crate) namespace: Namespace,
    pub(crate) id: String,
    pub(crate) ifname: String,
    pub(crate) args: Vec<(String, String)>,
    pub(crate) previous: Option<NetworkResult>,
}

impl Deref for Container {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}

impl Container {
    /// The same container with another `CNI_IFNAME` than `eth0`.
    #[must_use]
    pub fn with_ifname(mut self, ifname: impl Into<String>) -> Self {
        self.ifname = ifname.into();
        self
    }

    /// The same container with one more pair of `CNI_ARGS`.
    #[must_use]
    pub fn with_arg(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.args.push((key.into(), value.into()));
        self
    }

    /// The same container with this `prevResult`, whatever was added before.
    #[must_use]
    pub fn with_previous(mut self, previous: NetworkResult) -> Self {
        self.previous = Some(previous);
        self
    }

    /// `CNI_CONTAINERID`.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// `CNI_IFNAME`.
    pub fn ifname(&self) -> &str {
        &self.ifname
    }

    /// `CNI_NETNS`.
    pub fn netns_path(&self) -> String {
        format!("/run/netns/{}", self.id)
    }

    /// Takes the namespace away, with all links in it, as when a container ends before its DEL: the guest gets none then.
    pub fn remove_namespace(&self) {
        self.namespace.machine.remove_namespace(self.namespace.space);
    }

    /// What is masqueraded for this interface, whichever network made it.
    pub fn masquerades(&self) -> Vec<MasqueradeRule> {
        let all = self.of_networks(NatOp::GetMasquerades, Reply::masquerades);
        all.into_iter().map(|rule| MasqueradeRule { source: rule.source, except: rule.except }).collect()
    }

    /// The ports of the host that lead to this interface, whichever network made it so.
    pub fn forwards(&self) -> Vec<PortForward> {
        let all = self.of_networks(NatOp::GetForwards, Reply::forwards);
        all.into_iter()
            .map(|rule| PortForward {
                protocol: match rule.protocol {
                    wharf_ops::nat::Protocol::Tcp => Protocol::Tcp,
                    wharf_ops::nat::Protocol::Udp => Protocol::Udp,
                    wharf_ops::nat::Protocol::Sctp => Protocol::Sctp,
                },
                host_address: rule.host_address,
                host_port: rule.host_port,
                container_address: rule.container_address,
                container_port: rule.container_port,
            })
            .collect()
    }

    /// The namespace, while it is there.
    pub(crate) fn space(&self) -> Option<Space> {
        let Namespace { machine, space } = &self.namespace;
        machine.has(*space).then_some(*space)
    }

    pub(crate) fn args(&self) -> Args {
        self.args.iter().cloned().collect()
    }

    fn of_networks<T>(&self, op: NatOp, take: fn(Reply) -> Result<Vec<T>, wharf_ops::Error>) -> Vec<T> {
        let machine = &self.namespace.machine;
        let records = machine.records.borrow();
        let own = |owner: &&Attachment| owner.container == self.id && owner.ifname == self.ifname;
        let op = KernelOp::Nat(op);
        let mut kernel = machine.kernel(None);
        let answers = records.keys().filter(own).map(|owner| kernel.apply(owner, &op).and_then(take));
        answers.filter_map(Result::ok).flatten().collect()
    }
}

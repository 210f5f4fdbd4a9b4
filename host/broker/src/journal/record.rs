//! What a journal says, as values.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use wharf_kernel::Netns;
use wharf_ops::call::NetworkResult;
use wharf_ops::links::LinkOp;
use wharf_ops::{Attachment, KernelOp, Link, Ns};

use super::Damage;

/// A network namespace: its path at the time of the ADD, and what it is known by while it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetnsId {
    /// CNI_NETNS.
    pub path: String,
    /// Device of its inode.
    pub device: u64,
    /// Its inode, which another namespace may get once this one is gone.
    pub inode: u64,
    /// What no other namespace gets (SO_NETNS_COOKIE), if the kernel tells it. As JSON not by that name: what is called a
    /// cookie is taken for a secret.
    #[serde(rename = "number")]
    pub cookie: Option<u64>,
}

impl NetnsId {
    /// Of a namespace that was found at `path`.
    pub(crate) fn of(path: String, netns: &Netns) -> Self {
        let (device, inode) = netns.identity();
        Self { path, device, inode, cookie: netns.cookie() }
    }

    /// Whether that is the one. Who may not enter it cannot ask for its cookie, and goes by the inode.
    pub(crate) fn is(&self, found: &Netns) -> bool {
        let same = found.identity() == (self.device, self.inode);
        same && (self.cookie.is_none() || found.cookie().is_none_or(|cookie| self.cookie == Some(cookie)))
    }
}

/// What a transaction starts with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// Whose it is.
    pub attachment: Attachment,
    /// What ran: `wharf` for a chain in one process, otherwise the plugin's name. The plugins of a drop-in list are
    /// processes of their own with the same attachment.
    pub entry: String,
    /// The container's namespace.
    pub netns: Option<NetnsId>,
    /// `/proc/sys/kernel/random/boot_id`: only in that boot, links and rules are what they were.
    pub boot: String,
    /// Seconds since 1970.
    pub time: u64,
    /// The process that ran it.
    pub pid: u32,
    /// CNI_PATH, for the DEL of native delegates.
    pub plugin_path: Vec<String>,
    /// CNI_ARGS as given, for the same.
    pub args: String,
    /// Tells configurations apart, whatever their network is called.
    pub config: String,
}

#[cfg(test)]
impl Begin {
    /// Of a test: nothing but whose it is.
    pub(crate) fn of_test(key: &super::Key) -> Self {
        Self {
            attachment: key.attachment.clone(),
            entry: key.entry.clone(),
            netns: None,
            boot: super::boot_id(),
            time: 1000,
            pid: 1,
            plugin_path: Vec::new(),
            args: String::new(),
            config: String::new(),
        }
    }
}

/// A guest that was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestRun {
    /// Its name.
    pub name: String,
    /// Of its component: `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// What a policy changed in the configuration of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigChange {
    /// Which policy.
    pub policy: String,
    /// The type of the plugin.
    pub plugin: String,
    /// Its place among those that ran, from 0.
    pub position: u32,
    /// A JSON merge patch (RFC 7396).
    pub patch: String,
}

/// An operation that undoes another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Undo {
    /// Which.
    pub op: KernelOp,
    /// A bridge that others may have joined since: with ports that it did not have before, it stays as it is.
    pub unless_joined: Option<Shared>,
}

/// A bridge that attachments share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shared {
    /// Which.
    pub bridge: Link,
    /// The indices of the ports that it had before.
    pub ports: Vec<u32>,
}

/// What a step is to change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// The kernel.
    Kernel {
        /// What is done.
        op: KernelOp,
        /// How it is undone, in this order. None where it goes with a link that this ADD created, or stays.
        undo: Vec<Undo>,
    },
    /// A lease of the attachment, in the pool of its network.
    Lease {
        /// The configuration's dataDir.
        directory: Option<String>,
        /// Which address; none is the next free one, see [`Outcome::Reserved`].
        address: Option<IpAddr>,
        /// What the attachment had in this pool before.
        held: Vec<IpAddr>,
    },
    /// Whatever a native plugin's ADD does. Its DEL with the same input undoes it.
    Native {
        /// Its type.
        plugin: String,
        /// What its standard input is.
        config: String,
    },
}

impl Effect {
    /// The operation's name, as in [`wharf_ops::OPERATIONS`].
    pub fn operation(&self) -> &'static str {
        match self {
            Self::Kernel { op, .. } => op.operation().name,
            Self::Lease { address: Some(_), .. } => "leases/try-reserve",
            Self::Lease { address: None, .. } => "leases/reserve-next",
            Self::Native { .. } => "delegate/add",
        }
    }
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Unknown: the process ended here.
    Pending,
    /// It was done.
    Done,
    /// It was done, and these links came into being: both ends of a veth, an ifb, a bridge.
    Created(Vec<Link>),
    /// It was done, and this address was taken.
    Reserved(IpAddr),
    /// Everything was that way already.
    AlreadySo,
    /// It failed and changed nothing.
    Nothing,
    /// It failed, perhaps half-way.
    Failed,
}

/// One change: what was to be done, by whom, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Counted from 0 in its transaction.
    pub seq: u32,
    /// The guest that asked for it.
    pub guest: String,
    /// What was to be done.
    pub effect: Effect,
    /// What came of it.
    pub outcome: Outcome,
}

impl Step {
    /// Whether the host is as the operation wanted it.
    pub fn holds(&self) -> bool {
        match self.outcome {
            Outcome::Done | Outcome::Created(_) | Outcome::Reserved(_) | Outcome::AlreadySo => true,
            Outcome::Pending | Outcome::Nothing | Outcome::Failed => false,
        }
    }

    /// Whether it may have changed something.
    pub fn may_have_changed(&self) -> bool {
        !matches!(self.outcome, Outcome::AlreadySo | Outcome::Nothing)
    }

    /// The links that it created.
    pub fn created(&self) -> &[Link] {
        match &self.outcome {
            Outcome::Created(links) => links,
            _ => &[],
        }
    }
}

impl Step {
    /// Whether the links that it created go when the attachment goes: not so a bridge, which is shared, and a veth between
    /// two ends of the host, such as the one into a VLAN.
    pub fn creates_private_links(&self) -> bool {
        let Effect::Kernel { op: KernelOp::Link(op), .. } = &self.effect else { return false };
        match op {
            LinkOp::CreateIfb { .. } => true,
            LinkOp::CreateVeth { a, b } => a.ns != Ns::Host || b.ns != Ns::Host,
            _ => false,
        }
    }
}

/// The end of an ADD that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Commit {
    /// Seconds since 1970.
    pub time: u64,
    /// What the runtime was told.
    pub result: NetworkResult,
}

/// One ADD.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transaction {
    /// Its start.
    pub begin: Begin,
    /// The guests that ran, in order.
    pub guests: Vec<GuestRun>,
    /// The policies that were asked about it, in order.
    pub policies: Vec<GuestRun>,
    /// What they changed in configurations, in order.
    pub changes: Vec<ConfigChange>,
    /// What was done, in order.
    pub steps: Vec<Step>,
    /// Its end; none if the ADD was cut short, or runs.
    pub commit: Option<Commit>,
}

impl Transaction {
    /// One that does nothing yet.
    pub fn new(begin: Begin) -> Self {
        Self {
            begin,
            guests: Vec::new(),
            policies: Vec::new(),
            changes: Vec::new(),
            steps: Vec::new(),
            commit: None,
        }
    }

    /// The operations on the kernel that are in force as far as this transaction goes, in order.
    pub fn operations(&self) -> impl Iterator<Item = (&Step, &KernelOp)> {
        self.steps.iter().filter(|step| step.holds()).filter_map(|step| match &step.effect {
            Effect::Kernel { op, .. } => Some((step, op)),
            Effect::Lease { .. } | Effect::Native { .. } => None,
        })
    }

    /// The addresses that it leased, each with the configuration's dataDir.
    pub fn leases(&self) -> impl Iterator<Item = (Option<&str>, IpAddr)> {
        self.steps.iter().filter_map(|step| match (&step.effect, &step.outcome) {
            (Effect::Lease { directory, .. }, Outcome::Reserved(address)) => {
                Some((directory.as_deref(), *address))
            }
            _ => None,
        })
    }

    /// The links that it created.
    pub fn created(&self) -> impl Iterator<Item = &Link> {
        self.steps.iter().flat_map(Step::created)
    }

    /// Whether a bridge was not there before.
    pub(crate) fn made_a_bridge(&self) -> bool {
        self.steps.iter().any(|step| match &step.effect {
            Effect::Kernel { op: KernelOp::Link(LinkOp::EnsureBridge { .. }), undo } => !undo.is_empty(),
            _ => false,
        })
    }

    /// Whether it ran in another boot: nothing of it is left but what is on disk.
    pub fn of_earlier_boot(&self) -> bool {
        let now = super::boot_id();
        !now.is_empty() && !self.begin.boot.is_empty() && now != self.begin.boot
    }
}

/// Everything that one journal says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Oldest first. More than one if the runtime added the attachment again, or a plugin stands twice in a list.
    pub transactions: Vec<Transaction>,
    /// Where it stopped making sense, if it did.
    pub damage: Option<Damage>,
}

impl Record {
    /// Whose it is; none if not even that can be read.
    pub fn attachment(&self) -> Option<&Attachment> {
        self.transactions.first().map(|first| &first.begin.attachment)
    }

    /// What ran.
    pub fn entry(&self) -> Option<&str> {
        self.transactions.first().map(|first| first.begin.entry.as_str())
    }

    /// When the attachment came into being: seconds since 1970.
    pub fn since(&self) -> Option<u64> {
        self.committed().find_map(|transaction| transaction.commit.as_ref()).map(|commit| commit.time)
    }

    /// What the last ADD answered.
    pub fn result(&self) -> Option<&NetworkResult> {
        self.committed().next_back().and_then(|last| last.commit.as_ref()).map(|commit| &commit.result)
    }

    /// The transactions that are in force, oldest first.
    pub fn committed(&self) -> impl DoubleEndedIterator<Item = &Transaction> {
        self.transactions.iter().filter(|transaction| transaction.commit.is_some())
    }

    /// The one that was cut short, or runs.
    pub fn pending(&self) -> Option<&Transaction> {
        self.transactions.last().filter(|transaction| transaction.commit.is_none())
    }

    /// The container's namespace of the newest transaction.
    pub fn netns(&self) -> Option<&NetnsId> {
        self.transactions.last().and_then(|last| last.begin.netns.as_ref())
    }
}

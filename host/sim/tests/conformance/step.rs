//! What a sequence is made of.

use wharf_ops::{Attachment, KernelOp, Ns};

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// An operation of the usual attachment.
    Do(KernelOp),
    /// An operation of another one.
    As(Attachment, KernelOp),
    /// Who has rules on a network.
    Owners(&'static str),
    /// All rules of an attachment go.
    Sweep(Attachment),
    /// From now on, operations may wait for so many milliseconds.
    Within(u64),
    /// The container's namespace is gone for the operations that follow.
    WithoutContainer,
    /// What somebody else does.
    Foreign(Foreign),
    /// Everything that is there.
    Show,
}

/// What somebody else does with other tools.
#[derive(Clone, Debug)]
pub(crate) enum Foreign {
    /// A device of another kind.
    Device { ns: Ns, name: &'static str, kind: &'static str },
    /// A qdisc at the root.
    Root { ns: Ns, link: &'static str, kind: &'static str },
    /// A qdisc before what comes in.
    Clsact { ns: Ns, link: &'static str },
    /// A chain of iptables' nat table.
    Chain(&'static str),
    /// Another name for a link.
    Rename { ns: Ns, from: &'static str, to: &'static str },
}

/// A sequence, on a machine of its own.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) steps: Vec<Step>,
    /// Whether it needs a kernel that filters VLANs.
    pub(crate) needs_vlans: bool,
}

/// A sequence that is shown as a whole when it is over.
pub(crate) fn case(name: &'static str, steps: impl IntoIterator<Item = Step>) -> Case {
    let steps = steps.into_iter().chain([Step::Show]).collect();
    Case { name, steps, needs_vlans: false }
}

/// The attachment of most operations.
pub(crate) fn owner() -> Attachment {
    named("net", "one", "eth0")
}

pub(crate) fn named(network: &str, container: &str, ifname: &str) -> Attachment {
    Attachment { network: network.into(), container: container.into(), ifname: ifname.into() }
}

//! What the tests of all rooms share: two throw-away namespaces, a kernel over them, and independent readers.

use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use wharf_ops::links::{Common, Info, LinkOp, VethEnd};
use wharf_ops::{Attachment, Error, KernelOp, Link, Ns, Reply};

use crate::{Kernel, Netns, RealKernel};

/// Two namespaces and a kernel over them.
pub(crate) struct Rig {
    pub(crate) kernel: RealKernel,
    pub(crate) host: Netns,
    pub(crate) container: Netns,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let (host, container) = (Netns::anonymous().unwrap(), Netns::anonymous().unwrap());
        let kernel = RealKernel::new(again(&host), Some(again(&container)));
        Self { kernel, host, container }
    }

    /// A kernel for a call that comes after the container's namespace has gone.
    pub(crate) fn without_container(&self) -> RealKernel {
        RealKernel::new(again(&self.host), None)
    }

    pub(crate) fn owner() -> Attachment {
        Attachment { network: "net".into(), container: "abc".into(), ifname: "eth0".into() }
    }

    #[allow(clippy::needless_pass_by_value, reason = "operations are made where they are applied")]
    pub(crate) fn apply(&mut self, op: KernelOp) -> Result<Reply, Error> {
        self.kernel.apply(&Self::owner(), &op)
    }

    pub(crate) fn link(&mut self, op: LinkOp) -> Result<Reply, Error> {
        self.apply(KernelOp::Link(op))
    }

    pub(crate) fn deadline(&mut self, milliseconds: u64) {
        self.kernel.set_deadline(Some(Instant::now() + Duration::from_millis(milliseconds)));
    }

    pub(crate) fn netns(&self, ns: Ns) -> &Netns {
        match ns {
            Ns::Host => &self.host,
            Ns::Container => &self.container,
        }
    }

    /// Runs a program inside a namespace; its output if it succeeds.
    pub(crate) fn try_run(&self, ns: Ns, line: &str) -> Result<String, String> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let output =
            self.netns(ns).enter(|| Command::new(words[0]).args(&words[1..]).output()).unwrap().unwrap();
        if output.status.success() {
            Ok(String::from_utf8(output.stdout).unwrap())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }

    pub(crate) fn run(&self, ns: Ns, line: &str) -> String {
        self.try_run(ns, line).unwrap_or_else(|error| panic!("{line}: {error}"))
    }

    /// Runs a program that prints JSON; nothing printed is null.
    pub(crate) fn json(&self, ns: Ns, line: &str) -> Value {
        let output = self.run(ns, line);
        if output.trim().is_empty() { Value::Null } else { serde_json::from_str(&output).unwrap() }
    }

    /// `ip -d -j link show NAME`.
    pub(crate) fn show(&self, ns: Ns, name: &str) -> Value {
        self.json(ns, &format!("ip -d -j link show {name}"))[0].clone()
    }

    /// A pair `veth0` on the host and `eth0` in the container, both down.
    pub(crate) fn veth(&mut self) -> (Link, Link) {
        self.link(LinkOp::CreateVeth { a: end(Ns::Host, "veth0"), b: end(Ns::Container, "eth0") })
            .unwrap()
            .pair()
            .unwrap()
    }

    /// As `veth`, with both ends carrying traffic.
    pub(crate) fn veth_up(&mut self) -> (Link, Link) {
        let (a, b) = self.veth();
        for link in [&a, &b] {
            self.link(LinkOp::SetUp { link: link.clone(), up: true }).unwrap().done().unwrap();
        }
        for link in [&a, &b] {
            self.link(LinkOp::WaitOperational { link: link.clone() }).unwrap().done().unwrap();
        }
        (a, b)
    }

    pub(crate) fn set_up(&mut self, link: &Link, up: bool) {
        self.link(LinkOp::SetUp { link: link.clone(), up }).unwrap().done().unwrap();
    }

    pub(crate) fn info(&mut self, link: &Link) -> Info {
        self.link(LinkOp::Info { link: link.clone() }).unwrap().info().unwrap()
    }

    pub(crate) fn bridge(&mut self, name: &str) -> Link {
        let op = LinkOp::EnsureBridge { ns: Ns::Host, common: common(name), vlan_filtering: false };
        self.link(op).unwrap().bridge().unwrap().0
    }
}

pub(crate) fn end(ns: Ns, name: &str) -> VethEnd {
    VethEnd { ns, name: name.into(), mtu: None, mac: None, tx_queue_length: None }
}

pub(crate) fn common(name: &str) -> Common {
    Common { name: name.into(), ..Common::default() }
}

pub(crate) fn again(netns: &Netns) -> Netns {
    Netns::open(format!("/proc/self/fd/{}", netns.as_fd().as_raw_fd())).unwrap()
}

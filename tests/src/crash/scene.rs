//! Where calls are ended: a node, a container on it, and a list of plugins.

use std::fmt;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};

use super::{Attempt, Ended, Picture};
use crate::install::wharfctl;
use crate::{Container, Network, Node, Target, sh};

/// How rules get into the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Backend {
    /// A table of Wharf's, or of each reference plugin.
    Nftables,
    /// iptables-nft.
    Iptables,
}

impl Backend {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Nftables, Self::Iptables];

    /// As configurations have it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Nftables => "nftables",
            Self::Iptables => "iptables",
        }
    }
}

/// Who serves the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// Wharf, the whole list in one process.
    Chain,
    /// Wharf under the plugins' names.
    DropIns,
    /// The reference plugins.
    Reference,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Chain => "wharf, one process",
            Self::DropIns => "wharf, drop-ins",
            Self::Reference => "reference",
        })
    }
}

/// What is added and deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum List {
    /// bridge with ipMasq and host-local, portmap, bandwidth. The container has its loopback from a list of its own, as
    /// with containerd.
    Full(Backend),
    /// loopback alone.
    Loopback,
}

impl fmt::Display for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(backend) => write!(f, "chain, {}", backend.name()),
            Self::Loopback => f.write_str("loopback"),
        }
    }
}

/// The network's name.
const NETWORK: &str = "crash";
/// The container's id.
const CONTAINER: &str = "victim";

/// A node with one container.
#[derive(Debug)]
pub struct Scene {
    pub(super) node: Node,
    container: Container,
    side: Side,
    list: List,
}

impl Scene {
    /// A new node, on which the list never was.
    pub fn new(side: Side, list: List) -> Result<Self, String> {
        let mut node = Node::new();
        if side == Side::Reference {
            let reference = crate::install::reference()?;
            node.cni_path = reference.display().to_string();
            node.bin = reference;
        }
        let container = node.container(CONTAINER);
        if let List::Full(_) = list {
            let loopback = json!({"type": "loopback"});
            let network = Network::new(&node, [loopback]).named("cni-loopback").version("1.0.0");
            network.add(&container.target("lo")).ok();
        }
        Ok(Self { node, container, side, list })
    }

    /// The same with the binary that obeys `WHARF_FAULT`.
    pub fn with_faults(list: List) -> Result<Self, String> {
        let scene = Self::new(Side::Chain, list)?;
        let (binary, place) = (crate::install::faults()?, scene.node.bin.join("wharf"));
        fs::remove_file(&place).expect("the installed binary is there");
        fs::hard_link(&binary, &place)
            .or_else(|_| fs::copy(&binary, &place).map(drop))
            .expect("put the binary with faults in place");
        Ok(scene)
    }

    /// Adds and deletes once: what attachments share is there then.
    pub fn warm_up(&self) -> Result<(), String> {
        let previous = self.attach()?;
        self.delete(Some(&previous))
    }

    /// An ADD that is left alone. Answers its result.
    pub fn attach(&self) -> Result<Value, String> {
        let Attempt { ended, result, .. } = self.attempt("ADD", None, &[], None);
        match ended {
            Ended::Done => Ok(result.unwrap_or_default()),
            other => Err(format!("a plain ADD: {other:?}")),
        }
    }

    /// A DEL that is left alone.
    pub fn delete(&self, previous: Option<&Value>) -> Result<(), String> {
        match self.attempt("DEL", previous, &[], None).ended {
            Ended::Done => Ok(()),
            other => Err(format!("a plain DEL: {other:?}")),
        }
    }

    /// A GC for which nothing is valid.
    pub fn collect(&self) -> Result<(), String> {
        let outcome = self.network().gc(&[]);
        if outcome.status == 0 { Ok(()) } else { Err(outcome.to_string()) }
    }

    /// `wharfctl recover`.
    pub fn recover(&self) -> Result<(), String> {
        let output = self.node.run(|| sh::output(wharfctl(&self.node.root()).arg("recover")));
        let said = [&output.stdout[..], &output.stderr].concat();
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&said).into_owned()) }
    }

    /// The node.
    pub fn node(&self) -> &Node {
        &self.node
    }

    /// What is there now.
    pub fn picture(&self) -> Picture {
        Picture::of((&self.node, self.node.dump()), (&self.container, self.container.dump()))
    }

    /// Texts that only this attachment has.
    pub fn own_texts() -> [&'static str; 4] {
        [CONTAINER, "10.1.0.", "fd01::", "8001"]
    }

    pub(super) fn is_loopback(&self) -> bool {
        self.list == List::Loopback
    }

    pub(super) fn network(&self) -> Network<'_> {
        let network = Network::new(&self.node, self.plugins()).named(NETWORK);
        match self.side {
            Side::Chain => network.chain(),
            Side::DropIns | Side::Reference => network,
        }
    }

    pub(super) fn target(&self) -> Target {
        match self.list {
            List::Loopback => self.container.target("lo"),
            List::Full(_) => self.container.eth0().port(8001, 80).with(
                "bandwidth",
                json!({
                    "ingressRate": 40_000_000, "ingressBurst": 800_000,
                    "egressRate": 20_000_000, "egressBurst": 400_000,
                }),
            ),
        }
    }

    fn plugins(&self) -> Vec<Value> {
        let List::Full(backend) = self.list else { return vec![json!({"type": "loopback"})] };
        let backend = backend.name();
        let mut ipam = json!({
            "type": "host-local",
            "ranges": [[{"subnet": "10.1.0.0/16"}], [{"subnet": "fd01::/64"}]],
        });
        if self.side == Side::Reference {
            // Where Wharf has them by itself.
            ipam["dataDir"] = self.node.root().join("var/lib/cni/networks").display().to_string().into();
        }
        vec![
            json!({
                "type": "bridge", "bridge": "br0", "isDefaultGateway": true, "hairpinMode": true,
                "ipMasq": true, "ipMasqBackend": backend, "ipam": ipam,
            }),
            json!({"type": "portmap", "backend": backend, "capabilities": {"portMappings": true}}),
            json!({"type": "bandwidth", "capabilities": {"bandwidth": true}}),
        ]
    }

    /// The reference's bridge deletes rules of iptables whether there are any or not. Debian's build of it takes the answer
    /// of iptables 1.8.9 for a chain that never was as a failure and stops half way (upstream's build goes on). With an
    /// empty chain of that name it does all its work, which is what is to be seen.
    pub(super) fn before_delete(&self) {
        self.masquerade_chain("-N");
    }

    /// Takes it away again, if it is empty and nothing leads to it: it is not the reference's.
    pub(super) fn after_delete(&self) {
        self.masquerade_chain("-X");
    }

    fn masquerade_chain(&self, verb: &str) {
        if self.side == Side::Reference {
            let hash = Sha512::digest(format!("{NETWORK}{CONTAINER}"));
            let hex = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
            for program in ["iptables", "ip6tables"] {
                // Whether it can be made or taken away is what it depends on.
                self.node.try_sh(&format!("{program} -w -t nat {verb} CNI-{hex}"));
            }
        }
    }

    pub(super) fn program(&self, name: &str) -> std::path::PathBuf {
        Path::new(&self.node.bin).join(name)
    }
}

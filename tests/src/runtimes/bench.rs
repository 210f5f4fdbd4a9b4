//! Pods through containerd, with the reference plugins and with Wharf, taking turns; and the same calls without it.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest, Sha512};

use crate::{Container, Network, Node, Outcome, install};

use super::config::Form;
use super::containerd::{Containerd, Release};
use super::pod::Spec;
use super::{List, Machine};

/// Whose plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The reference plugins.
    Reference,
    /// Wharf under their names.
    DropIn,
    /// Wharf with the list as one process.
    OneProcess,
}

impl Side {
    /// In the order of the table.
    pub const ALL: [Self; 3] = [Self::Reference, Self::DropIn, Self::OneProcess];

    /// For people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::DropIn => "wharf, drop-ins",
            Self::OneProcess => "wharf, one process",
        }
    }

    fn form(self) -> Form {
        if self == Self::OneProcess { Form::Chain } else { Form::DropIn }
    }
}

/// One call of containerd, and the part of it that its network plugins took.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// RunPodSandbox or StopPodSandbox.
    pub whole: Duration,
    /// By containerd's own measurement.
    pub network: Duration,
}

/// What was measured of one side.
#[derive(Debug)]
pub struct Figures {
    /// Whose plugins.
    pub side: Side,
    /// RunPodSandbox.
    pub run: Vec<Sample>,
    /// StopPodSandbox.
    pub stop: Vec<Sample>,
    /// The plugins of a list called for ADD without a runtime.
    pub add: Vec<Duration>,
    /// The same for DEL.
    pub del: Vec<Duration>,
}

/// A side with its containerd, and with a node on which nobody but the bench calls its plugins.
struct Lane {
    containerd: Containerd,
    bare: Node,
    attached: [Container; 2],
    list: List,
    figures: Figures,
}

/// Measures so many rounds with this backend. The error says why that cannot be done here.
pub fn measure(backend: &str, rounds: usize) -> Result<Vec<Figures>, String> {
    const WARM_UP: usize = 2;
    let lanes = Side::ALL.map(|side| Lane::new(side, backend));
    let mut lanes = lanes.into_iter().collect::<Result<Vec<_>, _>>()?;
    for round in 0..rounds + WARM_UP {
        lanes.rotate_left(1);
        for lane in &mut lanes {
            let (run, stop) = lane.pod(round)?;
            let (add, del) = lane.calls(round)?;
            if round >= WARM_UP {
                lane.figures.run.push(run);
                lane.figures.stop.push(stop);
                lane.figures.add.push(add);
                lane.figures.del.push(del);
            }
        }
    }
    let mut figures: Vec<Figures> = lanes.into_iter().map(|lane| lane.figures).collect();
    figures.sort_by_key(|figures| Side::ALL.iter().position(|side| *side == figures.side));
    Ok(figures)
}

/// What `cargo xtask bench` measures, too: a bridge with masquerading, a mapped port and limits. One family.
fn list(form: Form, backend: &str) -> List {
    let mut list = List::pods(form, backend).limits([100, 100], 1_250_000);
    list.plugins[0]["ipam"]["ranges"] = json!([[{"subnet": "10.77.0.0/16"}]]);
    list
}

impl Lane {
    fn new(side: Side, backend: &str) -> Result<Self, String> {
        let reference = install::reference()?;
        let list = list(side.form(), backend);
        let replace = |machine: &Machine| {
            if side == Side::Reference {
                let bin = &machine.node().bin;
                fs::remove_dir_all(bin).expect("remove Wharf");
                fs::create_dir(bin).expect("create a folder");
                for entry in fs::read_dir(&reference).expect("list the plugins").flatten() {
                    fs::copy(entry.path(), bin.join(entry.file_name())).expect("copy a plugin");
                }
            }
        };
        let containerd = Containerd::prepared(Release::V1_6, &list, replace)?;
        let mut bare = Node::new();
        if side == Side::Reference {
            bare.cni_path = reference.display().to_string();
            bare.bin = reference;
        }
        let attached = ["one", "two"].map(|id| bare.container(id));
        let figures = Figures { side, run: vec![], stop: vec![], add: vec![], del: vec![] };
        Ok(Self { containerd, bare, attached, list, figures })
    }

    fn pod(&self, round: usize) -> Result<(Sample, Sample), String> {
        let cri = self.containerd.cri();
        let spec = Spec::new(&format!("pod-{round}")).port("tcp", 8080, 80);
        let config = self.containerd.config(&spec);
        let before = self.containerd.network_time();
        let begin = Instant::now();
        let id = cri.run(config).map_err(|error| error.to_string())?;
        let run = begin.elapsed();
        self.before_delete(self.containerd.machine().node(), &id);
        let begin = Instant::now();
        cri.stop(&id).map_err(|error| error.to_string())?;
        let stop = begin.elapsed();
        let after = self.containerd.network_time();
        cri.remove(&id).map_err(|error| error.to_string())?;
        let sample =
            |whole, index: usize| Sample { whole, network: after[index].saturating_sub(before[index]) };
        Ok((sample(run, 0), sample(stop, 1)))
    }

    /// The plugins of containerd's two networks, one after the other.
    fn calls(&self, round: usize) -> Result<(Duration, Duration), String> {
        let container = &self.attached[round % 2];
        let mut loopback = Network::new(&self.bare, [json!({"type": "loopback"})]).version("0.3.1");
        loopback = loopback.named("cni-loopback");
        let mut plugins = self.list.plugins.clone();
        if self.figures.side == Side::Reference {
            // Wharf's are under its root.
            plugins[0]["ipam"]["dataDir"] = self.bare.leases("").display().to_string().into();
        }
        let mut network = Network::new(&self.bare, plugins).version("1.0.0");
        if self.figures.side == Side::OneProcess {
            network = network.chain();
        }
        let (lo, eth0) = (container.target("lo"), container.eth0().port(8080, 80));
        let ok = |what: &str, outcome: Outcome| -> Result<Value, String> {
            if outcome.status == 0 { Ok(outcome.json) } else { Err(format!("{what}: {outcome}")) }
        };
        let begin = Instant::now();
        ok("ADD", loopback.add(&lo))?;
        let result = ok("ADD", network.add(&eth0))?;
        let add = begin.elapsed();
        self.before_delete(&self.bare, &eth0.id);
        let begin = Instant::now();
        ok("DEL", network.del(&eth0, Some(&result)))?;
        ok("DEL", loopback.del(&lo, None))?;
        Ok((add, begin.elapsed()))
    }

    /// Every DEL of the reference's bridge tears down both backends. Debian's build of it takes the answer of iptables
    /// 1.8.9 for a chain that never was as a failure. With an empty chain of that name it does all its work.
    fn before_delete(&self, node: &Node, container: &str) {
        if self.figures.side == Side::Reference && self.list.plugins[0]["ipMasqBackend"] == "nftables" {
            let hash = Sha512::digest(format!("{}{container}", self.network(node)));
            let hex: Vec<String> = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect();
            node.sh(&format!("iptables -w -t nat -N CNI-{}", hex.concat()));
        }
    }

    fn network(&self, node: &Node) -> &str {
        // `Network` has a name of its own.
        if std::ptr::eq(node, &raw const self.bare) { "net" } else { &self.list.name }
    }
}

/// Milliseconds of the middle value.
pub fn median(values: impl Iterator<Item = Duration>) -> f64 {
    let mut values: Vec<f64> = values.map(|value| value.as_secs_f64() * 1e3).collect();
    values.sort_by(f64::total_cmp);
    let (lower, upper) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
    f64::midpoint(lower, upper)
}

//! A node that is switched from the reference plugins to Wharf and back while pods run.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::chain::Chain;
use super::program::{Answer, execute};
use crate::{Netns, Network, Node, Target, install};

/// Who serves a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The reference plugins.
    Reference,
    /// Wharf under their names.
    DropIns,
    /// Wharf, the whole list in one process.
    Chain,
}

impl By {
    /// Both ways of running Wharf.
    pub const OURS: [Self; 2] = [Self::DropIns, Self::Chain];
}

/// The node, a machine outside, and a list with everything: masquerading, mapped ports, limits.
#[derive(Debug)]
pub struct Switch {
    // In the order in which they go.
    /// The machine beyond the node.
    pub outside: Netns,
    /// The node.
    pub node: Node,
    /// What rules are written with.
    pub backend: &'static str,
    reference: PathBuf,
}

impl Switch {
    /// A node on which these have attached and deleted a container once, so that what attachments share is there. The
    /// error says why there are no reference plugins.
    pub fn new(backend: &'static str, history: &[By]) -> Result<Self, String> {
        let reference = install::reference()?;
        let node = Node::new();
        node.set_sysctl("ipv6/conf/default/accept_dad", "0");
        let outside = node.outside();
        let switch = Self { outside, node, backend, reference };
        for by in history.iter().copied() {
            let first = switch.node.container("first");
            let target = limited(first.eth0()).port(8000, 80);
            let result = switch.add(by, &target);
            let answer = switch.del(by, &target, Some(&result));
            assert!(answer.is_ok(), "{answer:?}");
        }
        Ok(switch)
    }

    /// ADD, which must succeed. Answers the result.
    #[track_caller]
    pub fn add(&self, by: By, target: &Target) -> Value {
        let answer = self.call(by, "ADD", target, None);
        assert!(answer.is_ok(), "{by:?}: {answer:?}");
        answer.json().cloned().unwrap_or_default()
    }

    /// CHECK of every plugin, until one fails.
    pub fn check(&self, by: By, target: &Target, result: &Value) -> Answer {
        self.call(by, "CHECK", target, Some(result))
    }

    /// DEL of every plugin, until one fails.
    pub fn del(&self, by: By, target: &Target, result: Option<&Value>) -> Answer {
        let chain = (by == By::Reference).then(|| Chain::beside(&self.node, "net", &target.id));
        let answer = self.call(by, "DEL", target, result);
        drop(chain);
        answer
    }

    fn call(&self, by: By, command: &str, target: &Target, previous: Option<&Value>) -> Answer {
        let network = self.network(by);
        let mut order: Vec<usize> = (0..network.steps()).collect();
        if command == "DEL" {
            order.reverse();
        }
        let reference = self.reference.display().to_string();
        let mut last: Option<Answer> = None;
        for index in order {
            let previous = match &last {
                Some(answer) if command == "ADD" => answer.json(),
                _ => previous,
            };
            let (program, config) = network.step(index, target, previous);
            let mut env = target.env(command);
            let mut path = program.to_owned();
            if by == By::Reference {
                env.push(("CNI_PATH", &reference));
                path = format!("{reference}/{program}");
            }
            let answer = execute(&self.node, &path, &env, config.to_string().as_bytes());
            let is_over = !answer.is_ok();
            last = Some(answer);
            if is_over {
                break;
            }
        }
        last.expect("a list has plugins")
    }

    fn network(&self, by: By) -> Network<'_> {
        let mut ipam =
            json!({"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]});
        if by == By::Reference {
            // Where Wharf has them by itself.
            ipam["dataDir"] = self.node.root().join("var/lib/cni/networks").display().to_string().into();
        }
        let list = [
            json!({
                "type": "bridge", "bridge": "br0", "isDefaultGateway": true, "hairpinMode": true,
                "ipMasq": true, "ipMasqBackend": self.backend, "ipam": ipam,
            }),
            json!({"type": "portmap", "backend": self.backend, "capabilities": {"portMappings": true}}),
            json!({"type": "bandwidth", "capabilities": {"bandwidth": true}}),
        ];
        let network = Network::new(&self.node, list).version("1.0.0");
        if by == By::Chain { network.chain() } else { network }
    }
}

/// With limits in both directions.
pub fn limited(target: Target) -> Target {
    target.with(
        "bandwidth",
        json!({
            "ingressRate": 40_000_000, "ingressBurst": 800_000, "egressRate": 20_000_000, "egressBurst": 400_000,
        }),
    )
}

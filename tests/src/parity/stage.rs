//! One side's node with its containers: where the steps of a case are played.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde_json::{Map, Value};

use super::case::{Attach, Case, FullStep};
use super::chain::Chain;
use super::names::macs_in;
use super::program::{Answer, execute};
use crate::dump::text;
use crate::traffic::Server;
use crate::{Container, Netns, Network, Node, Target, install, sh};

/// Whose plugins they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The reference plugins.
    Reference,
    /// Wharf under their names.
    Ours,
}

/// Where host-local has its leases by itself.
const LEASES: &str = "/var/lib/cni/networks";

/// A node, and what is on it.
#[derive(Debug)]
pub struct Stage {
    // In the order in which they go.
    servers: Vec<Server>,
    /// The containers by their names.
    pub containers: BTreeMap<String, Container>,
    /// The machine beyond the node.
    pub outside: Option<Netns>,
    /// The node.
    pub node: Node,
    /// Whose plugins are called.
    pub side: Side,
    /// The result of each attachment that exists.
    pub results: BTreeMap<String, Value>,
    /// The hardware addresses that the case gives.
    pub given_macs: BTreeSet<String>,
}

impl Stage {
    /// A node as the case wants it before its first step.
    pub fn set(case: &Case, side: Side) -> Self {
        let mut node = Node::new();
        if !case.dad {
            node.set_sysctl("ipv6/conf/default/accept_dad", "0");
        }
        if side == Side::Reference {
            let reference = install::reference().expect("the caller has looked whether it is there");
            node.cni_path = reference.display().to_string();
            node.bin = reference;
        }
        for (path, text) in &case.files {
            let path = below(&node.root(), path);
            fs::create_dir_all(Path::new(&path).parent().expect("a path below the root")).expect("a folder");
            fs::write(&path, text).expect("write a file");
        }
        let outside = case.has_outside().then(|| node.outside());
        let attachments = case.attachments();
        let names: BTreeSet<&String> =
            attachments.iter().map(|(name, attach)| attach.container.as_ref().unwrap_or(name)).collect();
        let containers: BTreeMap<String, Container> =
            names.into_iter().map(|name| (name.clone(), node.container(&id(name)))).collect();
        let given_macs = macs_in(&format!("{case:?}"));
        let (servers, results) = (Vec::new(), BTreeMap::new());
        let mut stage = Self { servers, containers, outside, node, side, results, given_macs };
        for line in &case.node {
            stage.node.sh(line);
        }
        for line in &case.inside {
            stage.netns("c").sh(line);
        }
        for line in &case.serve {
            stage.serve(line);
        }
        stage
    }

    /// A namespace by its name: `node`, `outside` or a container.
    pub fn netns(&self, name: &str) -> &Netns {
        match name {
            "node" => &self.node,
            "outside" => self.outside.as_ref().expect("has_outside finds every mention"),
            _ => self.containers.get(name).unwrap_or_else(|| panic!("there is no container {name:?}")),
        }
    }

    /// Starts a server: `c tcp 80`.
    fn serve(&mut self, line: &str) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [name, protocol, port] = words[..] else { panic!("{line:?} is not like \"c tcp 80\"") };
        let (netns, address) = (self.netns(name), format!("[::]:{port}"));
        let server = match protocol {
            "tcp" => Server::tcp(netns, name, &address),
            "udp" => Server::udp(netns, name, &address),
            _ => panic!("{line:?}: neither tcp nor udp"),
        };
        self.servers.push(server);
    }

    /// One command of an attachment, as a runtime does it. Answers which plugin spoke last, and what.
    pub fn command(&mut self, case: &Case, command: &str, name: &str, step: &FullStep) -> (String, Answer) {
        let attach = case.attachments().remove(name).unwrap_or_else(|| panic!("no attachment {name:?}"));
        let without = |what: &str| step.without.iter().any(|left_out| left_out == what);
        let target = self.target(name, &attach, &without);
        let previous = if without("result") { None } else { self.results.get(name).cloned() };
        let speaks_of_results = !matches!(case.version.as_str(), "0.1.0" | "0.2.0" | "0.3.0" | "0.3.1");
        let previous = previous.filter(|_| command == "check" || speaks_of_results);
        let network = self.network(case, &attach.network, &step.edit);
        let order: Vec<usize> = if command == "del" {
            (0..network.steps()).rev().collect()
        } else {
            (0..network.steps()).collect()
        };
        let masquerades = case.network(&attach.network).iter().any(|plugin| plugin["ipMasq"] == true)
            || step.edit.get("ipMasq").is_some_and(|set| *set == true);
        let chain = (command == "del" && masquerades && self.side == Side::Reference)
            .then(|| Chain::beside(&self.node, &attach.network, &target.id));
        let mut last: Option<(String, Answer)> = None;
        for index in order {
            let result = match (command, &last) {
                ("add", Some((_, answer))) => answer.json(),
                ("add", None) => None,
                _ => previous.as_ref(),
            };
            let (program, config) = network.step(index, &target, result);
            let env = target.env(match command {
                "add" => "ADD",
                "check" => "CHECK",
                "del" => "DEL",
                other => panic!("{other:?}: not add, check or del"),
            });
            let answer = execute(&self.node, program, &env, config.to_string().as_bytes());
            let is_over = !answer.is_ok();
            last = Some((program.to_owned(), answer));
            if is_over {
                break;
            }
        }
        drop(chain);
        let last = last.expect("a network has plugins");
        match (command, last.1.is_ok()) {
            ("add", true) => {
                let result = last.1.json().cloned().unwrap_or_default();
                self.results.insert(name.to_owned(), result);
            }
            ("del", true) => {
                self.results.remove(name);
            }
            _ => {}
        }
        last
    }

    /// An execution with exactly this environment and input.
    pub fn call(&self, plugin: &str, env: &BTreeMap<String, String>, stdin: &Value) -> Answer {
        let netns = self.containers.get("c").map(|container| container.path().display().to_string());
        let value = |value: &str| match (value, &netns) {
            ("NETNS", Some(netns)) => netns.clone(),
            _ => value.to_owned(),
        };
        let env: Vec<(&str, String)> = env.iter().map(|(key, text)| (key.as_str(), value(text))).collect();
        let env: Vec<(&str, &str)> = env.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let text = match stdin {
            Value::Null => String::new(),
            Value::String(text) => {
                assert!(!text.contains("host-local"), "give what has an ipam as JSON, not as text: {text}");
                text.clone()
            }
            config => {
                let mut config = config.clone();
                for member in config.as_object_mut().into_iter().flat_map(Map::values_mut) {
                    if *member == "PLUGIN" {
                        *member = plugin.into();
                    }
                }
                self.on_this_side(config).to_string()
            }
        };
        execute(&self.node, plugin, &env, text.as_bytes())
    }

    /// Lines that a command prints in a namespace, whatever its exit status.
    pub fn count(&self, on: &str, line: &str) -> usize {
        let output = self.netns(on).run(|| sh::output(&mut sh::words(line)));
        String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.trim().is_empty()).count()
    }

    /// A line in which `@c/eth0` is the node's end of a container's interface, and `@ifb` its first ifb.
    pub fn named(&self, line: &str) -> String {
        let word = |word: &str| match word.strip_prefix('@') {
            None => word.to_owned(),
            Some("ifb") => {
                let found = self.node.links().into_iter().find(|name| name.starts_with("bwp"));
                found.expect("the node has an ifb")
            }
            Some(end) => {
                let (container, ifname) = end.split_once('/').expect("like @c/eth0");
                let inside = self.netns(container).link(ifname).expect("the interface is there");
                let links = self.node.links_in_full();
                let found = links.as_array().into_iter().flatten();
                let peer = found.filter(|link| link["ifindex"] == inside["link_index"]);
                peer.map(|link| text(link, "ifname").to_owned()).next().expect("its peer is on the node")
            }
        };
        line.split(' ').map(word).collect::<Vec<_>>().join(" ")
    }

    /// How many links the node has without those of a container.
    pub fn links_without(&self, container: &Container) -> usize {
        let inside = container.links_in_full();
        let peers = inside.as_array().into_iter().flatten().filter(|link| link.get("link_netnsid").is_some());
        self.node.links().len() - peers.count()
    }

    fn target(&self, name: &str, attach: &Attach, without: &dyn Fn(&str) -> bool) -> Target {
        let container = attach.container.as_deref().unwrap_or(name);
        let netns = match self.containers.get(container) {
            Some(_) if without("netns") => String::new(),
            Some(container) => container.path().display().to_string(),
            // It vanished; where it was is a path that is not there.
            None => self.node.folder("gone").join(container).display().to_string(),
        };
        let mut target = Target::new(&id(container), &netns, &attach.ifname).args(&attach.args);
        if !without("runtime") {
            for (capability, value) in attach.runtime.as_object().into_iter().flatten() {
                target = target.with(capability, value.clone());
            }
        }
        target
    }

    fn network(&self, case: &Case, name: &str, edit: &Map<String, Value>) -> Network<'_> {
        let plugins = case.network(name).iter().map(|plugin| {
            let mut plugin = plugin.clone();
            if let Some(members) = plugin.as_object_mut() {
                members.extend(edit.clone());
            }
            self.on_this_side(plugin)
        });
        Network::new(&self.node, plugins).named(name).version(&case.version)
    }

    /// Wharf has a root of its own; the reference gets paths below it.
    fn on_this_side(&self, mut config: Value) -> Value {
        if self.side == Side::Reference
            && let Some(ipam) = config.get_mut("ipam").and_then(Value::as_object_mut)
            && ipam.get("type").is_some_and(|kind| kind == "host-local")
        {
            // Whatever the case has there: nothing may go to the machine's own folder.
            let root = self.node.root();
            let data_dir = match ipam.get("dataDir") {
                None | Some(Value::Null) => below(&root, LEASES),
                Some(Value::String(path)) if path.is_empty() => below(&root, LEASES),
                Some(Value::String(path)) if path.starts_with('/') => below(&root, path),
                Some(other) => panic!("dataDir is {other}: the reference would use a folder of this machine"),
            };
            ipam.insert("dataDir".to_owned(), data_dir.into());
            if let Some(Value::String(path)) = ipam.get_mut("resolvConf")
                && path.starts_with('/')
            {
                *path = below(&root, path);
            }
        }
        config
    }
}

/// `CNI_CONTAINERID` of a container: a text that is nowhere else.
pub fn id(name: &str) -> String {
    format!("pod-{name}")
}

fn below(root: &Path, path: &str) -> String {
    format!("{}{path}", root.display())
}

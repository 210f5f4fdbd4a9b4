//! A runtime: calls the plugins of a network list one after the other as libcni does, or as one process with a chain.

use serde_json::{Map, Value, json};
use wharf_cni::conflist::{NetworkList, RequestArgs};
use wharf_cni::{Attachment as ValidAttachment, Version};

use crate::{Node, Outcome};

/// What a call is about: one interface of one container, and what the runtime says about it.
#[derive(Clone, Debug)]
pub struct Target {
    /// `CNI_CONTAINERID`
    pub id: String,
    /// `CNI_NETNS`
    pub netns: String,
    /// `CNI_IFNAME`
    pub ifname: String,
    /// `CNI_ARGS`
    pub args: String,
    /// What the runtime can tell about each capability.
    pub capabilities: Value,
}

impl Target {
    /// Without arguments and capabilities.
    pub fn new(id: &str, netns: &str, ifname: &str) -> Self {
        let capabilities = json!({});
        Self { id: id.into(), netns: netns.into(), ifname: ifname.into(), args: String::new(), capabilities }
    }

    /// With `CNI_ARGS`.
    #[must_use]
    pub fn args(mut self, args: &str) -> Self {
        self.args = args.into();
        self
    }

    /// With a value for a capability; plugins that enable it get it as `runtimeConfig`.
    #[must_use]
    pub fn with(mut self, capability: &str, value: Value) -> Self {
        self.capabilities[capability] = value;
        self
    }

    /// With one mapped TCP port.
    #[must_use]
    pub fn port(self, host: u16, container: u16) -> Self {
        self.with("portMappings", json!([{"hostPort": host, "containerPort": container, "protocol": "tcp"}]))
    }

    /// Without the namespace, as a late DEL comes.
    #[must_use]
    pub fn without_netns(mut self) -> Self {
        self.netns = String::new();
        self
    }

    /// The variables of a call. An empty `CNI_NETNS` is given as such, as containerd does.
    pub fn env<'a>(&'a self, command: &'a str) -> Vec<(&'a str, &'a str)> {
        let mut env = vec![
            ("CNI_COMMAND", command),
            ("CNI_CONTAINERID", &self.id),
            ("CNI_NETNS", &self.netns),
            ("CNI_IFNAME", &self.ifname),
        ];
        if !self.args.is_empty() {
            env.push(("CNI_ARGS", &self.args));
        }
        env
    }
}

/// A network configuration list on a node.
#[derive(Clone, Debug)]
pub struct Network<'n> {
    node: &'n Node,
    name: String,
    version: String,
    plugins: Vec<Value>,
    as_chain: bool,
}

impl<'n> Network<'n> {
    /// A list named `net` of cniVersion 1.1.0, run as drop-ins.
    pub fn new(node: &'n Node, plugins: impl IntoIterator<Item = Value>) -> Self {
        let plugins = plugins.into_iter().collect();
        Self { node, name: "net".into(), version: "1.1.0".into(), plugins, as_chain: false }
    }

    /// Under another name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = name.into();
        self
    }

    /// In another cniVersion.
    #[must_use]
    pub fn version(mut self, version: &str) -> Self {
        self.version = version.into();
        self
    }

    /// As one process: `{"type": "wharf", "chain": [...]}`.
    #[must_use]
    pub fn chain(mut self) -> Self {
        self.as_chain = true;
        self
    }

    /// The node that it is on.
    pub fn node(&self) -> &'n Node {
        self.node
    }

    /// Its `cniVersion`.
    pub fn cni_version(&self) -> &str {
        &self.version
    }

    /// ADD. Stops at the first plugin that fails and, as libcni does, cleans nothing.
    pub fn add(&self, target: &Target) -> Outcome {
        if self.as_chain {
            return self.whole("ADD", target, None);
        }
        let mut outcome: Option<Outcome> = None;
        for index in 0..self.plugins.len() {
            let previous = outcome.map(Outcome::ok);
            let next = self.one(index, "ADD", target, previous.as_ref());
            if next.status != 0 {
                return next;
            }
            outcome = Some(next);
        }
        outcome.expect("a list has plugins")
    }

    /// ADD, which must succeed.
    #[track_caller]
    pub fn attach(&self, target: &Target) -> Attachment<'n> {
        let result = self.add(target).ok();
        Attachment { network: self.clone(), target: target.clone(), result }
    }

    /// CHECK: every plugin gets the final result. Stops at the first that fails.
    pub fn check(&self, target: &Target, result: &Value) -> Outcome {
        self.each("CHECK", target, Some(result), false)
    }

    /// DEL, in reverse. The plugins get the result from cniVersion 0.4.0 on.
    pub fn del(&self, target: &Target, result: Option<&Value>) -> Outcome {
        let speaks = Version::parse(&self.version).expect("a supported version").del_has_previous();
        self.each("DEL", target, result.filter(|_| speaks), true)
    }

    /// STATUS of each plugin.
    pub fn status(&self) -> Outcome {
        self.each("STATUS", &Target::new("", "", ""), None, false)
    }

    /// GC with these (container, interface) pairs still in use.
    pub fn gc(&self, valid: &[(&str, &str)]) -> Outcome {
        let parse = |&(container, ifname): &(&str, &str)| ValidAttachment {
            network: self.name.clone(),
            container_id: container.to_owned(),
            ifname: ifname.to_owned(),
        };
        let valid: Vec<ValidAttachment> = valid.iter().map(parse).collect();
        let nobody = Target::new("", "", "");
        if self.as_chain {
            let list = self.list(&json!([self.chain_object()]));
            return self.request(&list, 0, "wharf", "GC", &nobody, None, Some(&valid));
        }
        let list = self.list(&json!(self.plugins));
        let call = |index| self.request(&list, index, self.kind(index), "GC", &nobody, None, Some(&valid));
        let mut outcome = None;
        for index in 0..self.plugins.len() {
            let next: Outcome = call(index);
            if next.status != 0 {
                return next;
            }
            outcome = Some(next);
        }
        outcome.expect("a list has plugins")
    }

    fn each(&self, command: &str, target: &Target, result: Option<&Value>, reverse: bool) -> Outcome {
        if self.as_chain {
            return self.whole(command, target, result);
        }
        let mut order: Vec<usize> = (0..self.plugins.len()).collect();
        if reverse {
            order.reverse();
        }
        let mut outcome = None;
        for index in order {
            let next = self.one(index, command, target, result);
            if next.status != 0 {
                return next;
            }
            outcome = Some(next);
        }
        outcome.expect("a list has plugins")
    }

    fn one(&self, index: usize, command: &str, target: &Target, previous: Option<&Value>) -> Outcome {
        let list = self.list(&json!(self.plugins));
        self.request(&list, index, self.kind(index), command, target, previous, None)
    }

    fn whole(&self, command: &str, target: &Target, previous: Option<&Value>) -> Outcome {
        let list = self.list(&json!([self.chain_object()]));
        self.request(&list, 0, "wharf", command, target, previous, None)
    }

    fn kind(&self, index: usize) -> &str {
        self.plugins[index]["type"].as_str().expect("a plugin has a type")
    }

    fn chain_object(&self) -> Value {
        // To libcni it is one plugin, which must ask for what its own plugins ask for.
        let mut capabilities = Map::new();
        for plugin in &self.plugins {
            capabilities.extend(plugin["capabilities"].as_object().cloned().unwrap_or_default());
        }
        json!({"type": "wharf", "chain": self.plugins, "capabilities": capabilities})
    }

    fn list(&self, plugins: &Value) -> NetworkList {
        let list = json!({"cniVersion": self.version, "name": self.name, "plugins": plugins});
        NetworkList::parse(list.to_string().as_bytes()).expect("a list that libcni would take")
    }

    /// How many processes a command takes.
    pub(crate) fn steps(&self) -> usize {
        if self.as_chain { 1 } else { self.plugins.len() }
    }

    /// The program and the configuration of one of them, counted from the first plugin.
    pub(crate) fn step(&self, index: usize, target: &Target, previous: Option<&Value>) -> (&str, Value) {
        let (list, program) = if self.as_chain {
            (self.list(&json!([self.chain_object()])), "wharf")
        } else {
            (self.list(&json!(self.plugins)), self.kind(index))
        };
        (program, configuration(&list, index, target, previous, None))
    }

    #[allow(clippy::too_many_arguments, reason = "all that a request is made of")]
    fn request(
        &self,
        list: &NetworkList,
        index: usize,
        program: &str,
        command: &str,
        target: &Target,
        previous: Option<&Value>,
        valid: Option<&[ValidAttachment]>,
    ) -> Outcome {
        let config = configuration(list, index, target, previous, valid);
        self.node.call(program, command, target, &config)
    }
}

/// What libcni sends to the plugin with that index.
fn configuration(
    list: &NetworkList,
    index: usize,
    target: &Target,
    previous: Option<&Value>,
    valid: Option<&[ValidAttachment]>,
) -> Value {
    let args = RequestArgs {
        previous: None,
        capability_args: target.capabilities.as_object(),
        valid_attachments: valid,
    };
    let bytes = list.request(index, args).expect("a request").expect("the plugin is in the list");
    let mut config: Value = serde_json::from_slice(&bytes).expect("a request is JSON");
    if let Some(previous) = previous {
        config["prevResult"] = previous.clone();
    }
    config
}

/// An ADD that succeeded.
#[derive(Clone, Debug)]
pub struct Attachment<'n> {
    /// The network.
    pub network: Network<'n>,
    /// What it is about.
    pub target: Target,
    /// The result.
    pub result: Value,
}

impl Attachment<'_> {
    /// The addresses of the result without their prefix lengths, in order.
    pub fn ips(&self) -> Vec<std::net::IpAddr> {
        let ips = self.result["ips"].as_array().map_or(&[][..], Vec::as_slice).iter();
        let text = |ip: &Value| ip["address"].as_str().expect("an ip has an address").to_owned();
        ips.map(|ip| text(ip).split('/').next().unwrap_or_default().parse().expect("an address")).collect()
    }

    /// The first address of a family.
    pub fn ip(&self, v6: bool) -> std::net::IpAddr {
        let found = self.ips().into_iter().find(|ip| ip.is_ipv6() == v6);
        found.unwrap_or_else(|| panic!("no such address in {}", self.result))
    }

    /// The name of the host's end of the veth.
    pub fn host_end(&self) -> String {
        let interfaces = self.result["interfaces"].as_array().expect("a result with interfaces").iter();
        let mut names = interfaces.filter_map(|interface| interface["name"].as_str());
        names.find(|name| name.starts_with("veth")).expect("a veth in the result").to_owned()
    }

    /// CHECK with the result.
    pub fn check(&self) -> Outcome {
        self.network.check(&self.target, &self.result)
    }

    /// DEL with the result.
    pub fn del(&self) -> Outcome {
        self.network.del(&self.target, Some(&self.result))
    }
}

//! The calls of a step, as a runtime makes them of a network configuration list.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};
use wharf_broker::Output;
use wharf_cni::conflist::{NetworkList, RequestArgs};
use wharf_cni::{Attachment, Command, NetworkResult};

use super::format::{self, Network};
use super::step::{Action, Step, Who};
use crate::lists;
use crate::simulated::{Call, Node};

/// What a runtime keeps of each attachment: what ADD answered.
pub(super) type Results = BTreeMap<Who, NetworkResult>;

/// What came of a step.
#[derive(Default)]
pub(super) struct Done {
    /// The result of an ADD.
    pub(super) result: Option<Value>,
    /// Code and message of the error that it failed with.
    pub(super) error: Option<(u64, String)>,
    /// What a DEL went on after: guests that failed while the record told what there was to do.
    pub(super) went_on: Vec<String>,
    /// How many processes were run.
    pub(super) calls: u32,
}

/// The network of a scenario.
pub(super) struct Lists<'a> {
    network: &'a Network,
    list: NetworkList,
}

impl<'a> Lists<'a> {
    /// Reads it; a conflist is beside the scenario, in `folder`.
    pub(super) fn of(network: &'a Network, folder: &std::path::Path) -> Result<Self> {
        let list = match &network.conflist {
            Some(file) => lists::network(&folder.join(file))?,
            None => list(network, &network.plugins).context("network")?,
        };
        Ok(Self { network, list })
    }

    /// The network's name.
    pub(super) fn name(&self) -> &str {
        &self.list.name
    }

    /// The plugins as they are written.
    pub(super) fn plugins(&self) -> impl Iterator<Item = &Map<String, Value>> {
        self.list.plugins.iter().map(|plugin| &plugin.raw)
    }

    /// The list as a step has it.
    fn of_step(&self, step: &format::Step) -> Result<NetworkList> {
        match &step.plugins {
            Some(plugins) => list(self.network, plugins).context("plugins"),
            None => Ok(self.list.clone()),
        }
    }
}

/// A list of these plugins: one process for all, or one for each.
fn list(network: &Network, plugins: &[Map<String, Value>]) -> Result<NetworkList> {
    let plugins = if network.separate || plugins.len() == 1 {
        json!(plugins)
    } else {
        json!([{"type": "wharf", "chain": plugins}])
    };
    let list = json!({"cniVersion": network.cni_version, "name": network.name, "plugins": plugins});
    Ok(NetworkList::parse(list.to_string().as_bytes())?)
}

/// Makes the calls of a step, and keeps what ADD answers.
pub(super) fn make(node: &Node, lists: &Lists<'_>, step: &Step<'_>, results: &mut Results) -> Result<Done> {
    let (command, who, valid) = match &step.action {
        Action::Attachment(command, who) => (*command, Some(who), None),
        Action::Gc(valid) => (Command::Gc, None, Some(valid)),
        Action::Status => (Command::Status, None, None),
        Action::Probe(_) | Action::Change => return Ok(Done::default()),
    };
    let mut list = lists.of_step(step.says)?;
    offer(&mut list, &step.says.runtime);
    let kept = valid;
    let valid = valid.map(|valid| valid.iter().map(|who| attachment(&list.name, who)).collect::<Vec<_>>());
    let mut previous = match (command, who) {
        (Command::Check | Command::Del, Some(who)) if !step.says.forgotten => results.get(who).cloned(),
        _ => None,
    };
    let mut order: Vec<usize> = (0..list.plugins.len()).collect();
    if command == Command::Del {
        order.reverse();
    }
    let mut done = Done::default();
    for index in order {
        let args = RequestArgs {
            previous: previous.as_ref(),
            capability_args: Some(&step.says.runtime),
            valid_attachments: valid.as_deref(),
        };
        let Some(config) = list.request(index, args)? else { continue };
        let name = list.plugins.get(index).map(|plugin| plugin.plugin_type.clone()).unwrap_or_default();
        let output = call(node, command, who, step.says, &name, &config);
        done.calls += 1;
        done.went_on.extend(node.story.take_went_on().iter().map(|words| as_on_a_node(words, node)));
        if output.status != 0 {
            done.error = Some(error(&output, node));
            return Ok(done);
        }
        if command == Command::Add {
            let result: Value = serde_json::from_str(&output.stdout).context("the result is no JSON")?;
            previous = Some(NetworkResult::parse(&result, list.cni_version)?);
            done.result = Some(result);
        }
    }
    match (command, who) {
        (Command::Add, Some(who)) => results.extend(previous.map(|result| (who.clone(), result))),
        (Command::Del, Some(who)) => drop(results.remove(who)),
        _ => {}
    }
    if let Some(valid) = kept {
        results.retain(|who, _| valid.contains(who));
    }
    Ok(done)
}

fn call(
    node: &Node,
    command: Command,
    who: Option<&Who>,
    says: &format::Step,
    name: &str,
    config: &[u8],
) -> Output {
    let own = who.map(Who::netns);
    let netns = match &says.netns {
        Some(other) => Some(other.as_str()).filter(|path| !path.is_empty()),
        None => own.as_deref(),
    };
    let args: Vec<_> = says.args.iter().map(|(key, value)| format!("{key}={value}")).collect();
    node.run(&Call {
        command: command.as_str(),
        container: who.map_or("", |who| &who.container),
        ifname: who.map_or("", |who| &who.ifname),
        netns,
        args: &args.join(";"),
        name,
        config,
    })
}

/// A list of one process says no capabilities: it gets what there is, and its plugins what they say.
fn offer(list: &mut NetworkList, runtime: &Map<String, Value>) {
    let all: Map<String, Value> = runtime.keys().map(|key| (key.clone(), Value::Bool(true))).collect();
    for plugin in &mut list.plugins {
        if plugin.plugin_type == "wharf" && !plugin.raw.contains_key("capabilities") {
            plugin.raw.insert("capabilities".to_owned(), Value::Object(all.clone()));
        }
    }
}

fn attachment(network: &str, who: &Who) -> Attachment {
    let Who { container, ifname } = who.clone();
    Attachment { network: network.to_owned(), container_id: container, ifname }
}

/// Code and message of what a call printed, with paths as on a node. Its details have digests, which differ from build to
/// build.
fn error(output: &Output, node: &Node) -> (u64, String) {
    let printed: Value = serde_json::from_str(&output.stdout).unwrap_or_default();
    let code = printed.get("code").and_then(Value::as_u64).unwrap_or_default();
    let message = printed.get("msg").and_then(Value::as_str).unwrap_or(&output.stdout);
    (code, as_on_a_node(message, node))
}

/// Paths without the root.
fn as_on_a_node(message: &str, node: &Node) -> String {
    message.replace(&*node.root().to_string_lossy(), "")
}

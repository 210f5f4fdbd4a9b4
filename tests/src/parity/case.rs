//! What a case is made of. Every key is checked: a misspelt one is an error of the file.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use crate::node::NODE;

/// One configuration, and what is done with it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// What it is about; the values of `each` are appended to it.
    pub name: String,
    /// `cniVersion`.
    #[serde(default = "default_version")]
    pub version: String,
    /// The first release of the reference plugins that knows what it configures, such as `1.7`.
    pub since: Option<String>,
    /// Whether links that appear on the node check their IPv6 addresses for duplicates, as is the kernel's default. Off, so
    /// that nobody has to wait.
    #[serde(default)]
    pub dad: bool,
    /// Commands on the node, before everything else.
    #[serde(default)]
    pub node: Vec<String>,
    /// Commands in the container `c`, before everything else.
    #[serde(default)]
    pub inside: Vec<String>,
    /// Files below the node's root.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The network `net`.
    #[serde(default)]
    pub plugins: Vec<Value>,
    /// Other networks by their names.
    #[serde(default)]
    pub networks: BTreeMap<String, Vec<Value>>,
    /// The attachments by their names; without any, `c` is `eth0` of the container `c`, with what the next three say.
    #[serde(default)]
    pub attach: BTreeMap<String, Attach>,
    /// `CNI_ARGS`.
    #[serde(default)]
    pub args: String,
    /// What the runtime can tell about each capability.
    #[serde(default = "empty")]
    pub runtime: Value,
    /// `CNI_IFNAME`.
    pub ifname: Option<String>,
    /// Servers that run from the beginning: `c tcp 80`.
    #[serde(default)]
    pub serve: Vec<String>,
    /// What is done, in order.
    #[serde(default = "default_steps")]
    pub steps: Vec<Step>,
    /// Where the sides differ. What does not occur is a failure.
    #[serde(default)]
    pub differs: Vec<Difference>,
    /// Differences of `differs.json` that occur here, by their names.
    #[serde(default)]
    pub shows: Vec<String>,
}

/// An interface of a container on a network.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// The container, else one that is named as the attachment.
    pub container: Option<String>,
    /// The network.
    #[serde(default = "default_network")]
    pub network: String,
    /// `CNI_IFNAME`.
    #[serde(default = "default_ifname")]
    pub ifname: String,
    /// `CNI_ARGS`.
    #[serde(default)]
    pub args: String,
    /// What the runtime can tell about each capability.
    #[serde(default = "empty")]
    pub runtime: Value,
}

/// One thing that is done.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Step {
    /// `add`, `check d`, `del`: a command of an attachment, `c` unless it is named. `vanish d`: the container's namespace
    /// goes. `look`: what is there is compared, which it is behind each `add` and `del` anyway. It must succeed.
    Plain(String),
    /// Anything else.
    Full(Box<FullStep>),
}

/// A step in full; one of its actions is given.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullStep {
    /// A command as in [`Step::Plain`].
    #[serde(rename = "do")]
    pub command: Option<String>,
    /// What the runtime leaves out of the command: `netns`, `result`, `runtime`.
    #[serde(default)]
    pub without: Vec<String>,
    /// Members that replace those of each plugin's configuration in this call, as after an edit of the file.
    #[serde(default)]
    pub edit: Map<String, Value>,
    /// The command fails.
    pub fails: Option<Fails>,
    /// Commands on the node, or in a namespace that `on` names.
    #[serde(default)]
    pub run: Vec<String>,
    /// `node`, `outside` or a container.
    pub on: Option<String>,
    /// Probes, see [`super::probe`].
    #[serde(default)]
    pub traffic: Vec<String>,
    /// A command whose lines are counted.
    pub count: Option<String>,
    /// An execution by hand.
    pub call: Option<Call>,
}

/// Executions with exactly this environment (`CNI_PATH` excepted, which is set unless it is given) and input. What they
/// did is looked at by the step `look`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// The programs, one after the other.
    #[serde(deserialize_with = "one_or_more")]
    pub plugin: Vec<String>,
    /// Their variables; `NETNS` as a value is the namespace of the container `c`.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Their standard input: text as it is, anything else as JSON. `PLUGIN` as a member is the program.
    #[serde(default)]
    pub stdin: Value,
}

/// How a command fails: both sides alike, or each in its own way, or one of them only.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fails {
    /// The codes of the reference and of ours.
    pub codes: Option<(u32, u32)>,
    /// Texts that both messages hold: what kind of error it is, and where.
    #[serde(default)]
    pub says: Vec<String>,
    /// The reference's own.
    pub reference: Option<Failure>,
    /// Our own.
    pub ours: Option<Failure>,
}

/// How one side fails.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Its code; none for a process that ends without an error object.
    pub code: Option<u32>,
    /// Texts in its message.
    pub says: Vec<String>,
}

impl Fails {
    /// What is expected of one side; none is success.
    pub fn of(&self, reference: bool) -> Option<Failure> {
        if let Some((theirs, ours)) = self.codes {
            let own = if reference { &self.reference } else { &self.ours };
            let more = own.iter().flat_map(|own| own.says.iter());
            let says = self.says.iter().chain(more).cloned().collect();
            return Some(Failure { code: Some(if reference { theirs } else { ours }), says });
        }
        if reference { self.reference.clone() } else { self.ours.clone() }
    }
}

/// Where the sides differ, and why that is right.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Its name, if it is one of `differs.json`.
    pub name: Option<String>,
    /// One of `differs.json` that any case may show; the others are for cases that say so.
    #[serde(default)]
    pub everywhere: bool,
    /// The reference does it one way or the other, by chance: it may occur, also between the reference and itself.
    #[serde(default)]
    pub by_chance: bool,
    /// The paths; `*` stands for any text.
    #[serde(deserialize_with = "one_or_more")]
    pub at: Vec<String>,
    /// What the reference has there; `null` is nothing. Any value if it is not said.
    #[serde(default, deserialize_with = "given")]
    pub reference: Option<Value>,
    /// What we have there.
    #[serde(default, deserialize_with = "given")]
    pub ours: Option<Value>,
    /// The fault of the reference, or the reason of ours.
    pub why: String,
}

fn one_or_more<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Paths {
        One(String),
        More(Vec<String>),
    }
    Ok(match Paths::deserialize(from)? {
        Paths::One(path) => vec![path],
        Paths::More(paths) => paths,
    })
}

/// A `null` is a value, too.
fn given<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

fn default_version() -> String {
    "1.0.0".to_owned()
}

fn default_network() -> String {
    "net".to_owned()
}

fn default_ifname() -> String {
    "eth0".to_owned()
}

fn empty() -> Value {
    json!({})
}

fn default_steps() -> Vec<Step> {
    ["add", "check", "del"].map(|step| Step::Plain(step.to_owned())).into()
}

impl Case {
    /// The attachments by their names.
    pub fn attachments(&self) -> BTreeMap<String, Attach> {
        if !self.attach.is_empty() {
            return self.attach.clone();
        }
        let attach = Attach {
            container: None,
            network: default_network(),
            ifname: self.ifname.clone().unwrap_or_else(default_ifname),
            args: self.args.clone(),
            runtime: self.runtime.clone(),
        };
        BTreeMap::from([("c".to_owned(), attach)])
    }

    /// The plugins of a network.
    pub fn network(&self, name: &str) -> &[Value] {
        if name == "net" && !self.plugins.is_empty() {
            return &self.plugins;
        }
        self.networks.get(name).unwrap_or_else(|| panic!("{}: there is no network {name:?}", self.name))
    }

    /// All plugins of all networks.
    pub fn all_plugins(&self) -> impl Iterator<Item = &Value> {
        self.plugins.iter().chain(self.networks.values().flatten())
    }

    /// Whether it needs a machine beyond the node, or the node's link to it.
    pub fn has_outside(&self) -> bool {
        let steps = self.steps.iter().filter_map(|step| match step {
            Step::Plain(_) => None,
            Step::Full(step) => Some(step),
        });
        let mut lines = steps.flat_map(|step| step.traffic.iter().chain(&step.on)).chain(&self.serve);
        lines.any(|line| line.contains("outside") || NODE.iter().any(|address| line.contains(address)))
    }
}

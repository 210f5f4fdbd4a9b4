//! An ADD of a whole list on a simulated node, entry by entry, as a runtime makes it.

use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};
use wharf_broker::guests;
use wharf_cni::conflist::RequestArgs;
use wharf_cni::{CniError, NetworkResult};

use super::node::{Call, Node};
use crate::lists::{List, OWN, Plugin};

/// One attachment of a container to a list's network.
pub(crate) struct ListAdd<'a> {
    pub(crate) node: &'a Node,
    pub(crate) list: &'a List,
    /// CNI_CONTAINERID.
    pub(crate) container: &'a str,
    /// CNI_IFNAME.
    pub(crate) ifname: &'a str,
    /// CNI_NETNS.
    pub(crate) netns: &'a str,
    /// CNI_ARGS.
    pub(crate) args: &'a str,
    /// What the runtime tells, by capability.
    pub(crate) capabilities: &'a Map<String, Value>,
    /// The result of the entries so far.
    pub(crate) result: Option<NetworkResult>,
}

/// How one entry went.
pub(crate) enum Entry<'a> {
    /// It names this, which is no guest that is installed, and did not run.
    Native(&'a str),
    /// It ran, and its result is the list's so far.
    Made,
    /// It ran, and this is why it failed.
    Failed(CniError),
}

impl<'a> ListAdd<'a> {
    /// The ADD of the entry with this index, which stands at `place`.
    pub(crate) fn entry(&mut self, index: usize, place: &str) -> Result<Entry<'a>> {
        if let Some(native) = native(self.node, self.list, place) {
            return Ok(Entry::Native(native));
        }
        let network = &self.list.network;
        let request = RequestArgs {
            previous: self.result.as_ref(),
            capability_args: Some(self.capabilities),
            valid_attachments: None,
        };
        let config = network.request(index, request)?.context("the list has lost a plugin")?;
        let entry = network.plugins.get(index).context("the list has lost a plugin")?;
        let call = Call {
            command: "ADD",
            container: self.container,
            ifname: self.ifname,
            netns: Some(self.netns),
            args: self.args,
            name: &entry.plugin_type,
            config: &config,
        };
        let output = self.node.run(&call);
        let stdout = &output.stdout;
        if output.status != 0 {
            let error = serde_json::from_str(stdout);
            let error = error.with_context(|| format!("{place}: no result, and no error: {stdout:?}"))?;
            return Ok(Entry::Failed(error));
        }
        let result = NetworkResult::from_slice(stdout.as_bytes(), network.cni_version)
            .map_err(|error| anyhow!("{place}: {error}"))?;
        self.result = Some(result);
        Ok(Entry::Made)
    }
}

/// What an entry, or the chain in it, names that is no guest.
fn native<'a>(node: &Node, list: &'a List, place: &str) -> Option<&'a str> {
    let of_entry = |plugin: &&Plugin| {
        plugin.place.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    };
    let names = list.plugins.iter().filter(of_entry).flat_map(Plugin::names);
    let runs = names.filter(|(member, name)| *member != "policies" && *name != OWN);
    runs.map(|(_, name)| name).find(|name| guests::read(node.paths(), name).is_err())
}

//! `wharfctl plan`: what an ADD would do here, found out on a simulated machine in the state of this one.

mod node;
mod show;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, bail};
use serde::Serialize;
use serde_json::Value;
use wharf_broker::journal::{Listed, Store, Transaction};
use wharf_broker::{Paths, own_namespace};
use wharf_cni::CniError;

use crate::journal::words_of;
use crate::lists;
use crate::say;
use crate::simulated::{Entry, ListAdd, Node};
use crate::told::Told;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The list (*.conflist) or single configuration (*.conf, *.json).
    file: PathBuf,
    /// The container's namespace, to look at what is in it. [default: a new one]
    #[arg(long, value_name = "PATH")]
    netns: Option<PathBuf>,
    /// CNI_CONTAINERID.
    #[arg(long, default_value = "planned")]
    container: String,
    /// CNI_IFNAME.
    #[arg(long, default_value = "eth0")]
    ifname: String,
    #[command(flatten)]
    told: Told,
    /// Run the guests (*.wasm) of this folder instead of those that are installed.
    #[arg(long, value_name = "FOLDER")]
    guests: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

/// A change that would be made.
#[derive(Debug, Serialize)]
pub(crate) struct Change {
    /// The entry of the list that it is for: `plugins[0]`.
    place: String,
    /// The guest that asks for it; none in an ADD that fails.
    guest: Option<String>,
    operation: &'static str,
    arguments: String,
    /// What it makes, or that it is so already.
    outcome: String,
}

/// Everything that would happen.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Plan {
    network: String,
    changes: Vec<Change>,
    /// What the runtime would be told.
    result: Option<Value>,
    /// Or why not.
    error: Option<CniError>,
    /// What could not be told.
    unknown: Vec<String>,
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let plan = plan(paths, options)?;
    let text = if options.json {
        serde_json::to_string_pretty(&plan)? + "\n"
    } else {
        show::as_text(&plan, &options.container, &options.ifname)
    };
    say::text(&text)?;
    match &plan.error {
        None => Ok(()),
        Some(error) => bail!("the ADD would fail (code {})", error.code),
    }
}

fn plan(paths: &Paths, options: &Options) -> Result<Plan> {
    let is_list = lists::is_list(&options.file);
    let list = lists::open(&options.file)?;
    let capabilities = options.told.capabilities()?;
    let mut plan = Plan { network: list.network.name.clone(), ..Plan::default() };
    if let Some(netns) = options.netns.as_deref().filter(|path| node::is_own(path)) {
        // There is nothing to imitate that could say it.
        plan.error = Some(own_namespace(&netns.display().to_string()));
        return Ok(plan);
    }
    let (node, netns) = node::like_this_host(paths, options, &list, &mut plan.unknown)?;
    let mut add = ListAdd {
        node: &node,
        list: &list,
        container: &options.container,
        ifname: &options.ifname,
        netns: &netns,
        args: &options.told.args,
        capabilities: &capabilities,
        result: None,
    };
    let mut seen = BTreeMap::new();
    for (index, plugin) in list.network.plugins.iter().enumerate() {
        let place = if is_list { format!("plugins[{index}]") } else { plugin.plugin_type.clone() };
        match add.entry(index, if is_list { &place } else { "it" })? {
            Entry::Native(native) => {
                plan.unknown.push(format!(
                    "{place}: {native} is no guest that is installed; what a native plugin does cannot be told from here"
                ));
                if add.result.is_none() {
                    let rest = list.network.plugins.len() - index - 1;
                    if rest > 0 {
                        plan.unknown.push(format!("{rest} more after {place}: they build on its result"));
                    }
                    break;
                }
            }
            Entry::Failed(error) => {
                plan.failed(&node, &place, error);
                return Ok(plan);
            }
            Entry::Made => {
                plan.recorded(&node, &place, &mut seen)?;
                node.story.take();
                plan.result =
                    add.result.as_ref().map(|result| result.render(list.network.cni_version)).transpose()?;
            }
        }
    }
    Ok(plan)
}

impl Plan {
    /// What an ADD that succeeds leaves in the journals.
    fn recorded(&mut self, node: &Node, place: &str, seen: &mut BTreeMap<String, usize>) -> Result<()> {
        let all = Store::of(node.paths()).list()?;
        for transaction in added(&all, seen) {
            self.changes.extend(transaction.steps.iter().map(|step| {
                let (arguments, outcome) = words_of(step);
                Change {
                    place: place.to_owned(),
                    guest: Some(step.guest.clone()),
                    operation: step.effect.operation(),
                    arguments,
                    outcome,
                }
            }));
        }
        Ok(())
    }

    /// What an ADD that fails does before it is undone, and how that goes.
    fn failed(&mut self, node: &Node, place: &str, error: CniError) {
        self.result = None;
        self.changes.extend(node.story.take().into_iter().map(|entry| Change {
            place: place.to_owned(),
            guest: None,
            operation: entry.operation,
            arguments: entry.arguments,
            outcome: entry.answer.unwrap_or_else(|error| format!("failed: {error}")),
        }));
        self.error = Some(error);
    }
}

/// The transactions that are new, by how many of each journal were `seen` before: entries of one type share a journal.
fn added<'j>(all: &'j [Listed], seen: &mut BTreeMap<String, usize>) -> Vec<&'j Transaction> {
    let mut new = Vec::new();
    for listed in all {
        let transactions = &listed.record.transactions;
        let before = seen.insert(listed.name.clone(), transactions.len()).unwrap_or_default();
        new.extend(transactions.iter().skip(before));
    }
    new
}

#[cfg(test)]
mod tests {
    use wharf_broker::journal::{Begin, Record};
    use wharf_ops::Attachment;

    use super::*;

    fn journal(name: &str, times: &[u64]) -> Listed {
        let transaction = |time: &u64| {
            Transaction::new(Begin {
                attachment: Attachment {
                    network: "net".into(),
                    container: "c".into(),
                    ifname: "eth0".into(),
                },
                entry: name.into(),
                netns: None,
                boot: String::new(),
                time: *time,
                pid: 1,
                plugin_path: Vec::new(),
                args: String::new(),
                config: String::new(),
            })
        };
        let transactions = times.iter().map(transaction).collect();
        let record = Record { transactions, damage: None };
        Listed { name: name.into(), record, busy: false, modified: None }
    }

    #[test]
    fn the_own_namespace_is_known_by_whatever_name() {
        assert!(node::is_own(std::path::Path::new("/proc/self/ns/net")));
        for other in ["/nonexistent", "/dev/null", "/proc/self/ns/mnt"] {
            assert!(!node::is_own(std::path::Path::new(other)), "{other}");
        }
    }

    #[test]
    fn entries_of_one_type_have_a_transaction_each() {
        let mut seen = BTreeMap::new();
        let mut times = |journals: &[Listed]| {
            added(journals, &mut seen).iter().map(|one| one.begin.time).collect::<Vec<_>>()
        };
        assert_eq!(times(&[journal("wharf", &[1])]), [1]);
        assert_eq!(times(&[journal("wharf", &[1, 2])]), [2]);
        assert_eq!(times(&[journal("bridge", &[3]), journal("wharf", &[1, 2])]), [3]);
        assert_eq!(times(&[journal("bridge", &[3]), journal("wharf", &[1, 2])]), [0; 0]);
    }
}

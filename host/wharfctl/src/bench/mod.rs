//! `wharfctl bench`: what a guest costs a call in time and memory, measured on a simulated machine: the sandbox and the
//! guest are those of a node, and no kernel is in the way.

mod list;
mod table;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Map, Value};
use wharf_cni::conflist::RequestArgs;
use wharf_cni::{CniError, NetworkResult};
use wharf_sim::Sim;

use crate::install;
use crate::lists::{List, Plugin};
use crate::say;
use crate::scenario::grants;
use crate::simulated::{Cache, Call, Guests, Node};
use crate::told::Told;
use table::Table;

/// CNI_NETNS on the simulated machine.
const NETNS: &str = "/run/netns/bench";
/// Runs before the first that counts: files come into the page cache, the bridge comes into being.
const WARM_UP: u32 = 3;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The guest; it is called by its file's name.
    #[arg(value_name = "GUEST.wasm")]
    guest: PathBuf,
    /// The list (*.conflist) or single configuration (*.conf, *.json) to call it by. [default: one for its world]
    #[arg(long, value_name = "FILE")]
    conf: Option<PathBuf>,
    /// Its grant; it needs no digest. [default: what `wharfctl install` would write]
    #[arg(long, value_name = "FILE")]
    grant: Option<PathBuf>,
    /// What `/etc/cni/wharf.toml` is on the machine: a policy's table is there.
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    #[command(flatten)]
    told: Told,
    /// The folder of the guests (*.wasm) that the list names beside it. [default: as for `wharfctl test`]
    #[arg(long, value_name = "DIR")]
    guests: Option<PathBuf>,
    /// How many times it is attached, checked and deleted.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    let name = options.guest.file_stem().and_then(OsStr::to_str).unwrap_or_default().to_owned();
    let capabilities = options.told.capabilities()?;
    let mut tried = Vec::new();
    for list in list::candidates(&options.guest, &name, options.conf.as_deref(), &capabilities)? {
        let machine = Machine::new(options, &name, &list)?;
        let bench =
            Bench { node: &machine.node, list: &list, capabilities: &capabilities, args: &options.told.args };
        // Whether the list suits the guest shows itself in the first round.
        if let Err(error) = bench.rounds(WARM_UP) {
            tried.push(error);
            continue;
        }
        let table = bench.rounds(options.rounds)?;
        ensure!(table.has(&name), "{name} was never called by this list: name it there");
        let text = if options.json {
            serde_json::to_string_pretty(&table.as_json(&list.network.name, options.rounds))? + "\n"
        } else {
            table.as_text(options.rounds)
        };
        return say::text(&text);
    }
    let reasons: Vec<String> = tried.iter().map(|error| format!("{error:#}")).collect();
    let cure = if options.conf.is_some() {
        ""
    } else {
        "; say by --conf (or --grant, or --settings) how it is to be called"
    };
    bail!("{name}: {}{cure}", reasons.join(", and "))
}

/// A machine with the guest and those that the list names beside it.
struct Machine {
    node: Node,
    /// Its node has links to what is in them.
    _guests: Guests,
    _granted: Option<grants::Own>,
}

impl Machine {
    fn new(options: &Options, name: &str, list: &List) -> Result<Self> {
        let folder = options.guests.clone().map_or_else(install::default_guests, Ok)?;
        let mut files: BTreeMap<&str, PathBuf> = BTreeMap::new();
        for (_, other) in list.plugins.iter().flat_map(Plugin::names) {
            let file = folder.join(format!("{other}.wasm"));
            if file.is_file() {
                files.insert(other, file);
            }
        }
        files.insert(name, options.guest.clone());
        let guests = Guests::of(&files.into_values().collect::<Vec<_>>(), &Cache::of_user())?;
        let mut own = BTreeMap::new();
        if let Some(file) = &options.grant {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            own.insert(name.to_owned(), text);
        }
        let granted = grants::with(guests.paths(), &own)?;
        let sim = Sim::new(1);
        sim.add_namespace(NETNS);
        let node = Node::new(granted.as_ref().map_or(guests.paths(), grants::Own::paths), sim)?;
        if let Some(file) = &options.settings {
            let text = fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
            fs::write(node.paths().settings(), text).context("cannot write wharf.toml to the machine")?;
        }
        Ok(Self { node, _guests: guests, _granted: granted })
    }
}

/// A list that is attached again and again.
struct Bench<'a> {
    node: &'a Node,
    list: &'a List,
    capabilities: &'a Map<String, Value>,
    args: &'a str,
}

impl Bench<'_> {
    fn rounds(&self, rounds: u32) -> Result<Table> {
        let mut table = Table::default();
        for _ in 0..rounds {
            self.round(&mut table)?;
        }
        Ok(table)
    }

    /// ADD, CHECK and DEL of the whole list, as a runtime does it.
    fn round(&self, table: &mut Table) -> Result<()> {
        let mut result = None;
        for index in 0..self.list.network.plugins.len() {
            let text = self.call("ADD", index, result.as_ref(), table)?;
            let version = self.list.network.cni_version;
            result = Some(
                NetworkResult::from_slice(text.as_bytes(), version).map_err(|error| anyhow!("{error}"))?,
            );
        }
        for index in 0..self.list.network.plugins.len() {
            self.call("CHECK", index, result.as_ref(), table)?;
        }
        for index in (0..self.list.network.plugins.len()).rev() {
            self.call("DEL", index, result.as_ref(), table)?;
        }
        Ok(())
    }

    fn call(
        &self,
        command: &'static str,
        index: usize,
        previous: Option<&NetworkResult>,
        table: &mut Table,
    ) -> Result<String> {
        let network = &self.list.network;
        let request =
            RequestArgs { previous, capability_args: Some(self.capabilities), valid_attachments: None };
        let config = network.request(index, request)?.context("the list has lost a plugin")?;
        let name = network.plugins.get(index).map_or("", |plugin| plugin.plugin_type.as_str());
        let (output, spent) = self.node.run_metered(&Call {
            command,
            container: "bench",
            ifname: "eth0",
            netns: Some(NETNS),
            args: self.args,
            name,
            config: &config,
        });
        if output.status != 0 {
            let said = serde_json::from_str::<CniError>(&output.stdout);
            let said = said.map_or(output.stdout, |error| format!("code {}: {error}", error.code));
            bail!("{command} of {name} fails with {said}");
        }
        for one in &spent {
            table.add(command, one);
        }
        Ok(output.stdout)
    }
}

//! What a runtime does with a list: each plugin in turn, with the result of the one before; for a DEL in reverse.

use std::fmt;
use std::rc::Rc;

use anyhow::{Context, Result, anyhow};
use serde_json::{Map, Value};
use wharf::ForkLauncher;
use wharf_broker::guests::{self, StoreError};
use wharf_broker::log::{Level, Log};
use wharf_broker::native::Execution;
use wharf_broker::settings::Settings;
use wharf_broker::signals::Signals;
use wharf_broker::telemetry::Telemetry;
use wharf_broker::{Broker, Output, Paths};
use wharf_cni::conflist::{NetworkList, RequestArgs};
use wharf_cni::{CniError, Command, NetworkResult};
use wharf_ops::Attachment;
use wharf_ops::delegate::Verb;

use super::file::Request;
use super::witness::Recorder;
use crate::lists::OWN;
use crate::recover::kernel;

/// Where runtimes have their plugins.
const PLUGINS: &str = "/opt/cni/bin";
/// Seeds have no more bits, so that every program that reads JSON reads them as they are.
const SEED_BITS: u32 = 53;

/// Makes requests as a runtime does, and keeps them.
pub(super) struct Runtime<'a> {
    paths: &'a Paths,
    list: &'a NetworkList,
    attachment: Attachment,
    /// CNI_NETNS.
    pub(super) netns: String,
    /// CNI_ARGS.
    pub(super) args: String,
    /// What it tells about capabilities.
    pub(super) capabilities: Map<String, Value>,
    /// CNI_PATH.
    path: String,
    settings: Settings,
    log: Log,
    recorder: Rc<Recorder>,
    /// What was asked so far, and what came of it.
    pub(super) requests: Vec<Request>,
}

/// A request that failed.
#[derive(Debug)]
pub(super) struct Refused {
    command: Command,
    plugin: String,
    error: CniError,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, plugin, error } = self;
        write!(f, "the {command} of {plugin} failed (code {}): {error}", error.code)
    }
}

impl<'a> Runtime<'a> {
    /// Of this node: logs, policies and telemetry are what they are for other calls.
    pub(super) fn new(
        paths: &'a Paths,
        list: &'a NetworkList,
        attachment: Attachment,
        recorder: Rc<Recorder>,
    ) -> Self {
        let (settings, fault) = Settings::read(paths, |key| std::env::var(key).ok());
        let log = Log::of(&settings, paths);
        if let Some(fault) = fault {
            log.line(Level::Warn, "settings", &fault, &[]);
        }
        let path = std::env::var("CNI_PATH").ok().filter(|path| !path.is_empty());
        Self {
            paths,
            list,
            attachment,
            netns: String::new(),
            args: String::new(),
            capabilities: Map::new(),
            path: path.unwrap_or_else(|| paths.inside(PLUGINS).to_string_lossy().into_owned()),
            settings,
            log,
            recorder,
            requests: Vec::new(),
        }
    }

    /// Which log lines are recorded.
    pub(super) fn log_level(&self) -> Level {
        self.log.level()
    }

    /// ADD, until one fails. Answers the last result.
    pub(super) fn add(
        &mut self,
        random: &mut dyn FnMut() -> Result<u64>,
    ) -> Result<Result<NetworkResult, Refused>> {
        let mut previous = None;
        for index in 0..self.list.plugins.len() {
            match self.request(Command::Add, index, previous.as_ref(), random()?)? {
                Ok(stdout) => {
                    let result = NetworkResult::from_slice(stdout.as_bytes(), self.list.cni_version)
                        .map_err(|error| anyhow!("plugins[{index}]: its result: {error}"))?;
                    previous = Some(result);
                }
                Err(refused) => return Ok(Err(refused)),
            }
        }
        Ok(Ok(previous.unwrap_or_default()))
    }

    /// DEL of all, whatever fails. Without a result, guests go by their records.
    pub(super) fn del(
        &mut self,
        result: Option<&NetworkResult>,
        random: &mut dyn FnMut() -> Result<u64>,
    ) -> Result<Vec<Refused>> {
        let mut failures = Vec::new();
        for index in (0..self.list.plugins.len()).rev() {
            failures.extend(self.request(Command::Del, index, result, random()?)?.err());
        }
        Ok(failures)
    }

    /// One plugin. Answers what it printed.
    fn request(
        &mut self,
        command: Command,
        index: usize,
        previous: Option<&NetworkResult>,
        random: u64,
    ) -> Result<Result<String, Refused>> {
        let args =
            RequestArgs { previous, capability_args: Some(&self.capabilities), valid_attachments: None };
        let config = self.list.request(index, args)?.context("the list has lost a plugin")?;
        let plugin = self.list.plugins.get(index).context("the list has lost a plugin")?.plugin_type.clone();
        let mut broker =
            Broker::new(self.paths.clone(), ForkLauncher::on_this_cpu(self.log), kernel, self.log);
        broker.launcher.seed = Some(random >> (u64::BITS - SEED_BITS));
        broker.signals = Signals::block().context("cannot block signals")?;
        broker.policies.clone_from(&self.settings.policies);
        broker.telemetry = Telemetry::begin(&self.settings, std::env::var("TRACEPARENT").ok().as_deref());
        broker.witness = Some(self.recorder.clone());
        let missing = matches!(guests::read(self.paths, &plugin), Err(StoreError::NotInstalled { .. }));
        let Output { stdout, status } = if missing && plugin != OWN {
            self.native(&broker, command, &plugin, &config)
        } else {
            broker.run(&plugin, |key| self.variable(command, key), config.as_slice())
        };
        let printed = serde_json::from_str(&stdout).unwrap_or(Value::Null);
        let succeeded = status == 0;
        self.requests.push(Request {
            command: command.to_string(),
            plugin: plugin.clone(),
            succeeded,
            printed: printed.clone(),
        });
        if succeeded {
            return Ok(Ok(stdout));
        }
        let error = serde_json::from_value(printed)
            .with_context(|| format!("plugins[{index}]: no result, and no error: {stdout:?}"))?;
        Ok(Err(Refused { command, plugin, error }))
    }

    /// A plugin that is no guest is executed; of what it does, only the result can be told.
    fn native(&self, broker: &Broker<ForkLauncher>, command: Command, plugin: &str, config: &[u8]) -> Output {
        let path: Vec<String> =
            self.path.split(':').filter(|folder| !folder.is_empty()).map(str::to_owned).collect();
        let done = broker.execute(&Execution {
            plugin,
            verb: if command == Command::Del { Verb::Del } else { Verb::Add },
            attachment: &self.attachment,
            netns: Some(&self.netns),
            args: &self.args,
            path: &path,
            stdin: config,
            deadline: None,
            traceparent: None,
            signals: &broker.signals,
        });
        match done {
            Ok(stdout) => Output { stdout: String::from_utf8_lossy(&stdout).into_owned(), status: 0 },
            Err(error) => Output { stdout: error.render(self.list.cni_version), status: 1 },
        }
    }

    fn variable(&self, command: Command, key: &str) -> Option<String> {
        let value = match key {
            "CNI_COMMAND" => command.as_str(),
            "CNI_CONTAINERID" => &self.attachment.container,
            "CNI_IFNAME" => &self.attachment.ifname,
            "CNI_NETNS" => &self.netns,
            "CNI_ARGS" => &self.args,
            "CNI_PATH" => &self.path,
            _ => return None,
        };
        Some(value.to_owned())
    }
}

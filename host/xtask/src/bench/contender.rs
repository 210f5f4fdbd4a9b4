//! Who is measured: the reference plugins, Wharf under the plugins' names, and Wharf with the whole list in one process.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::scenario::{Backend, Scenario};
use super::stats::{Moment, Sample};
use crate::cni::{self, Attachment, Runtime};
use crate::netns::Netns;

/// The three ways to run a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    Reference,
    DropIn,
    OneProcess,
}

impl Side {
    /// In the order of the table's columns.
    pub(crate) const ALL: [Self; 3] = [Self::Reference, Self::DropIn, Self::OneProcess];

    /// For the JSON file and the chart.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::DropIn => "wharf, drop-ins",
            Self::OneProcess => "wharf, one process",
        }
    }
}

/// One side with the folder of its plugins.
pub(crate) struct Contender {
    pub(crate) side: Side,
    pub(crate) bin: PathBuf,
    pub(crate) runtime: Runtime,
    /// Where the reference's host-local keeps its leases; Wharf's are under its root.
    pub(crate) data_dir: Option<String>,
    pub(crate) knows_nftables: bool,
}

/// A network that stands: the result of an ADD, for its DEL.
pub(crate) struct Attached {
    number: u16,
    attachment: Attachment,
    result: Value,
}

impl Contender {
    /// Whether this release can run the list at all.
    pub(crate) fn can(&self, scenario: &Scenario) -> bool {
        self.knows_nftables || scenario.backend != Some(Backend::Nftables)
    }

    /// Runs the list's ADD for a container. The calling thread must be in the node's namespace.
    pub(crate) fn add(&self, scenario: &Scenario, container: &Netns, number: u16) -> Result<(Attached, Sample)> {
        let attachment = Attachment {
            container: format!("bench-{number}"),
            netns: container.path().to_owned(),
            interface: scenario.interface().to_owned(),
        };
        let mut result = Value::Null;
        let mut samples = Vec::new();
        for (program, mut config) in self.calls(scenario, number) {
            previous(&mut config, &result);
            let (printed, sample) = self.call("ADD", &program, &attachment, &config)?;
            ensure!(printed.is_some(), "{} printed no result", program.display());
            result = printed.unwrap_or_default();
            samples.push(sample);
        }
        Ok((Attached { number, attachment, result }, samples.into_iter().sum()))
    }

    /// Runs the list's DEL, last plugin first.
    pub(crate) fn delete(&self, scenario: &Scenario, attached: &Attached) -> Result<Sample> {
        let mut samples = Vec::new();
        for (program, mut config) in self.calls(scenario, attached.number).into_iter().rev() {
            previous(&mut config, &attached.result);
            samples.push(self.call("DEL", &program, &attached.attachment, &config)?.1);
        }
        Ok(samples.into_iter().sum())
    }

    fn calls(&self, scenario: &Scenario, number: u16) -> Vec<(PathBuf, Value)> {
        match self.side {
            Side::OneProcess => vec![(self.bin.join("wharf"), scenario.chain(number))],
            Side::Reference | Side::DropIn => {
                let list = scenario.list(number, self.data_dir.as_deref());
                list.into_iter().map(|(kind, config)| (self.bin.join(kind), config)).collect()
            }
        }
    }

    fn call(&self, command: &str, program: &Path, attachment: &Attachment, config: &Value) -> Result<(Option<Value>, Sample)> {
        let begin = Moment::now()?;
        let printed = cni::start(&self.runtime, program, command, attachment, config)?.finish()?;
        Ok((printed, Moment::now()? - begin))
    }
}

fn previous(config: &mut Value, result: &Value) {
    if let (Some(object), false) = (config.as_object_mut(), result.is_null()) {
        object.insert("prevResult".to_owned(), result.clone());
    }
}

//! Who is measured: the reference plugins, Wharf under the plugins' names, and Wharf with the whole list in one process.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use serde_json::Value;

use super::scenario::{Backend, Scenario};
use super::stats::{Moment, Sample};
use crate::cni::{self, Attachment, Runtime};
use crate::netns::Netns;

/// The variable that names a file for lines about the time of a call.
const TIMINGS: &str = "WHARF_TRACE_TIMINGS";

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
        self.knows_nftables || !scenario.masquerades(Backend::Nftables)
    }

    /// The same, which appends lines about its time to a file.
    pub(crate) fn with_timings(&self, file: &Path) -> Self {
        let mut runtime = self.runtime.clone();
        runtime.variables.push((TIMINGS.to_owned(), file.into()));
        let (bin, data_dir) = (self.bin.clone(), self.data_dir.clone());
        Self { side: self.side, bin, runtime, data_dir, knows_nftables: self.knows_nftables }
    }

    /// Runs the list's ADD for a container. The calling thread must be in the node's namespace.
    pub(crate) fn add(
        &self,
        scenario: &Scenario,
        container: &Netns,
        number: u16,
    ) -> Result<(Attached, Sample)> {
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
        if self.side == Side::Reference && scenario.masquerades(Backend::Nftables) {
            quirk::before_delete(scenario, &attached.attachment)?;
        }
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

    fn call(
        &self,
        command: &str,
        program: &Path,
        attachment: &Attachment,
        config: &Value,
    ) -> Result<(Option<Value>, Sample)> {
        let begin = Moment::now()?;
        let printed = cni::start(&self.runtime, program, command, attachment, config)?.finish()?;
        Ok((printed, Moment::now()? - begin))
    }
}

/// Every DEL of the reference's bridge tears down both backends. Debian's build of it takes the answer of iptables 1.8.9
/// for a chain that never was as a failure and stops half way (upstream's build goes on). With an empty chain of that
/// name it does all its work, which is what is to be measured.
mod quirk {
    use std::process::Command;

    use anyhow::Result;
    use sha2::{Digest, Sha512};

    use super::{Attachment, Scenario};
    use crate::sh;

    /// Makes the empty chain, outside the measured time.
    pub(super) fn before_delete(scenario: &Scenario, attachment: &Attachment) -> Result<()> {
        let chain = chain(&scenario.network(), &attachment.container);
        sh::output(Command::new("iptables").args(["-w", "-t", "nat", "-N", &chain])).map(drop)
    }

    /// The name that the reference gives to the chain of an attachment.
    fn chain(network: &str, container: &str) -> String {
        let hash = Sha512::digest(format!("{network}{container}"));
        let hex: String = hash.iter().take(12).map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        format!("CNI-{hex}")
    }

    #[cfg(test)]
    #[test]
    fn the_chain_is_named_as_the_reference_names_it() {
        assert_eq!(chain("test", "1234"), "CNI-2bbe0c48b91a7d1b8a6753a8");
    }
}

fn previous(config: &mut Value, result: &Value) {
    if let (Some(object), false) = (config.as_object_mut(), result.is_null()) {
        object.insert("prevResult".to_owned(), result.clone());
    }
}

//! The commands, each over a list of plugins: one for a drop-in, several for `{"type": "wharf", "chain": [...]}`.

use wharf_cni::error::code;
use wharf_cni::{CniError, Command, NetConf, NetworkResult};
use wharf_ops::call::{Call, Request};

use crate::Paths;
use crate::convert;
use crate::failure::{self, Fault};
use crate::journal::Store;
use crate::launch::Launcher;
use crate::pod_cidr;
use crate::policy;
use crate::session::Invocation;
use crate::writable;

/// The name under which the binary runs chains.
pub(super) const OWN_NAME: &str = "wharf";

/// One plugin: the guest that serves it, and its configuration.
pub(crate) struct Stage {
    pub(crate) guest: String,
    pub(crate) conf: NetConf,
    /// Whether it is of a list that runs in one process.
    chained: bool,
}

impl Stage {
    pub(crate) fn is_chained(&self) -> bool {
        self.chained
    }
}

/// What the journals of an invocation are called by.
pub(super) fn entry(name: &str, stages: &[Stage]) -> String {
    match stages {
        // Either way of being one plugin's process.
        [stage] if name != OWN_NAME || !stage.chained => stage.guest.clone(),
        _ => OWN_NAME.to_string(),
    }
}

/// What is to run. Under a plugin's own name (a symlink), that plugin; as `wharf`, the chain of the configuration.
pub(crate) fn stages(name: &str, conf: NetConf) -> Result<Vec<Stage>, CniError> {
    if name != OWN_NAME {
        return Ok(vec![Stage { guest: name.to_string(), conf, chained: false }]);
    }
    if conf.plugin_type != OWN_NAME {
        // A runtime that finds `wharf` by another way than its name: the type says which guest is meant.
        let guest = conf.plugin_type.clone();
        if guest.is_empty() {
            return Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, "type: missing or empty"));
        }
        return Ok(vec![Stage { guest, conf, chained: false }]);
    }
    let Some(chain) = conf.chain()? else {
        let message = "chain: missing; a configuration of type \"wharf\" has the list of its plugins there, \
                       e.g. \"chain\": [{\"type\": \"bridge\", ...}, {\"type\": \"portmap\", ...}]";
        return Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, message));
    };
    Ok(chain.into_iter().map(|conf| Stage { guest: conf.plugin_type.clone(), conf, chained: true }).collect())
}

/// What is to run, and for a DEL why that is nothing: an ADD with such a list was refused, and what an ADD with another one
/// made is in the record.
pub(super) fn readable(
    command: Command,
    name: &str,
    conf: NetConf,
) -> Result<(Vec<Stage>, Option<CniError>), CniError> {
    match stages(name, conf) {
        Err(error) if command == Command::Del => Ok((Vec::new(), Some(error))),
        stages => Ok((stages?, None)),
    }
}

/// Puts the node's pod CIDRs into the place of `usePodCidr`. What only takes away needs no subnets.
pub(super) fn resolve(paths: &Paths, command: Command, stages: &mut [Stage]) -> Result<(), CniError> {
    match command {
        Command::Add | Command::Check | Command::Status => {}
        Command::Del | Command::Gc | Command::Version => return Ok(()),
    }
    for stage in stages {
        pod_cidr::resolve(paths, &mut stage.conf.raw)
            .map_err(|error| failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Host, error.to_string()))?;
    }
    Ok(())
}

/// The guests that will be called, as far as the configuration says so, in the order of their calls: each plugin's, and
/// that of its IPAM. A DEL begins with the last plugin, and would wait for its sandbox longest.
pub(super) fn guests(command: Command, stages: &[Stage]) -> Vec<&str> {
    match command {
        Command::Del => stages.iter().rev().flat_map(guests_of).collect(),
        Command::Add | Command::Check | Command::Status | Command::Gc | Command::Version => {
            stages.iter().flat_map(guests_of).collect()
        }
    }
}

fn guests_of(stage: &Stage) -> impl Iterator<Item = &str> {
    let ipam = stage.conf.raw.get("ipam").and_then(|ipam| ipam.get("type")).and_then(|kind| kind.as_str());
    std::iter::once(stage.guest.as_str()).chain(ipam)
}

pub(super) fn request<L: Launcher>(
    invocation: &Invocation<'_, L>,
    stage: &Stage,
    previous: Option<&NetworkResult>,
) -> Request {
    Request {
        attachment: invocation.attachment.clone(),
        netns_path: invocation.netns_path.clone(),
        args: invocation.args.clone(),
        config: stage.conf.guest_config(),
        previous: previous.map(convert::to_guest),
    }
}

/// Does what was put off, and tells what went wrong with it.
pub(super) fn take_down<L: Launcher>(invocation: &mut Invocation<'_, L>, errors: &mut Vec<CniError>) {
    invocation.take_down();
    let late = invocation.late.drain(..);
    errors.extend(
        late.map(|error| failure::host(code::INTERNAL, Fault::Host, format!("taking down: {error}"))),
    );
}

/// STATUS: the first thing that is in the way of an ADD decides: a policy that is missing, a place for its journal, a plugin
/// that is not ready.
pub(super) fn status<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    stages: &[Stage],
    policies: &[String],
) -> Result<String, CniError> {
    policy::ready(invocation, policies)?;
    let journals = invocation.broker.paths.attachments();
    writable(&journals)
        .map_err(|error| failure::host(code::PLUGIN_NOT_AVAILABLE, Fault::Host, error.to_string()))?;
    for stage in stages {
        let call = Call::Status { config: stage.conf.guest_config() };
        let ready = invocation.call(&stage.guest, &stage.conf, &call, 0);
        ready.map_err(|error| about_containers(&Store::of(&invocation.broker.paths), &stage.conf, error))?;
    }
    Ok(String::new())
}

/// That containers may have limited connectivity is said only where there are any.
fn about_containers(journals: &Store, conf: &NetConf, mut error: CniError) -> CniError {
    let none = || journals.attachments(&conf.name).is_ok_and(|all| all.is_empty());
    if error.code == code::LIMITED_CONNECTIVITY && none() {
        error.code = code::PLUGIN_NOT_AVAILABLE;
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sandboxes_are_made_in_the_order_of_the_calls() {
        let conf = br#"{"cniVersion": "1.0.0", "name": "n", "type": "wharf", "chain": [
            {"type": "bridge", "ipam": {"type": "host-local"}}, {"type": "portmap"}, {"type": "bandwidth"}]}"#;
        let stages = stages(OWN_NAME, NetConf::parse(conf).unwrap()).unwrap();
        assert_eq!(guests(Command::Add, &stages), ["bridge", "host-local", "portmap", "bandwidth"]);
        assert_eq!(guests(Command::Del, &stages), ["bandwidth", "portmap", "bridge", "host-local"]);
    }
}

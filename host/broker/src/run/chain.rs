//! The commands, each over a list of plugins: one for a drop-in, several for `{"type": "wharf", "chain": [...]}`.

use wharf_cni::error::code;
use wharf_cni::{CniError, NetConf, NetworkResult};
use wharf_ops::call::{Answer, Call, Request};

use super::rollback::roll_back;
use super::valid_pairs;
use crate::convert;
use crate::failure::{self, Fault};
use crate::launch::Launcher;
use crate::session::Invocation;

/// The name under which the binary runs chains.
const OWN_NAME: &str = "wharf";

/// One plugin: the guest that serves it, and its configuration.
pub(super) struct Stage {
    guest: String,
    pub(super) conf: NetConf,
}

/// What is to run. Under a plugin's own name (a symlink), that plugin; as `wharf`, the chain of the configuration.
pub(super) fn stages(name: &str, conf: NetConf) -> Result<Vec<Stage>, CniError> {
    if name != OWN_NAME {
        return Ok(vec![Stage { guest: name.to_string(), conf }]);
    }
    if conf.plugin_type != OWN_NAME {
        // A runtime that finds `wharf` by another way than its name: the type says which guest is meant.
        let guest = conf.plugin_type.clone();
        if guest.is_empty() {
            return Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, "type: missing or empty"));
        }
        return Ok(vec![Stage { guest, conf }]);
    }
    let Some(chain) = conf.chain()? else {
        let message = "chain: missing; a configuration of type \"wharf\" has the list of its plugins there, \
                       e.g. \"chain\": [{\"type\": \"bridge\", ...}, {\"type\": \"portmap\", ...}]";
        return Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, message));
    };
    Ok(chain.into_iter().map(|conf| Stage { guest: conf.plugin_type.clone(), conf }).collect())
}

/// The guests that will be called, as far as the configuration says so: each plugin's, and that of its IPAM.
pub(super) fn guests(stages: &[Stage]) -> impl Iterator<Item = &str> {
    stages.iter().flat_map(|stage| {
        let ipam =
            stage.conf.raw.get("ipam").and_then(|ipam| ipam.get("type")).and_then(|kind| kind.as_str());
        std::iter::once(stage.guest.as_str()).chain(ipam)
    })
}

fn request<L: Launcher>(
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

/// ADD: in order, each gets the result of the one before. Whatever fails, everything is undone.
pub(super) fn add<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    stages: &[Stage],
) -> Result<String, CniError> {
    match add_all(invocation, stages) {
        Ok(text) => Ok(text),
        Err(cause) => Err(roll_back(invocation, cause)),
    }
}

fn add_all<L: Launcher>(invocation: &mut Invocation<'_, L>, stages: &[Stage]) -> Result<String, CniError> {
    let mut previous = stages.first().and_then(|stage| stage.conf.previous.clone());
    let mut version = wharf_cni::Version::CURRENT;
    for stage in stages {
        version = stage.conf.cni_version;
        let call = Call::Add(request(invocation, stage, previous.as_ref()));
        let conf = match &previous {
            Some(result) => &stage.conf.with_previous(result),
            None => &stage.conf,
        };
        match invocation.call(&stage.guest, conf, &call, 0)? {
            Answer::Result(result) => previous = Some(convert::from_guest(result)),
            Answer::Done | Answer::Metadata(_) => {
                let message = format!("{}: ADD answered no result", stage.guest);
                return Err(failure::host(code::INTERNAL, Fault::Host, message));
            }
        }
    }
    // A result that the version cannot express is an error while it can still be undone.
    Ok(previous.unwrap_or_default().to_json_string(version)?)
}

/// CHECK: in order, every plugin gets the final result, and the first difference ends it.
pub(super) fn check<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    stages: &[Stage],
) -> Result<String, CniError> {
    for stage in stages {
        let call = Call::Check(request(invocation, stage, stage.conf.previous.as_ref()));
        invocation.call(&stage.guest, &stage.conf, &call, 0)?;
    }
    Ok(String::new())
}

/// DEL: in reverse, and none keeps another from being cleaned.
pub(super) fn del<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    stages: &[Stage],
) -> Result<String, CniError> {
    let mut errors = Vec::new();
    for stage in stages.iter().rev() {
        let call = Call::Del(request(invocation, stage, stage.conf.previous.as_ref()));
        if let Err(error) = invocation.call(&stage.guest, &stage.conf, &call, 0) {
            errors.push(error);
        }
    }
    take_down(invocation, &mut errors);
    if !errors.is_empty() {
        // A guest that failed may have left its rules.
        let attachment = invocation.attachment.clone();
        invocation.kernel.set_deadline(None);
        if let Err(error) = invocation.kernel.sweep(&attachment) {
            errors.push(failure::host(code::INTERNAL, Fault::Host, format!("sweep: {error}")));
        }
    }
    failure::together(errors).map_or(Ok(String::new()), Err)
}

/// Does what was put off, and tells what went wrong with it.
fn take_down<L: Launcher>(invocation: &mut Invocation<'_, L>, errors: &mut Vec<CniError>) {
    invocation.take_down();
    let late = invocation.late.drain(..);
    errors.extend(
        late.map(|error| failure::host(code::INTERNAL, Fault::Host, format!("taking down: {error}"))),
    );
}

/// STATUS: the first plugin that is not ready decides.
pub(super) fn status<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    stages: &[Stage],
) -> Result<String, CniError> {
    for stage in stages {
        let call = Call::Status { config: stage.conf.guest_config() };
        invocation.call(&stage.guest, &stage.conf, &call, 0)?;
    }
    Ok(String::new())
}

/// GC: every plugin, then the rules whose owner is not valid. Errors are collected.
pub(super) fn gc<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    stages: &[Stage],
) -> Result<String, CniError> {
    let mut errors = Vec::new();
    for stage in stages {
        if stage.conf.valid_attachments.is_none() {
            let message = "cni.dev/valid-attachments: missing; without it a GC would remove every attachment";
            return Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, message));
        }
        let call = Call::Gc { config: stage.conf.guest_config(), valid: valid_pairs(&stage.conf) };
        if let Err(error) = invocation.call(&stage.guest, &stage.conf, &call, 0) {
            errors.push(error);
        }
    }
    take_down(invocation, &mut errors);
    if let Some(stage) = stages.first() {
        sweep_stale(invocation, &valid_pairs(&stage.conf), &mut errors);
    }
    failure::together(errors).map_or(Ok(String::new()), Err)
}

fn sweep_stale<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    valid: &[(String, String)],
    errors: &mut Vec<CniError>,
) {
    let fault = |error: wharf_ops::Error| failure::host(code::INTERNAL, Fault::Host, format!("GC: {error}"));
    invocation.kernel.set_deadline(None);
    let owners = match invocation.kernel.owners(&invocation.attachment.network) {
        Ok(owners) => owners,
        Err(error) => return errors.push(fault(error)),
    };
    for owner in crate::collect::stale(owners, &invocation.attachment.network, valid) {
        errors.extend(invocation.kernel.sweep(&owner).err().map(fault));
    }
}

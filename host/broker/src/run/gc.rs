//! GC: the records whose attachment is not valid, links of such that have no record, every plugin, then the rules whose
//! owner is not valid. Errors are collected.

use wharf_cni::error::code;
use wharf_cni::{CniError, NetConf};
use wharf_ops::call::Call;
use wharf_ops::links::LinkOp;
use wharf_ops::{KernelOp, Ns, Reply};

use super::chain::{Stage, take_down};
use super::{attachment, kept, valid_pairs};
use crate::failure::{self, Fault};
use crate::launch::Launcher;
use crate::repair;
use crate::session::Invocation;

pub(super) fn run<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    stages: &[Stage],
) -> Result<String, CniError> {
    if stages.iter().any(|stage| stage.conf.valid_attachments.is_none()) {
        let message = "cni.dev/valid-attachments: missing; without it a GC would remove every attachment";
        return Err(failure::host(code::INVALID_CONFIG, Fault::Runtime, message));
    }
    let mut errors = stages.first().map(|stage| records(invocation, stage)).unwrap_or_default();
    if let Some(stage) = stages.first() {
        remove_stale_ends(invocation, &stage.conf, &mut errors);
    }
    for stage in stages {
        let ended = kept(&invocation.broker.paths, &stage.conf).map_err(|error| attachment::fault(&error));
        let ended = ended.and_then(|valid| {
            let call = Call::Gc { config: stage.conf.guest_config(), valid };
            invocation.call(&stage.guest, &stage.conf, &call, 0)
        });
        errors.extend(ended.err());
    }
    take_down(invocation, &mut errors);
    if let Some(stage) = stages.first() {
        sweep_stale(invocation, &stage.conf, &mut errors);
    }
    failure::together(errors).map_or(Ok(String::new()), Err)
}

/// Sweeps the records of what is not valid any more.
fn records<L: Launcher>(invocation: &Invocation<'_, L>, stage: &Stage) -> Vec<CniError> {
    let broker = invocation.broker;
    let start = |command: &mut std::process::Command| broker.start(command);
    let network = &invocation.attachment.network;
    let failures = repair::sweep_stale(&broker.tools(&start), network, &valid_pairs(&stage.conf));
    let fault = |message: String| failure::host(code::INTERNAL, Fault::Host, format!("GC: {message}"));
    failures.into_iter().map(fault).collect()
}

/// Removes what joins a container to the network that is not valid and has no record: its address is given back next, and
/// may be somebody else's soon.
fn remove_stale_ends<L: Launcher>(
    invocation: &mut Invocation<'_, L>,
    conf: &NetConf,
    errors: &mut Vec<CniError>,
) {
    let fault = |error: wharf_ops::Error| failure::host(code::INTERNAL, Fault::Host, format!("GC: {error}"));
    let of = invocation.attachment.clone();
    let all = KernelOp::Link(LinkOp::GetAll { ns: Ns::Host });
    let all = match invocation.kernel.apply(&of, &all).and_then(Reply::infos) {
        Ok(all) => all,
        Err(error) => return errors.push(fault(error)),
    };
    // Later than the links: whoever has one has a journal before.
    let kept = match kept(&invocation.broker.paths, conf) {
        Ok(kept) => kept,
        Err(error) => return errors.push(attachment::fault(&error)),
    };
    for link in crate::collect::stale_ends(all, &of.network, &kept) {
        let delete = KernelOp::Link(LinkOp::Delete { link });
        errors.extend(invocation.kernel.apply(&of, &delete).err().map(fault));
    }
}

fn sweep_stale<L: Launcher>(invocation: &mut Invocation<'_, L>, conf: &NetConf, errors: &mut Vec<CniError>) {
    let fault = |error: wharf_ops::Error| failure::host(code::INTERNAL, Fault::Host, format!("GC: {error}"));
    invocation.kernel.set_deadline(None);
    let owners = match invocation.kernel.owners(&invocation.attachment.network) {
        Ok(owners) => owners,
        Err(error) => return errors.push(fault(error)),
    };
    // Later than the owners: who has rules has a journal before.
    let kept = match kept(&invocation.broker.paths, conf) {
        Ok(kept) => kept,
        Err(error) => return errors.push(attachment::fault(&error)),
    };
    for owner in crate::collect::stale(owners, &invocation.attachment.network, &kept) {
        errors.extend(invocation.kernel.sweep(&owner).err().map(fault));
    }
}

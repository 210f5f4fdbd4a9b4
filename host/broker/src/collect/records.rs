//! Attachments that have a record.

use wharf_kernel::{Kernel, Netns, RealKernel};

use super::{Collection, Item, Kind, Outcome, Report};
use crate::Paths;
use crate::log::Log;
use crate::{repair, run};

/// Sweeps the records of attachments that are not valid.
pub(super) fn collect(collection: &Collection, paths: &Paths, report: &mut Report) {
    let Collection { network, valid, dry_run, .. } = collection;
    let tools = run::tools_alone(paths, &kernel, Log::from_env());
    let (stale, failures) = repair::collect(&tools, network, valid, *dry_run);
    for one in stale {
        let outcome = match one.unfinished {
            None => Outcome::WouldRemove,
            Some(unfinished) if unfinished.is_empty() => Outcome::Removed,
            Some(unfinished) => Outcome::Failed(unfinished.join("; ")),
        };
        let owner = one.key.attachment;
        report.items.push(Item {
            kind: Kind::Attachment,
            what: format!("{}/{} ({})", owner.container, owner.ifname, one.key.entry),
            container: owner.container,
            ifname: owner.ifname,
            reference: false,
            outcome,
        });
    }
    report.errors.extend(failures);
}

fn kernel(host: Netns, container: Option<Netns>) -> Box<dyn Kernel> {
    Box::new(RealKernel::new(host, container))
}

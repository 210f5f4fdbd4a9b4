//! Undoing an ADD that failed.

use std::time::{Duration, Instant};

use wharf_cni::CniError;
use wharf_cni::error::code;
use wharf_ops::links::LinkOp;
use wharf_ops::{KernelOp, Link, Reply};

use crate::delegate;
use crate::launch::Launcher;
use crate::leases::Pool;
use crate::pipeline::Course;
use crate::session::Invocation;
use crate::transaction::{Entry, Undo};

/// How long the repair waits for a pool that somebody else holds.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// Undoes everything, newest first, and answers the error to report: the first cause, then each undo that failed.
pub(super) fn roll_back<L: Launcher>(invocation: &mut Invocation<'_, L>, cause: CniError) -> CniError {
    let Course::Add(transaction) = std::mem::replace(&mut invocation.course, Course::Look) else {
        return cause;
    };
    let own = transaction.links().to_vec();
    // The deadline that the guest overran does not bound the repair.
    invocation.kernel.set_deadline(None);
    let mut failed = Vec::new();
    for Entry { operation, undo } in transaction.into_undo() {
        if let Err(reason) = undo_one(invocation, &own, undo) {
            failed.push(format!("undo of {operation}: {reason}"));
        }
    }
    if failed.is_empty() {
        return cause;
    }
    let details = format!(
        "cause: code {}, {}; not undone: {}",
        cause.code,
        cause.details.as_deref().unwrap_or("no details"),
        failed.join("; ")
    );
    CniError::new(code::ROLLBACK_INCOMPLETE, format!("{} (and undoing it was incomplete)", cause.msg))
        .with_details(details)
}

/// `own` are the links that the ADD created: on a bridge, they are nobody else's ports.
fn undo_one<L: Launcher>(invocation: &mut Invocation<'_, L>, own: &[Link], undo: Undo) -> Result<(), String> {
    match undo {
        Undo::Kernel { op, unless_used } => {
            if let Some(bridge) = unless_used
                && has_ports(invocation, own, &bridge)
            {
                return Ok(());
            }
            match invocation.kernel.apply(&invocation.attachment, &op) {
                Ok(_) => Ok(()),
                // It went with something that was undone before.
                Err(error) if error.kind == wharf_ops::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error.to_string()),
            }
        }
        Undo::Lease { directory, address, owner } => {
            let paths = &invocation.broker.paths;
            let network = &invocation.attachment.network;
            let place = paths.leases(directory.as_deref(), network);
            let index = paths.lease_index(directory.as_deref(), network);
            let mut pool = Pool::open(&place, &index, Some(Instant::now() + LOCK_WAIT))
                .map_err(|error| error.to_string())?;
            pool.give_back(address, &owner).map_err(|error| error.to_string())
        }
        Undo::Native { plugin, config } => {
            delegate::undo_native(invocation, &plugin, &config).map_err(|error| error.to_string())
        }
    }
}

fn has_ports<L: Launcher>(invocation: &mut Invocation<'_, L>, own: &[Link], bridge: &Link) -> bool {
    let all = KernelOp::Link(LinkOp::GetAll { ns: bridge.ns });
    match invocation.kernel.apply(&invocation.attachment, &all).and_then(Reply::infos) {
        Ok(links) => links.iter().any(|link| {
            link.master == Some(bridge.index)
                && !own.iter().any(|own| own.ns == bridge.ns && own.index == link.index)
        }),
        Err(_) => true,
    }
}

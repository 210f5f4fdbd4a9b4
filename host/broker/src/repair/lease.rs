//! Giving back what is not in the kernel: leases, and what native plugins made.

use std::time::{Duration, Instant};

use wharf_cni::CniError;
use wharf_ops::delegate::Verb;
use wharf_ops::leases::LeaseOwner;
use wharf_ops::{Error, Reply};

use super::Repair;
use super::task::Wanted;
use crate::leases::Pool;
use crate::native::Execution;
use crate::run::{LeaseChange, Moment};
use crate::signals::Signals;

/// How long a repair waits for a pool that somebody else holds.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// Gives addresses of the attachment back. What is somebody else's by now stays.
pub(super) fn give_back(repair: &Repair<'_>, directory: Option<&str>, wanted: &Wanted) -> Result<(), Error> {
    let (place, index) = repair.pool(directory);
    if !place.is_dir() {
        return Ok(());
    }
    let attachment = &repair.begin.attachment;
    let owner = LeaseOwner { container: attachment.container.clone(), ifname: attachment.ifname.clone() };
    let mut pool = Pool::open(&place, &index, Some(Instant::now() + LOCK_WAIT))?;
    let addresses = match wanted {
        Wanted::One(address) => vec![*address],
        Wanted::AllBut(held) => {
            let now = pool.find(&owner)?;
            now.into_iter().filter(|address| !held.contains(address)).collect()
        }
    };
    let hook = repair.tools.lease_hook;
    for address in addresses {
        let change = LeaseChange::GivenBack(address);
        hook(&change, Moment::Before)?;
        pool.give_back(address, &owner)?;
        hook(&change, Moment::After(&Reply::Done))?;
    }
    Ok(())
}

/// A native plugin's DEL, which undoes its ADD.
pub(super) fn native_del(repair: &Repair<'_>, plugin: &str, config: &str) -> Result<(), CniError> {
    let begin = repair.begin;
    let path = if repair.plugin_path.is_empty() { &begin.plugin_path } else { repair.plugin_path };
    let execution = Execution {
        plugin,
        verb: Verb::Del,
        attachment: &begin.attachment,
        netns: repair.netns,
        args: &begin.args,
        path,
        stdin: config.as_bytes(),
        deadline: None,
        traceparent: None,
        // It is what a signal wants: that nothing remains.
        signals: &Signals::none(),
    };
    execution.run(repair.tools.start).map(drop)
}

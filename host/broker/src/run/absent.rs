//! Whether an attachment that has no record has anything at all, as far as can be seen without its guests.
//!
//! A guest that is not installed, may not run or fails cannot say. If Wharf made the attachment, what the guest did would
//! be in a record; if another plugin did, its address, its interface or its links tell. Where there is nothing of these,
//! there is nothing to delete: a DEL that comes twice, or after an ADD that was undone, or before any.

use std::time::{Duration, Instant};

use wharf_kernel::reference;
use wharf_ops::links::LinkOp;
use wharf_ops::{Error, KernelOp, Ns};

use super::chain::Stage;
use crate::collect::names_attachment;
use crate::delegate::DELEGATES;
use crate::guests;
use crate::journal::Store;
use crate::launch::Launcher;
use crate::lease_ops::check_path;
use crate::leases::Pool;
use crate::native;
use crate::pipeline::Course;
use crate::session::Invocation;

/// How long somebody else may hold a pool.
const LOCK_WAIT: Duration = Duration::from_secs(10);

/// Whether a plugin delegates to a native one whose DEL did not succeed: what that holds cannot be seen from here.
pub(super) fn has_native<L: Launcher>(invocation: &Invocation<'_, L>, stage: &Stage) -> bool {
    let is_native = |name: &str| {
        let guest = guests::read(&invocation.broker.paths, name);
        matches!(guest, Err(guests::StoreError::NotInstalled { .. }))
            && !native::is_only_wharf(&invocation.plugin_path, name)
    };
    let done = match &invocation.course {
        Course::Del(removal) => removal.natives_done.as_slice(),
        Course::Add(_) | Course::Look => &[],
    };
    let named = DELEGATES.iter().filter_map(|key| stage.conf.raw.get(*key)?.get("type")?.as_str());
    named.filter(|name| !done.iter().any(|done| done == name)).any(is_native)
}

/// Whether nothing can be there that a guest would know of. What cannot be looked at may be there.
pub(super) fn nothing_is_there<L: Launcher>(invocation: &mut Invocation<'_, L>, stages: &[Stage]) -> bool {
    is_ours(invocation)
        || (!has_lease(invocation, stages) && has_links(invocation).is_ok_and(|has_links| !has_links))
}

/// Whether other plugins of the same attachment have a record.
fn is_ours<L: Launcher>(invocation: &Invocation<'_, L>) -> bool {
    let Ok(all) = Store::of(&invocation.broker.paths).list() else { return false };
    all.iter().any(|listed| {
        let last = listed.record.transactions.last();
        last.is_some_and(|last| last.begin.attachment == invocation.attachment)
    })
}

fn has_lease<L: Launcher>(invocation: &Invocation<'_, L>, stages: &[Stage]) -> bool {
    let of = &invocation.attachment;
    let paths = &invocation.broker.paths;
    let own = stages.iter().map(|stage| stage.conf.raw.get("ipam")?.get("dataDir")?.as_str());
    own.chain([None]).any(|directory| {
        if directory.is_some_and(|path| check_path("ipam.dataDir", path).is_err()) {
            // No ADD of ours has used it. Who had another plugin use it, has links as well.
            return false;
        }
        let place = paths.leases(directory, &of.network);
        let index = paths.lease_index(directory, &of.network);
        match Pool::open_existing(&place, &index, Some(Instant::now() + LOCK_WAIT)) {
            Ok(None) => false,
            Ok(Some(mut pool)) => pool.get_all().map_or(true, |leases| {
                leases.iter().any(|lease| {
                    let owner = &lease.owner;
                    owner.container == of.container && (owner.ifname == of.ifname || owner.ifname.is_empty())
                })
            }),
            Err(_) => true,
        }
    })
}

fn has_links<L: Launcher>(invocation: &mut Invocation<'_, L>) -> Result<bool, Error> {
    let of = invocation.attachment.clone();
    if invocation.container_present {
        let get = LinkOp::Get { ns: Ns::Container, name: of.ifname.clone() };
        if invocation.kernel.apply(&of, &KernelOp::Link(get))?.maybe_link()?.is_some() {
            return Ok(true);
        }
    }
    let all = invocation.kernel.apply(&of, &KernelOp::Link(LinkOp::GetAll { ns: Ns::Host }))?.infos()?;
    let theirs = reference::reference_ifb(&of.network, &of.container);
    Ok(all.iter().any(|info| {
        let alias = info.alias.as_deref().unwrap_or_default();
        info.name == theirs || names_attachment(alias, &of.network, &of.container, &of.ifname)
    }))
}

//! Leases, whoever wrote them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use wharf_ops::leases::{Lease, LeaseOwner};

use super::{Collection, Item, Kind, Report};
use crate::Paths;
use crate::lease_ops::check_path;
use crate::leases::{NOBODY, Pool};

/// How long somebody else may hold the pool.
const LOCK_WAIT: Duration = Duration::from_secs(30);

/// The network's pool, if it has one. It is held until everything is collected: no ADD takes an address meanwhile.
pub(super) fn open(wanted: &Collection, paths: &Paths, report: &mut Report) -> Option<Pool> {
    let directory = wanted.data_dir.as_deref();
    report.note("leases", directory.map_or(Ok(()), |path| check_path("the data directory", path)))?;
    let place = paths.leases(directory, &wanted.network);
    let index = paths.lease_index(directory, &wanted.network);
    let deadline = Some(Instant::now() + LOCK_WAIT);
    report.note("leases", Pool::open_existing(&place, &index, deadline)).flatten()
}

/// Every lease of the network that is somebody's.
pub(super) fn list(pool: &mut Option<Pool>, report: &mut Report) -> Vec<Lease> {
    let all = pool.as_mut().and_then(|pool| report.note("leases", pool.get_all()));
    all.unwrap_or_default()
}

/// Gives back what no valid attachment holds. A lease without an interface name, as old versions of the reference
/// plugin wrote it, is held by any attachment of its container.
pub(super) fn collect(wanted: &Collection, pool: Option<&mut Pool>, leased: &[Lease], report: &mut Report) {
    let Some(pool) = pool else { return };
    nobodys(wanted, pool, report);
    let mut stale: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for Lease { address, owner: LeaseOwner { container, ifname } } in leased {
        if !wanted.keeps(container, ifname) {
            stale.entry((container, ifname)).or_default().push(address.to_string());
        }
    }
    for ((container, ifname), addresses) in stale {
        let owner = LeaseOwner { container: container.to_owned(), ifname: ifname.to_owned() };
        let outcome = wanted.carry_out(|| pool.release(&owner).map(drop));
        report.items.extend(addresses.into_iter().map(|what| Item {
            kind: Kind::Lease,
            what,
            container: container.to_owned(),
            ifname: ifname.to_owned(),
            reference: false,
            outcome: outcome.clone(),
        }));
    }
}

/// Gives back what a plugin that was killed had taken for nobody yet.
fn nobodys(wanted: &Collection, pool: &mut Pool, report: &mut Report) {
    let Some(mut all) = report.note("leases", pool.get_releasable()) else { return };
    all.retain(|lease| lease.owner == NOBODY);
    if all.is_empty() {
        return;
    }
    let outcome = wanted.carry_out(|| pool.release_nobodys().map(drop));
    report.items.extend(all.into_iter().map(|Lease { address, owner: LeaseOwner { container, ifname } }| {
        Item {
            kind: Kind::Lease,
            what: address.to_string(),
            container,
            ifname,
            reference: false,
            outcome: outcome.clone(),
        }
    }));
}

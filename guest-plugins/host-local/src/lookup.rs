//! Reading the leases back: CHECK, STATUS and GC.

use std::collections::BTreeSet;
use std::net::IpAddr;

use wharf_sdk::leases::Pool;
use wharf_sdk::{Error, NetworkResult, Owner, Result, code, info};

use crate::range::RangeSet;

/// Sets with more addresses than a /16 are not counted by STATUS: no node ever has that many leases. What it costs to
/// count grows with the leases that are there, not with the set.
const COUNTED: u128 = 1 << 16;

/// CHECK: of every range set, the attachment holds the address that its result has of it. Without a result, it holds one of
/// every set. A set that the result has nothing of came into the configuration later.
pub(crate) fn check(
    pool: &Pool,
    sets: &[RangeSet],
    previous: Option<&NetworkResult>,
    owner: &Owner,
) -> Result<()> {
    let held = pool.find(owner)?;
    let Owner { container, ifname } = owner;
    let lost = |details: String| {
        let msg = format!("host-local: Failed to find address added by container {container} ({ifname})");
        Err(Error::check(msg).with_details(details))
    };
    let Some(first) = held.first() else { return lost("no lease at all".to_owned()) };
    let is_given = |address: &IpAddr| {
        previous.is_none_or(|result| result.ips.iter().any(|ip| ip.address.ip() == *address))
    };
    let is_other = |lease: &IpAddr| {
        let msg = format!("host-local: the lease of container {container} ({ifname}) is {lease}");
        Err(Error::check(format!("{msg}, which prevResult does not have")))
    };
    for set in sets {
        let has_one = |result: &NetworkResult| result.ips.iter().any(|ip| set.contains(ip.address.ip()));
        if !previous.is_none_or(has_one) {
            continue;
        }
        let mut of_set = held.iter().filter(|address| set.contains(**address)).peekable();
        let Some(lease) = of_set.peek().copied() else { return lost(format!("no lease in range set {set}")) };
        if !of_set.any(is_given) {
            return is_other(lease);
        }
    }
    if held.iter().any(is_given) { Ok(()) } else { is_other(first) }
}

/// Whether [`status`] could find anything.
pub(crate) fn worth_counting(sets: &[RangeSet]) -> bool {
    sets.iter().any(|set| set.capacity() <= COUNTED)
}

/// STATUS: an ADD takes an address of every set, so one full set is enough to refuse it.
pub(crate) fn status(pool: &Pool, sets: &[RangeSet]) -> Result<()> {
    let leases = pool.leases()?;
    for (number, set) in sets.iter().enumerate().filter(|(_, set)| set.capacity() <= COUNTED) {
        let gateways = set.gateways();
        let addresses = leases.iter().map(|lease| lease.address);
        let taken = addresses.filter(|address| set.contains(*address) && !gateways.contains(address)).count();
        if taken as u128 >= set.capacity() {
            let msg = format!("no IP addresses available in range set {number}: {set}");
            return Err(Error::new(code::NOT_AVAILABLE, msg));
        }
    }
    Ok(())
}

/// GC: gives back what no valid attachment holds. A lease without an interface name, as old versions of the
/// reference plugin wrote it, is held by any attachment of its container. One failure does not stop the rest.
pub(crate) fn collect(pool: &Pool, valid: &[Owner]) -> Result<()> {
    // Inserted one by one: collecting would bring a sort into the guest for each of the two.
    let mut keep: BTreeSet<(&str, &str)> = BTreeSet::new();
    for owner in valid {
        keep.insert((&owner.container, &owner.ifname));
        keep.insert((&owner.container, ""));
    }
    let leases = pool.leases()?;
    let mut stale: BTreeSet<(&str, &str)> = BTreeSet::new();
    for Owner { container, ifname } in leases.iter().map(|lease| &lease.owner) {
        if !keep.contains(&(container.as_str(), ifname.as_str())) {
            stale.insert((container, ifname));
        }
    }
    let mut failures: Vec<Error> = Vec::new();
    for (container, ifname) in stale {
        match pool.release(&Owner { container: container.to_owned(), ifname: ifname.to_owned() }) {
            Ok(count) => {
                info!("released stale leases"; container = container, ifname = ifname, count = count);
            }
            Err(error) => {
                failures.push(Error::from(error).context(format_args!("release {container} ({ifname})")));
            }
        }
    }
    let Some(first) = failures.first().map(|error| error.code) else { return Ok(()) };
    let all: Vec<String> = failures.into_iter().map(|error| error.msg).collect();
    Err(Error::new(first, all.join("; ")))
}

#[cfg(test)]
mod tests;

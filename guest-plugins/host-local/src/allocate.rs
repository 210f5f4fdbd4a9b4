//! Giving addresses out: what was requested, else the next free one after the last that was given.

use std::net::IpAddr;

use wharf_sdk::leases::Pool;
use wharf_sdk::{Error, IpConfig, IpNetwork, Owner, Result, code};

use crate::range::RangeSet;

/// One address of each set. What was reserved before an error, the host gives back.
pub(crate) fn allocate(
    pool: &Pool,
    sets: &[RangeSet],
    requested: &[IpAddr],
    owner: &Owner,
) -> Result<Vec<IpConfig>> {
    let held = pool.find(owner)?;
    if let Some(address) = held.into_iter().find(|address| sets.iter().any(|set| set.contains(*address))) {
        let Owner { container, ifname } = owner;
        let msg = format!(
            "{address} has been allocated to {container} ({ifname}), duplicate allocation is not allowed"
        );
        return Err(Error::new(code::DUPLICATE, msg));
    }
    let mut open = requested.to_vec();
    let mut ips = Vec::with_capacity(sets.len());
    for (number, set) in (0_u32..).zip(sets) {
        let address = match open.iter().position(|address| set.contains(*address)) {
            Some(index) => take_requested(pool, number, set, open.remove(index), owner)?,
            None => take_next(pool, number, set, owner)?,
        };
        let Some(range) = set.range_of(address) else {
            let msg = format!("the host answered {address}, which is not in range set {set}");
            return Err(Error::new(code::INTERNAL, msg));
        };
        let address = IpNetwork::new(address, range.subnet.prefix())
            .map_err(|error| Error::plugin(format!("{address}: {error}")))?;
        ips.push(IpConfig::new(address).with_gateway(range.gateway));
    }
    if open.is_empty() {
        return Ok(ips);
    }
    let left: Vec<String> = open.iter().map(ToString::to_string).collect();
    let sets: Vec<String> = sets.iter().map(ToString::to_string).collect();
    let msg = format!("failed to allocate all requested IPs: {}", left.join(", "));
    Err(Error::new(code::INVALID_CONFIG, msg)
        .with_details(format!("each of the range sets {} gives one address", sets.join(" and "))))
}

fn take_requested(
    pool: &Pool,
    number: u32,
    set: &RangeSet,
    address: IpAddr,
    owner: &Owner,
) -> Result<IpAddr> {
    let failed =
        |code, reason| Err(Error::new(code, format!("failed to allocate for range {number}: {reason}")));
    if set.gateways().contains(&address) {
        return failed(code::INVALID_CONFIG, format!("requested ip {address} is subnet's gateway"));
    }
    if !pool.try_reserve(address, owner)? {
        let reason = format!("requested IP address {address} is not available in range set {set}");
        return failed(code::EXHAUSTED, reason);
    }
    pool.set_last_reserved(number, address)?;
    Ok(address)
}

/// Round robin: from behind the cursor to the end of its range, through the ranges after it and those before it, and
/// up to the cursor again. A cursor that is in no range of the set (any more) counts for nothing.
fn take_next(pool: &Pool, number: u32, set: &RangeSet, owner: &Owner) -> Result<IpAddr> {
    let skip = set.gateways();
    let cursor = pool.last_reserved(number)?;
    let ranges = set.ranges();
    let start = cursor.and_then(|at| Some((at, ranges.iter().position(|range| range.contains(at))?)));

    let mut pieces: Vec<(IpAddr, IpAddr, Option<IpAddr>)> = Vec::with_capacity(ranges.len() + 1);
    let whole = |range: &crate::range::Range| (range.first, range.last, None);
    match start {
        None => pieces.extend(ranges.iter().map(whole)),
        Some((at, index)) => {
            let (before, from) = ranges.split_at(index);
            pieces.extend(from.first().map(|range| (range.first, range.last, Some(at))));
            pieces.extend(from.iter().skip(1).chain(before).map(whole));
            pieces.extend(from.first().map(|range| (range.first, at, None)));
        }
    }
    // Where nothing is free, asking again takes over what a lease of an earlier boot has.
    for (first, last, after) in pieces.iter().chain(&pieces) {
        if let Some(address) = pool.reserve_next(*first, *last, *after, &skip, owner)? {
            pool.set_last_reserved(number, address)?;
            return Ok(address);
        }
    }
    let msg = format!("failed to allocate for range {number}: no IP addresses available in range set: {set}");
    Err(Error::new(code::EXHAUSTED, msg))
}

#[cfg(test)]
pub(crate) mod tests;

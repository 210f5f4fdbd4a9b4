//! `neighbours`: permanent entries of the ARP and NDP tables.

use std::net::{IpAddr, Ipv4Addr};

use wharf_kernel::common::{describe, refused};
use wharf_ops::neighbours::{Neighbour, NeighbourOp};
use wharf_ops::{Error, Link, Mac, Reply};

use crate::call::Call;
use crate::device::Kind;

/// Carries out one operation.
pub(crate) fn apply(call: &mut Call<'_>, op: &NeighbourOp) -> Result<Reply, Error> {
    match op {
        NeighbourOp::Set { on, address, mac } => set(call, on, *address, *mac),
        NeighbourOp::Remove { on, address } => {
            if !call.has(on.ns) {
                return Ok(Reply::Done);
            }
            let at = call.place_if_there(on)?;
            if let Some(device) = at.and_then(|at| call.world.device_mut(at)) {
                device.neighbours.remove(address);
            }
            Ok(Reply::Done)
        }
        NeighbourOp::GetAll { on } => {
            // The kernel filters by a number, whether there is such a device or not.
            let at = call.place(on)?;
            let known = call.world.device(at).into_iter().flat_map(|device| &device.neighbours);
            let told =
                known.map(|(address, mac)| Neighbour { address: *address, mac: Some(*mac), permanent: true });
            Ok(Reply::Neighbours(told.collect()))
        }
    }
}

fn set(call: &mut Call<'_>, on: &Link, address: IpAddr, mac: Mac) -> Result<Reply, Error> {
    let at = call.place(on)?;
    let what = || format!("setting the neighbour {address} at {mac} on {}", describe(on));
    let device = call.device(at, what)?;
    let speaks = if address.is_ipv4() { device.conf4.is_some() } else { device.has_ipv6() };
    if !speaks {
        return Err(refused(libc::EINVAL, None, what()));
    }
    if let Some(device) = call.world.device_mut(at) {
        // On the loopback everybody is the same neighbour.
        let everybody = address.is_ipv4() && device.kind == Kind::Loopback;
        let address = if everybody { Ipv4Addr::UNSPECIFIED.into() } else { address };
        device.neighbours.insert(address, mac);
    }
    Ok(Reply::Done)
}

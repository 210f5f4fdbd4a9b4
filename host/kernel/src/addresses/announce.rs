//! Gratuitous ARP and unsolicited neighbour advertisements, sent by the kernel itself.
//!
//! With `arp_notify` and `ndisc_notify` on, setting a link's hardware address makes the kernel announce every address
//! of the link, also if the hardware address is the one it has. A packet socket could do it too, but closing one
//! waits for an RCU grace period: milliseconds on the path of every ADD.

use std::net::IpAddr;

use ipnetwork::IpNetwork;
use netlink_packet_route::AddressFamily;
use wharf_ops::{Error, ErrorKind, Link, Ns, Reply};

use super::list;

use crate::links::{describe, set_same_mac, state};
use crate::real::RealKernel;
use crate::sysctl;

/// Announces the addresses of a link that is up.
pub(super) fn announce(kernel: &mut RealKernel, on: &Link) -> Result<Reply, Error> {
    let state = state(kernel, on)?;
    let name = &state.info.name;
    let Some(mac) = state.info.mac else {
        return Err(Error::invalid(format!("{} has no hardware address to announce", describe(on))));
    };
    // Nobody waits for the address that a link gives itself, and a bridge floods each announcement to every port.
    let index = state.info.index;
    let held = list(kernel.route(on.ns)?, index, AddressFamily::Inet6);
    let held = held.map_err(|error| error.explain(format!("listing the addresses of {}", describe(on))))?;
    let has_six = held.iter().any(|held| !is_link_local(held.address));
    let mut keys = vec![format!("ipv4/conf/{name}/arp_notify")];
    if has_six {
        keys.push(format!("ipv6/conf/{name}/ndisc_notify"));
    }
    let mut changed = Vec::with_capacity(keys.len());
    let mut result = keys.iter().try_for_each(|key| turn_on(kernel, on.ns, key, &mut changed));
    if result.is_ok() {
        result = set_same_mac(kernel, on, index, mac);
    }
    // Whatever came of it; the first failure is the one to tell.
    for key in changed {
        result = result.and(sysctl::write(kernel, on.ns, key, "0"));
    }
    result.map(|()| Reply::Done)
}

fn is_link_local(address: IpNetwork) -> bool {
    matches!(address.ip(), IpAddr::V6(address) if address.is_unicast_link_local())
}

/// Remembers what has to be turned off again. A kernel without the parameter has nothing to turn on.
fn turn_on<'a>(
    kernel: &mut RealKernel,
    ns: Ns,
    key: &'a str,
    changed: &mut Vec<&'a str>,
) -> Result<(), Error> {
    let written = match sysctl::read(kernel, ns, key) {
        Ok(value) if value != "0" => return Ok(()),
        Ok(_) => sysctl::write(kernel, ns, key, "1"),
        Err(error) => Err(error),
    };
    match written {
        Ok(()) => changed.push(key),
        Err(error) if error.kind == ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    Ok(())
}

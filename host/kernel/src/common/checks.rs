//! Arguments that cannot be.

use ipnetwork::IpNetwork;
use wharf_ops::Error;
use wharf_ops::bridge_ports::VlanRange;
use wharf_ops::routes::Route;

use super::describe_route;

/// IFNAMSIZ without its NUL.
const NAME: usize = 15;
/// The last number of a VLAN.
const HIGHEST: u16 = 4094;

/// Refuses what the kernel would refuse, and what it would take for a pattern: a name with `%d` in it is counted up.
pub fn check_name(name: &str) -> Result<(), Error> {
    let bad = |byte: u8| byte.is_ascii_whitespace() || byte.is_ascii_control() || b"/:%".contains(&byte);
    if name.is_empty() || name.len() > NAME || name == "." || name == ".." || name.bytes().any(bad) {
        return Err(Error::invalid(format!(
            "{name:?} cannot name a link: use 1 to 15 bytes without '/', ':', '%' and white space"
        )));
    }
    Ok(())
}

/// As [`check_name`], for a link that is to be made. The kernel answers an EINVAL that says nothing: each link has a folder
/// of parameters, and these two are there already.
pub fn check_new_name(name: &str) -> Result<(), Error> {
    check_name(name)?;
    if name == "all" || name == "default" {
        return Err(Error::invalid(format!(
            "{name:?} cannot name a link: /proc/sys/net/ipv4/conf/{name} stands for others. Choose another name"
        )));
    }
    Ok(())
}

/// Refuses what cannot name a guarded bridge port. As the kernel's own dev_valid_name: what it would not call a link need
/// not be guarded.
pub fn check_port_name(name: &str) -> Result<(), Error> {
    let odd =
        |byte: u8| byte == b'/' || byte == b':' || byte == 0 || byte.is_ascii_whitespace() || byte == 0x0b;
    if name.is_empty() || name.len() >= libc::IFNAMSIZ || [".", ".."].contains(&name) || name.bytes().any(odd)
    {
        return Err(Error::invalid(format!(
            "{name:?} cannot be the name of a bridge port: give 1 to 15 bytes without '/', ':' and white space"
        )));
    }
    Ok(())
}

/// Refuses VLANs that cannot be.
pub fn check_vlans(range: VlanRange) -> Result<(), Error> {
    if range.first == 0 || range.last > HIGHEST || range.first > range.last {
        let VlanRange { first, last, .. } = range;
        return Err(Error::invalid(format!(
            "{first} to {last} are no VLANs: write 1 to {HIGHEST}, the lower first"
        )));
    }
    if range.pvid && range.first != range.last {
        return Err(Error::invalid("a port has one VLAN for untagged frames: pvid goes with a single VLAN"));
    }
    Ok(())
}

/// Refuses routes that cannot be.
pub fn check_route(route: &Route) -> Result<(), Error> {
    let refuse = |why: String| Err(Error::invalid(format!("{} cannot be: {why}", describe_route(route))));
    if route.dst.network() != route.dst.ip() {
        return refuse(format!("{} has host bits, the network is {}", route.dst, network(route.dst)));
    }
    for (what, address) in [("gateway", route.gateway), ("source", route.source)] {
        if let Some(address) = address.filter(|address| address.is_ipv4() != route.dst.is_ipv4()) {
            return refuse(format!("the {what} {address} is of another family than the destination"));
        }
    }
    Ok(())
}

fn network(dst: IpNetwork) -> String {
    format!("{}/{}", dst.network(), dst.prefix())
}

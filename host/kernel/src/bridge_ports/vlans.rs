//! Which VLANs may pass a port. Encoded as iproute2's `bridge vlan` does.

use wharf_ops::bridge_ports::VlanRange;
use wharf_ops::{Error, Link, Reply};

use super::{AF_BRIDGE, explain, header};
use crate::common::{check_vlans as check, describe_vlans as words};
use crate::links::{LINK_HEADER, describe, index};
use crate::netlink::{Builder, Message};
use crate::real::RealKernel;

/// IFLA_BRIDGE_VLAN_INFO inside IFLA_AF_SPEC: struct bridge_vlan_info, flags and number.
const VLAN_INFO: u16 = 2;
const PVID: u16 = 0x2;
const UNTAGGED: u16 = 0x4;
const RANGE_BEGIN: u16 = 0x8;
const RANGE_END: u16 = 0x10;
/// RTEXT_FILTER_BRVLAN_COMPRESSED: runs of VLANs as runs.
const COMPRESSED: u32 = 0x4;

pub(super) fn add(kernel: &mut RealKernel, port: &Link, range: VlanRange) -> Result<Reply, Error> {
    check(range)?;
    let index = index(kernel, port)?;
    let result = kernel.route(port.ns)?.request(libc::RTM_SETLINK, 0, |body| encode(body, index, range));
    match result {
        Ok(()) => Ok(Reply::Done),
        Err(error) => Err(explain(kernel, port, error, &format!("letting VLAN {} pass", words(range)))),
    }
}

pub(super) fn remove(kernel: &mut RealKernel, port: &Link, range: VlanRange) -> Result<Reply, Error> {
    check(range)?;
    if !kernel.has(port.ns) {
        return Ok(Reply::Done);
    }
    let index = index(kernel, port)?;
    let range = VlanRange { pvid: false, untagged: false, ..range };
    let result = kernel.route(port.ns)?.request(libc::RTM_DELLINK, 0, |body| encode(body, index, range));
    match result {
        Err(error) if !matches!(error.errno(), Some(libc::ENOENT | libc::ENODEV)) => {
            Err(explain(kernel, port, error, &format!("stopping VLAN {} at", words(range))))
        }
        _ => Ok(Reply::Done),
    }
}

pub(super) fn get(kernel: &mut RealKernel, port: &Link) -> Result<Reply, Error> {
    let index = index(kernel, port)?;
    let found = kernel.route(port.ns)?.dump(
        libc::RTM_GETLINK,
        |body| {
            header(body, 0).u32(libc::IFLA_EXT_MASK, COMPRESSED);
        },
        |message| read(message, index),
    );
    let found = found.map_err(|error| error.explain(format!("listing the VLANs of {}", describe(port))))?;
    Ok(Reply::Vlans(found.into_iter().flatten().collect()))
}

fn encode(body: &mut Builder, index: u32, range: VlanRange) {
    let flags = if range.pvid { PVID } else { 0 } | if range.untagged { UNTAGGED } else { 0 };
    header(body, index).nested_plain(libc::IFLA_AF_SPEC, |spec| {
        let mut info = |flags: u16, vlan: u16| {
            let ([a, b], [c, d]) = (flags.to_ne_bytes(), vlan.to_ne_bytes());
            spec.attribute(VLAN_INFO, &[a, b, c, d]);
        };
        if range.first == range.last {
            info(flags, range.first);
        } else {
            info(flags | RANGE_BEGIN, range.first);
            info(flags | RANGE_END, range.last);
        }
    });
}

/// The VLANs of one port; none for another link.
fn read(message: &Message<'_>, index: u32) -> Option<Vec<VlanRange>> {
    let [family, ..] = message.bytes::<4>(0)?;
    if message.kind != libc::RTM_NEWLINK
        || family != AF_BRIDGE
        || u32::from_ne_bytes(message.bytes(4)?) != index
    {
        return None;
    }
    let mut ranges: Vec<VlanRange> = Vec::new();
    let mut begun = false;
    for attribute in message.attributes(LINK_HEADER).find(libc::IFLA_AF_SPEC)?.nested() {
        let (VLAN_INFO, Some([a, b, c, d])) = (attribute.kind, attribute.value.first_chunk()) else {
            continue;
        };
        let (flags, vlan) = (u16::from_ne_bytes([*a, *b]), u16::from_ne_bytes([*c, *d]));
        match ranges.last_mut() {
            Some(open) if begun && flags & RANGE_END != 0 => open.last = vlan,
            _ => ranges.push(VlanRange {
                first: vlan,
                last: vlan,
                pvid: flags & PVID != 0,
                untagged: flags & UNTAGGED != 0,
            }),
        }
        begun = flags & RANGE_BEGIN != 0;
    }
    Some(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(first: u16, last: u16, pvid: bool, untagged: bool) -> VlanRange {
        VlanRange { first, last, pvid, untagged }
    }

    fn hex(range: VlanRange) -> String {
        let mut body = Builder::default();
        encode(&mut body, 0x11, range);
        body.bytes().iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn the_bytes_are_those_of_iproute2() {
        // bridge vlan add dev #17 vid 10
        assert_eq!(
            hex(range(10, 10, false, false)),
            "070000001100000000000000000000000c001a000800020000000a00"
        );
        // bridge vlan add dev #17 vid 10 pvid untagged
        assert_eq!(
            hex(range(10, 10, true, true)),
            "070000001100000000000000000000000c001a000800020006000a00"
        );
        // bridge vlan add dev #17 vid 10-20 untagged
        let wanted = "0700000011000000000000000000000014001a00080002000c000a000800020014001400";
        assert_eq!(hex(range(10, 20, false, true)), wanted);
    }

    #[test]
    fn what_the_kernel_lists_is_read_with_runs_as_runs() {
        let mut body = Builder::default();
        header(&mut body, 5).nested(libc::IFLA_AF_SPEC, |spec| {
            for (flags, vlan) in
                [(PVID | UNTAGGED, 1_u16), (RANGE_BEGIN, 10), (RANGE_END, 20), (UNTAGGED, 30)]
            {
                let (flags, vlan) = (flags.to_ne_bytes(), vlan.to_ne_bytes());
                spec.attribute(VLAN_INFO, &[flags, vlan].concat());
            }
            spec.attribute(VLAN_INFO, &[1]);
        });
        let message = Message { kind: libc::RTM_NEWLINK, flags: 0, sequence: 0, payload: body.bytes() };
        let wanted = vec![range(1, 1, true, true), range(10, 20, false, false), range(30, 30, false, true)];
        assert_eq!(read(&message, 5), Some(wanted));
        assert_eq!(read(&message, 6), None);
    }

    #[test]
    fn impossible_ranges_are_refused() {
        for bad in [range(0, 1, false, false), range(1, 4095, false, false), range(3, 2, false, false)] {
            assert!(check(bad).unwrap_err().message.contains("are no VLANs"), "{bad:?}");
        }
        assert!(check(range(1, 2, true, false)).unwrap_err().message.contains("pvid"));
        assert!(check(range(1, 4094, false, true)).is_ok());
    }
}

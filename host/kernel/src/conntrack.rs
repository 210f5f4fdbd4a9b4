//! `conntrack`: forgets flows to a host port, so that the next packet meets the rules of now.

use wharf_ops::conntrack::{ConntrackOp, Family};
use wharf_ops::{Error, Reply};

use crate::netlink::{Builder, NetlinkError, Socket};
use crate::real::RealKernel;

/// NFNL_SUBSYS_CTNETLINK with IPCTNL_MSG_CT_GET and IPCTNL_MSG_CT_DELETE.
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;
const HEADER: usize = 4;
const TUPLE_ORIG: u16 = 1;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
/// Inside a tuple, and inside its protocol part.
const TUPLE_PROTO: u16 = 2;
const PROTO_NUM: u16 = 1;
const PROTO_DST_PORT: u16 = 3;
/// CTA_FILTER_ORIG_FLAGS, and what of the original tuple is compared.
const ORIG_FLAGS: u16 = 1;
const BY_PROTO_NUM: u32 = 1 << 3;
const BY_DST_PORT: u32 = 1 << 5;
const UDP: u8 = 17;

pub(crate) fn apply(kernel: &mut RealKernel, op: &ConntrackOp) -> Result<Reply, Error> {
    match op {
        ConntrackOp::FlushUdp { family, port } => {
            flush_udp(kernel.netfilter()?, *family, *port).map(Reply::Count)
        }
    }
}

/// None where the kernel does not tell, or tracks nothing.
fn flush_udp(socket: &mut Socket, family: Family, port: u16) -> Result<Option<u32>, Error> {
    let what = || format!("forgetting the UDP flows to port {port}");
    match delete_filtered(socket, family, port) {
        Ok(()) => return Ok(None),
        Err(error) => match error.errno() {
            Some(libc::ENOENT) => return Ok(Some(0)),
            // Linux before 6.8 deletes by whole tuples only.
            Some(libc::EINVAL | libc::EOPNOTSUPP | libc::ERANGE) => {}
            _ => return Err(error.explain(what())),
        },
    }
    match delete_one_by_one(socket, family, port) {
        Ok(count) => Ok(Some(count)),
        // No connection tracking in this kernel: there is nothing to forget.
        Err(error) if matches!(error.errno(), Some(libc::EINVAL | libc::EOPNOTSUPP)) => Ok(None),
        Err(error) => Err(error.explain(what())),
    }
}

fn number(family: Family) -> u8 {
    match family {
        Family::Ipv4 => 2,
        Family::Ipv6 => 10,
    }
}

/// The tuple must always be there: a request with neither tuple nor mark deletes everything.
fn put_filter(b: &mut Builder, family: Family, port: u16) {
    b.raw(&[number(family), 0, 0, 0]);
    b.nested(TUPLE_ORIG, |b| {
        b.nested(TUPLE_PROTO, |b| {
            b.u8(PROTO_NUM, UDP).be16(PROTO_DST_PORT, port);
        });
    });
    b.nested(FILTER, |b| {
        b.u32(ORIG_FLAGS, BY_PROTO_NUM | BY_DST_PORT);
    });
}

fn delete_filtered(socket: &mut Socket, family: Family, port: u16) -> Result<(), NetlinkError> {
    socket.request(DELETE, 0, |b| put_filter(b, family, port))
}

fn delete_one_by_one(socket: &mut Socket, family: Family, port: u16) -> Result<u32, NetlinkError> {
    let whole = |b: &mut Builder| {
        b.raw(&[number(family), 0, 0, 0]);
    };
    // Kernels before 5.8 know no filter and refuse it: then everything is looked at.
    let flows = match socket.dump(GET, |b| put_filter(b, family, port), |message| read(message.payload, port))
    {
        Err(error) if error.errno() == Some(libc::EINVAL) => {
            socket.dump(GET, whole, |message| read(message.payload, port))?
        }
        other => other?,
    };
    let mut count = 0;
    for flow in flows {
        let deleted = socket.request(DELETE, 0, |b| {
            whole(b);
            b.nested(TUPLE_ORIG, |b| {
                b.raw(&flow.tuple);
            });
            b.attribute(ID, &flow.id);
            if let Some(zone) = &flow.zone {
                b.attribute(ZONE, zone);
            }
        });
        match deleted {
            Ok(()) => count += 1,
            // It ended meanwhile.
            Err(error) if error.errno() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// A flow by what deletes it and nothing else.
struct Flow {
    tuple: Vec<u8>,
    id: Vec<u8>,
    zone: Option<Vec<u8>>,
}

/// The flow in an answer, if it is one of UDP to that port.
fn read(payload: &[u8], port: u16) -> Option<Flow> {
    let attributes = crate::netlink::Attributes::behind(HEADER, payload);
    let tuple = attributes.find(TUPLE_ORIG)?;
    let protocol = tuple.nested().find(TUPLE_PROTO)?.nested();
    let wanted = protocol.find(PROTO_NUM)?.u8()? == UDP && protocol.find(PROTO_DST_PORT)?.be16()? == port;
    wanted.then_some(Flow {
        tuple: tuple.value.to_vec(),
        id: attributes.find(ID)?.value.to_vec(),
        zone: attributes.find(ZONE).map(|zone| zone.value.to_vec()),
    })
}

#[cfg(test)]
mod tests;

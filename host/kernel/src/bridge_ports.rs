//! `wharf:net/bridge-ports`: links as ports of a bridge (IFLA_BRPORT_*) over rtnetlink.

mod vlans;

use wharf_ops::bridge_ports::{BridgePortOp, PortState};
use wharf_ops::{Error, ErrorKind, Link, Reply};

use crate::common::no_port;
use crate::links::{LINK_HEADER, Selector, describe, index, select, state};
use crate::netlink::{Builder, Message, NetlinkError};
use crate::real::RealKernel;

/// IFLA_BRPORT_MODE, which is hairpin mode.
const HAIRPIN: u16 = 4;
/// IFLA_BRPORT_ISOLATED.
const ISOLATED: u16 = 33;

/// Carries out one operation.
pub(crate) fn apply(kernel: &mut RealKernel, op: &BridgePortOp) -> Result<Reply, Error> {
    match op {
        BridgePortOp::Get { port } => get(kernel, port),
        BridgePortOp::SetHairpin { port, on } => set_flag(kernel, port, HAIRPIN, *on, "hairpin mode"),
        BridgePortOp::SetIsolated { port, on } => set_flag(kernel, port, ISOLATED, *on, "isolation"),
        BridgePortOp::AddVlan { port, range } => vlans::add(kernel, port, *range),
        BridgePortOp::RemoveVlan { port, range } => vlans::remove(kernel, port, *range),
        BridgePortOp::GetVlans { port } => vlans::get(kernel, port),
    }
}

fn get(kernel: &mut RealKernel, port: &Link) -> Result<Reply, Error> {
    let selector = Selector::of(port)?;
    let found = select(kernel.route(port.ns)?, selector, |message| Some(read(message)));
    match found.map_err(|error| error.explain(format!("reading {}", describe(port))))? {
        Some(Some(state)) => Ok(Reply::Port(state)),
        Some(None) => Err(no_port(port)),
        None => state(kernel, port).and(Err(no_port(port))),
    }
}

/// None if the link is no port of a bridge.
fn read(message: &Message<'_>) -> Option<PortState> {
    let info = message.attributes(LINK_HEADER).find(libc::IFLA_LINKINFO)?.nested();
    if info.find(libc::IFLA_INFO_SLAVE_KIND)?.text()? != "bridge" {
        return None;
    }
    let data = info.find(libc::IFLA_INFO_SLAVE_DATA)?.nested();
    let flag = |kind| data.find(kind).and_then(|flag| flag.u8()).is_some_and(|on| on != 0);
    Some(PortState { hairpin: flag(HAIRPIN), isolated: flag(ISOLATED) })
}

fn set_flag(kernel: &mut RealKernel, port: &Link, flag: u16, on: bool, name: &str) -> Result<Reply, Error> {
    let index = index(kernel, port)?;
    let result = kernel.route(port.ns)?.request(libc::RTM_SETLINK, 0, |body| {
        header(body, index).nested(libc::IFLA_PROTINFO, |info| {
            info.u8(flag, on.into());
        });
    });
    match result {
        Ok(()) => Ok(Reply::Done),
        Err(error) => Err(explain(kernel, port, error, &format!("setting {name} of"))),
    }
}

/// A struct ifinfomsg that speaks to the bridge.
fn header(body: &mut Builder, index: u32) -> &mut Builder {
    let [a, b, c, d] = index.to_ne_bytes();
    body.raw(&[AF_BRIDGE, 0, 0, 0, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 0])
}

const AF_BRIDGE: u8 = 7;

/// The kernel says EOPNOTSUPP both when it cannot and when the link is no port.
fn explain(kernel: &mut RealKernel, port: &Link, error: NetlinkError, what: &str) -> Error {
    let error = error.explain(format!("{what} {}", describe(port)));
    let ambiguous = matches!(error.kind, ErrorKind::Unsupported | ErrorKind::Invalid);
    if ambiguous && state(kernel, port).is_ok_and(|state| state.info.master.is_none()) {
        return Error { errno: error.errno, ..no_port(port) };
    }
    error
}

#[cfg(test)]
mod tests;

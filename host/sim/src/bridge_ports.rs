//! `bridge-ports`: a link as the port of a bridge.

mod vlans;

use wharf_kernel::common::{check_vlans, describe, describe_vlans, no_port, refused};
use wharf_ops::bridge_ports::{BridgePortOp, PortState, VlanRange};
use wharf_ops::{Error, Link, Reply};

use crate::call::Call;
use crate::device::Kind;
use crate::world::At;

pub(crate) use vlans::Vlans;

/// Carries out one operation.
pub(crate) fn apply(call: &mut Call<'_>, op: &BridgePortOp) -> Result<Reply, Error> {
    match op {
        BridgePortOp::Get { port } => {
            let (_, device) = call.read(port)?;
            device.master.map(|_| Reply::Port(device.port)).ok_or_else(|| no_port(port))
        }
        BridgePortOp::SetHairpin { port, on } => {
            set_flag(call, port, "hairpin mode", |state| state.hairpin = *on)
        }
        BridgePortOp::SetIsolated { port, on } => {
            set_flag(call, port, "isolation", |state| state.isolated = *on)
        }
        BridgePortOp::AddVlan { port, range } => add_vlan(call, port, *range),
        BridgePortOp::RemoveVlan { port, range } => remove_vlan(call, port, *range),
        BridgePortOp::GetVlans { port } => {
            let at = call.place(port)?;
            let what = || format!("listing the VLANs of {}", describe(port));
            supported(call, what)?;
            Ok(Reply::Vlans(call.world.device(at).map(|device| device.vlans.ranges()).unwrap_or_default()))
        }
    }
}

fn set_flag(
    call: &mut Call<'_>,
    port: &Link,
    name: &str,
    set: impl FnOnce(&mut PortState),
) -> Result<Reply, Error> {
    let at = port_at(call, port, &format!("setting {name} of"))?;
    if let Some(device) = call.world.device_mut(at) {
        set(&mut device.port);
    }
    Ok(Reply::Done)
}

/// Where a port is. The kernel says EOPNOTSUPP of a link that is none.
fn port_at(call: &Call<'_>, port: &Link, what: &str) -> Result<At, Error> {
    let at = call.place(port)?;
    let device = call.device(at, || format!("{what} {}", describe(port)))?;
    match device.master {
        Some(_) => Ok(at),
        None => Err(Error { errno: Some(libc::EOPNOTSUPP), ..no_port(port) }),
    }
}

fn add_vlan(call: &mut Call<'_>, port: &Link, range: VlanRange) -> Result<Reply, Error> {
    check_vlans(range)?;
    let what = format!("letting VLAN {} pass", describe_vlans(range));
    let at = vlan_place(call, port, &what)?;
    supported(call, || format!("{what} {}", describe(port)))?;
    if let Some(device) = call.world.device_mut(at) {
        device.vlans.add(range);
    }
    Ok(Reply::Done)
}

fn remove_vlan(call: &mut Call<'_>, port: &Link, range: VlanRange) -> Result<Reply, Error> {
    check_vlans(range)?;
    if !call.has(port.ns) {
        return Ok(Reply::Done);
    }
    let at = call.place(port)?;
    if call.world.device(at).is_none() {
        return Ok(Reply::Done);
    }
    let what = format!("stopping VLAN {} at", describe_vlans(range));
    let at = vlan_place(call, port, &what)?;
    supported(call, || format!("{what} {}", describe(port)))?;
    if let Some(device) = call.world.device_mut(at) {
        device.vlans.remove(range);
    }
    Ok(Reply::Done)
}

/// A port, or a bridge itself.
fn vlan_place(call: &Call<'_>, port: &Link, what: &str) -> Result<At, Error> {
    let at = call.place(port)?;
    let is_bridge = matches!(call.world.device(at).map(|device| &device.kind), Some(Kind::Bridge { .. }));
    if is_bridge { Ok(at) } else { port_at(call, port, what) }
}

fn supported(call: &Call<'_>, what: impl FnOnce() -> String) -> Result<(), Error> {
    if call.world.features.vlan_filtering {
        return Ok(());
    }
    Err(refused(libc::EOPNOTSUPP, None, what()))
}

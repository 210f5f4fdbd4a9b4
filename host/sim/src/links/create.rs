//! New links.

use wharf_kernel::common::{check_new_name, place, refused};
use wharf_ops::links::{Common, VethEnd};
use wharf_ops::{Error, ErrorKind, Link, Mac, Ns, Reply};

use super::{check_mtu, explain_mac, is_usable};
use crate::call::Call;
use crate::device::{Device, Kind};
use crate::world::{At, World};

pub(super) fn veth(call: &mut Call<'_>, a: &VethEnd, b: &VethEnd) -> Result<Reply, Error> {
    check_new_name(&a.name)?;
    check_new_name(&b.name)?;
    let there = if a.ns == b.ns { None } else { Some(call.space(b.ns)?) };
    let here = call.space(a.ns)?;
    let there = there.unwrap_or(here);
    let what = || {
        format!("creating the veth pair of {} in {} and {} in {}", a.name, place(a.ns), b.name, place(b.ns))
    };
    let (lowest, highest) = (68, 65535);
    let wrong = |mac: Mac| explain_mac(refused(libc::EADDRNOTAVAIL, None, what()), mac);
    let impossible = |text| refused(libc::EINVAL, text, what());
    let out_of_range = |mtu: &u32| check_mtu(*mtu, lowest, highest).is_err();
    // In the kernel's order: this end as a message, its name, then the other end.
    if let Some(mac) = a.mac.filter(|mac| !is_usable(*mac)) {
        return Err(wrong(mac));
    }
    if a.mtu.as_ref().is_some_and(out_of_range) {
        return Err(impossible(None));
    }
    if call.world.named(here, &a.name).is_some() {
        return Err(taken(call, a, b));
    }
    if let Some(mac) = b.mac.filter(|mac| !is_usable(*mac)) {
        return Err(wrong(mac));
    }
    if b.mtu.as_ref().is_some_and(out_of_range) {
        return Err(impossible(None));
    }
    if call.world.named(there, &b.name).is_some() {
        return Err(taken(call, a, b));
    }
    // The other end gets its index first.
    let peer = At { space: there, index: call.world.next_index(there) };
    if here == there && a.name == b.name {
        return Err(taken(call, a, b));
    }
    let own = At { space: here, index: call.world.next_index(here) };
    add(call.world, peer, &b.name, Kind::Veth { peer: own }, (b.mtu, b.mac));
    add(call.world, own, &a.name, Kind::Veth { peer }, (a.mtu, a.mac));
    Ok(Reply::Pair(
        Link { ns: a.ns, index: own.index, name: a.name.clone() },
        Link { ns: b.ns, index: peer.index, name: b.name.clone() },
    ))
}

/// The bridge of that name, new or not.
pub(super) fn bridge(
    call: &mut Call<'_>,
    ns: Ns,
    common: &Common,
    vlan_filtering: bool,
) -> Result<Reply, Error> {
    check_new_name(&common.name)?;
    let name = &common.name;
    let space = call.space(ns)?;
    if let Some(device) = call.world.named(space, name).and_then(|at| call.world.device(at)) {
        if let Kind::Bridge { .. } = device.kind {
            return Ok(Reply::Bridge(device.handle(ns), false));
        }
        let kind = Some(device.kind.name()).filter(|kind| !kind.is_empty());
        let kind = kind.unwrap_or("a device without a kind");
        let message = format!(
            "{name} in {} is there already, and is no bridge but {kind}: use another name",
            place(ns)
        );
        return Err(Error::new(ErrorKind::Conflict, message));
    }
    let what = || format!("creating bridge {name} in {}", place(ns));
    if vlan_filtering && !call.world.features.vlan_filtering {
        let mut error = refused(libc::EOPNOTSUPP, None, what());
        error.message += "; this kernel has no BRIDGE_VLAN_FILTERING";
        return Err(error);
    }
    check(common, (68, 65535), what)?;
    let at = At { space, index: call.world.next_index(space) };
    let kind = Kind::Bridge { vlan_filtering, looked: common.mac.is_some() };
    add(call.world, at, name, kind, (common.mtu, common.mac));
    Ok(Reply::Bridge(Link { ns, index: at.index, name: name.clone() }, true))
}

/// An intermediate functional block.
pub(super) fn ifb(call: &mut Call<'_>, ns: Ns, common: &Common) -> Result<Reply, Error> {
    check_new_name(&common.name)?;
    let name = &common.name;
    let space = call.space(ns)?;
    let what = || format!("creating ifb {name} in {}", place(ns));
    if let Some(mac) = common.mac.filter(|mac| !is_usable(*mac)) {
        return Err(explain_mac(refused(libc::EADDRNOTAVAIL, None, what()), mac));
    }
    if call.world.named(space, name).is_some() {
        return Err(refused(libc::EEXIST, None, what()));
    }
    check(common, Kind::Ifb.mtus(), what)?;
    let at = At { space, index: call.world.next_index(space) };
    add(call.world, at, name, Kind::Ifb, (common.mtu, common.mac));
    // Nobody talks to it.
    if let Some(conf) = call.world.device_mut(at).and_then(|device| device.conf6.as_mut()) {
        conf.set("addr_gen_mode", 1);
    }
    Ok(Reply::Link(Link { ns, index: at.index, name: name.clone() }))
}

fn check(common: &Common, (lowest, highest): (u32, u32), what: impl Fn() -> String) -> Result<(), Error> {
    if let Some(mac) = common.mac.filter(|mac| !is_usable(*mac)) {
        return Err(explain_mac(refused(libc::EADDRNOTAVAIL, None, what()), mac));
    }
    let mtu = common.mtu.map_or(Ok(()), |mtu| check_mtu(mtu, lowest, highest));
    mtu.map_err(|text| refused(libc::EINVAL, Some(text), what()))
}

/// Puts a device in its place, with what was asked of it.
pub(crate) fn add(world: &mut World, at: At, name: &str, kind: Kind, asked: (Option<u32>, Option<Mac>)) {
    let (mtu, mac) = asked;
    let made_up = world.random_mac();
    let Some(space) = world.space_mut(at.space) else { return };
    let mut device = Device::new(at.index, name, kind, mac.unwrap_or(made_up), &space.sysctls);
    device.mac_is_set = mac.is_some();
    space.devices.insert(at.index, device);
    if let Some(mtu) = mtu {
        world.set_mtu(at, mtu);
        if let Some(device) = world.device_mut(at) {
            device.mtu_is_set = true;
        }
    }
}

/// Which of the two names is taken: the kernel does not say.
fn taken(call: &Call<'_>, a: &VethEnd, b: &VethEnd) -> Error {
    let mut names = Vec::new();
    for end in [a, b] {
        if call.space(end.ns).is_ok_and(|space| call.world.named(space, &end.name).is_some()) {
            names.push(format!("{} in {}", end.name, place(end.ns)));
        }
    }
    if a.ns == b.ns && a.name == b.name {
        names = vec![format!("{} for both ends in {}", a.name, place(a.ns))];
    }
    let what = format!("creating the veth pair of {} and {}", a.name, b.name);
    let mut error = refused(libc::EEXIST, None, what);
    if !names.is_empty() {
        error.message = format!("the name is taken: {} ({})", names.join(", "), error.message);
    }
    error
}

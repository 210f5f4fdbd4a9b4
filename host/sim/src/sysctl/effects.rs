//! What the kernel does when a parameter is written.

use super::known::{GLOBAL, Taken};
use crate::addresses::v6;
use crate::world::{At, Namespace, Space, World};

/// Sets a parameter that exists to a value that it takes.
pub(super) fn set(world: &mut World, space: Space, key: &str, taken: Taken) {
    let parts: Vec<&str> = key.split('/').collect();
    match (parts.as_slice(), taken) {
        (["ipv4", "conf", device, name], Taken::Number(value)) => ipv4(world, space, device, name, value),
        (["ipv6", "conf", device, name], Taken::Number(value)) => ipv6(world, space, device, name, value),
        (["ipv6", "conf", device, _], Taken::Text(secret)) => {
            if let Some(conf) = world.space_mut(space).and_then(|space| conf6(space, device)) {
                conf.set_secret(&secret);
                conf.set("addr_gen_mode", 2);
            }
        }
        (["ipv4", "ip_forward"], Taken::Number(value)) => ipv4(world, space, "all", "forwarding", value),
        (_, taken) => {
            let name = GLOBAL.iter().map(|(name, ..)| *name).find(|name| *name == key);
            if let (Some(space), Some(name)) = (world.space_mut(space), name) {
                space.sysctls.globals.insert(name, taken.to_string());
            }
        }
    }
}

fn ipv4(world: &mut World, space: Space, device: &str, name: &str, value: i64) {
    let Some(space) = world.space_mut(space) else { return };
    match (device, name) {
        // Forwarding for all is forwarding for each, and a router takes no redirects.
        ("all", "forwarding") => {
            let sysctls = &mut space.sysctls;
            sysctls.all4.write(name, value);
            sysctls.all4.set("accept_redirects", i64::from(value == 0));
            sysctls.default4.set(name, value);
            sysctls.globals.insert("ipv4/ip_forward", value.to_string());
            for device in space.devices.values_mut() {
                device.conf4.iter_mut().for_each(|conf| conf.set(name, value));
            }
        }
        ("all", _) => space.sysctls.all4.write(name, value),
        ("default", _) => {
            space.sysctls.default4.write(name, value);
            if name != "forwarding" {
                for device in space.devices.values_mut() {
                    device.conf4.iter_mut().for_each(|conf| conf.follow(name, value));
                }
            }
        }
        (device, _) => {
            let found = space.devices.values_mut().find(|found| found.name == device);
            found
                .into_iter()
                .filter_map(|found| found.conf4.as_mut())
                .for_each(|conf| conf.write(name, value));
        }
    }
}

fn conf6<'a>(space: &'a mut Namespace, device: &str) -> Option<&'a mut super::Conf> {
    match device {
        "all" => Some(&mut space.sysctls.all6),
        "default" => Some(&mut space.sysctls.default6),
        name => space.devices.values_mut().find(|found| found.name == name)?.conf6.as_mut(),
    }
}

/// Three parameters hold for each device when they are set for all.
fn ipv6(world: &mut World, at: Space, device: &str, name: &str, value: i64) {
    let Some(space) = world.space_mut(at) else { return };
    let spreads = device == "all" && ["forwarding", "disable_ipv6", "addr_gen_mode"].contains(&name);
    let mut changed = Vec::new();
    for found in space.devices.values_mut().filter(|found| spreads || found.name == device) {
        let Some(conf) = found.conf6.as_mut() else { continue };
        changed.push((found.index, conf.get(name)));
        conf.set(name, value);
    }
    match device {
        "all" => space.sysctls.all6.set(name, value),
        "default" => space.sysctls.default6.set(name, value),
        _ => {}
    }
    if spreads {
        space.sysctls.default6.set(name, value);
    }
    for (index, before) in changed {
        let at = At { space: at, index };
        match name {
            "disable_ipv6" if (before != 0) != (value != 0) => v6::disabled(world, at, value != 0),
            "addr_gen_mode" if before != value => v6::make_link_local(world, at),
            _ => {}
        }
    }
}

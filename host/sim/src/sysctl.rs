//! `sysctl`: parameters below /proc/sys/net, and what follows when one is written.

mod conf;
mod effects;
mod known;

use std::collections::BTreeMap;

use wharf_kernel::common::{SysctlAccess as Access, check_sysctl, place, same_value, sysctl_failed};
use wharf_ops::sysctl::SysctlOp;
use wharf_ops::{Error, Ns, Reply};

use crate::call::Call;
use crate::world::{Namespace, Space, World};

pub(crate) use conf::{Conf, Sysctls};
use known::{GLOBAL, Rule};

/// Carries out one operation.
pub(crate) fn apply(call: &mut Call<'_>, op: &SysctlOp) -> Result<Reply, Error> {
    match op {
        SysctlOp::Read { ns, key } => {
            let space = call.space(*ns)?;
            check_sysctl(key)?;
            let failed = |errno| sysctl_failed(errno, Access::Read, *ns, key);
            let found = find(call.world, space, key).map_err(failed)?;
            match found.rule {
                Rule::Trigger => Err(failed(libc::EACCES)),
                Rule::Secret if found.value.is_empty() => {
                    let error = std::io::Error::from_raw_os_error(libc::EIO);
                    Err(Error::from_io(&error, what("reading", *ns, key)))
                }
                _ => Ok(Reply::Text(found.value)),
            }
        }
        SysctlOp::Write { ns, key, value } => {
            if value.contains('\0') {
                return Err(Error::invalid(format!("the value for {key} has a NUL in it")));
            }
            write(call, *ns, key, value).map(|()| Reply::Done)
        }
    }
}

fn what(doing: &str, ns: Ns, key: &str) -> String {
    format!("{doing} the sysctl net/{key} in {}", place(ns))
}

fn write(call: &mut Call<'_>, ns: Ns, key: &str, value: &str) -> Result<(), Error> {
    let space = call.space(ns)?;
    check_sysctl(key)?;
    let failed = |errno| sysctl_failed(errno, Access::Write, ns, key);
    let found = find(call.world, space, key).map_err(failed)?;
    let hidden = found.rule == Rule::Secret && found.value.is_empty();
    let readable = found.rule != Rule::Trigger && !hidden;
    if readable && same_value(&found.value, value) {
        return Ok(());
    }
    if found.rule == Rule::ReadOnly {
        return Err(failed(libc::EACCES));
    }
    let (taken, rest) = found.rule.parse(value).map_err(|errno| {
        let error = std::io::Error::from_raw_os_error(errno);
        Error::from_io(&error, what(&format!("writing {value:?} to"), ns, key))
    })?;
    if let Some(taken) = taken {
        effects::set(call.world, space, key, taken);
    }
    if rest {
        let what = what("writing", ns, key);
        return Err(Error::invalid(format!("{what}: the kernel took a part of the value only")));
    }
    Ok(())
}

/// A parameter as it is.
struct Found {
    value: String,
    rule: Rule,
}

/// The parameter of that path, or the errno with which it cannot be opened.
fn find(world: &World, space: Space, key: &str) -> Result<Found, i32> {
    let space = world.space(space).ok_or(libc::ENOENT)?;
    let parts: Vec<&str> = key.split('/').collect();
    if let [family @ ("ipv4" | "ipv6"), "conf", rest @ ..] = parts.as_slice() {
        let v4 = *family == "ipv4";
        let [device, rest @ ..] = rest else { return Err(libc::EISDIR) };
        let conf = match (*device, v4) {
            ("all", true) => Some(&space.sysctls.all4),
            ("default", true) => Some(&space.sysctls.default4),
            ("all", false) => Some(&space.sysctls.all6),
            ("default", false) => Some(&space.sysctls.default6),
            (name, _) => {
                let device = space.devices.values().find(|device| device.name == name);
                device.and_then(|device| if v4 { device.conf4.as_ref() } else { device.conf6.as_ref() })
            }
        };
        let conf = conf.ok_or(libc::ENOENT)?;
        return match rest {
            [] => Err(libc::EISDIR),
            [name] => conf.find(name).map(|(value, rule)| Found { value, rule }).ok_or(libc::ENOENT),
            [name, ..] => Err(if conf.find(name).is_some() { libc::ENOTDIR } else { libc::ENOENT }),
        };
    }
    global(&space.sysctls.globals, world, key)
}

fn global(set: &BTreeMap<&'static str, String>, world: &World, key: &str) -> Result<Found, i32> {
    let offered = |name: &str| world.features.bridge_netfilter || !name.starts_with("bridge/");
    for (name, value, rule) in GLOBAL.iter().filter(|(name, ..)| offered(name)) {
        if *name == key {
            let value = set.get(name).cloned().unwrap_or_else(|| (*value).to_owned());
            return Ok(Found { value, rule: bounded(set, name, *rule) });
        }
        if name.strip_prefix(key).is_some_and(|rest| rest.starts_with('/')) {
            return Err(libc::EISDIR);
        }
        if key.strip_prefix(name).is_some_and(|rest| rest.starts_with('/')) {
            return Err(libc::ENOTDIR);
        }
    }
    Err(libc::ENOENT)
}

/// Ports that only root may use end below those that are given to anybody.
fn bounded(set: &BTreeMap<&'static str, String>, name: &str, rule: Rule) -> Rule {
    let number = |name: &str, usual: i64| {
        let text = set.get(name).and_then(|text| text.split('\t').next());
        text.and_then(|text| text.parse().ok()).unwrap_or(usual)
    };
    match name {
        "ipv4/ip_unprivileged_port_start" => Rule::Range(0, number("ipv4/ip_local_port_range", 32768)),
        "ipv4/ip_local_port_range" => Rule::Ports { least: number("ipv4/ip_unprivileged_port_start", 1024) },
        _ => rule,
    }
}

impl Namespace {
    /// Every parameter that has not its usual value.
    pub(crate) fn unusual_sysctls(&self) -> Vec<(String, String)> {
        let sysctls = &self.sysctls;
        let mut all = Vec::new();
        let shared = [
            ("ipv4/conf/all", &sysctls.all4),
            ("ipv4/conf/default", &sysctls.default4),
            ("ipv6/conf/all", &sysctls.all6),
            ("ipv6/conf/default", &sysctls.default6),
        ];
        let own = self.devices.values().flat_map(|device| {
            let families = [("ipv4", &device.conf4), ("ipv6", &device.conf6)];
            let confs = families.into_iter().filter_map(|(family, conf)| Some((family, conf.as_ref()?)));
            confs.map(|(family, conf)| (format!("{family}/conf/{}", device.name), conf))
        });
        for (folder, conf) in shared.into_iter().map(|(folder, conf)| (folder.to_owned(), conf)).chain(own) {
            all.extend(conf.unusual().map(|(name, value)| (format!("{folder}/{name}"), value.to_string())));
        }
        let globals = GLOBAL.iter().filter_map(|(name, usual, _)| {
            let value = sysctls.globals.get(name).filter(|value| value != usual)?;
            Some(((*name).to_owned(), value.clone()))
        });
        all.extend(globals);
        all
    }
}

impl World {
    /// The number that a parameter is set to.
    pub(crate) fn sysctl(&self, space: Space, key: &str) -> i64 {
        find(self, space, key).ok().and_then(|found| found.value.parse().ok()).unwrap_or_default()
    }
}

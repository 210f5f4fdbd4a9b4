//! The network configuration lists: every plugin is found, every guest is installed, addresses do not collide, and each
//! network says that it is ready.

use std::fs;
use std::path::{Path, PathBuf};

use wharf_broker::guests::{self, StoreError};
use wharf_cni::Version;

use super::{Findings, Node, policies};
use crate::lists::{self, List, OWN, Plugin, pools};
use crate::{lint, status};

/// Plugins that do nothing without what the runtime tells them, and the capability that lets it tell.
const CAPABILITIES: [(&str, &str); 2] = [("portmap", "portMappings"), ("bandwidth", "bandwidth")];

pub(super) fn check(node: &Node<'_>, findings: &mut Findings) {
    if node.lists.is_empty() {
        let cure = "write one: `wharfctl conflist --pod-cidr CIDR --write FILE`";
        findings.warning(node.conf_dir.display(), "there is no network configuration list", cure);
    }
    let mut names: Vec<(&str, &Path)> = Vec::new();
    for file in &node.lists {
        let place = file.path.display();
        let list = match &file.list {
            Ok(list) => list,
            Err(reason) => {
                findings.error(place, reason, "correct the file: a runtime may load no list at all");
                continue;
            }
        };
        let name = list.network.name.as_str();
        if let Some((_, other)) = names.iter().find(|(known, _)| *known == name) {
            let what = format!("its network {name:?} is also that of {}", other.display());
            findings.warning(&place, what, "give each network a name of its own: leases and rules carry it");
        }
        names.push((name, &file.path));
        one(node, &file.path, list, findings);
    }
    overlaps(node, findings);
}

fn one(node: &Node<'_>, file: &Path, list: &List, findings: &mut Findings) {
    let mut resolved = true;
    let mut own = false;
    for plugin in &list.plugins {
        let place = format!("{}: {}", file.display(), plugin.place);
        match served(node, plugin) {
            Ok(by_wharf) => own |= by_wharf,
            Err((what, cure)) => {
                resolved = false;
                findings.error(&place, what, cure);
            }
        }
        policies::asked(node, &file.display().to_string(), plugin, findings);
    }
    let place = file.display();
    capabilities(&place.to_string(), list, findings);
    if resolved && !own {
        return findings.ok(place, format!("network {}; no plugin of it is Wharf's", list.network.name));
    }
    let before = findings.errors();
    lint::judge(node.paths, &place.to_string(), list, lists::is_list(file), findings);
    let sound = findings.errors() == before;
    if !resolved {
        return;
    }
    if list.network.cni_version > Version::V1_0_0 {
        let what = format!("cniVersion {}: containerd before 2.0 refuses it", list.network.cni_version);
        findings.note(&place, what, "1.0.0 for those");
    }
    match status::ask(node, list) {
        // What it says of itself is no comfort where ADDs fail.
        Ok(()) if !sound => {}
        Ok(()) => findings.ok(
            place,
            format!("network {}: every plugin is found, and says that it is ready", list.network.name),
        ),
        Err(refusal) => findings.error(
            format!("{place}: {}", refusal.place),
            format!("STATUS: {}", refusal.reason),
            "do what the message says",
        ),
    }
}

/// Plugins that would never be told what to do.
pub(crate) fn capabilities(file: &str, list: &List, findings: &mut Findings) {
    for plugin in &list.plugins {
        for (kind, capability) in CAPABILITIES.iter().filter(|(kind, _)| *kind == plugin.kind) {
            let own = plugin.raw.keys().any(|key| key.ends_with("Rate"));
            if !own && !enabled(list, plugin, capability) {
                let what = format!(
                    "{kind} without \"capabilities\": {{{capability:?}: true}} is never told anything"
                );
                findings.warning(format!("{file}: {}", plugin.place), what, "add it");
            }
        }
    }
}

/// Whether the runtime may tell the plugin: in a chain, the outer object has to ask for it.
fn enabled(list: &List, plugin: &Plugin, capability: &str) -> bool {
    let of = |plugin: &Plugin| {
        let value = plugin.raw.get("capabilities").and_then(|all| all.get(capability));
        value.and_then(serde_json::Value::as_bool)
    };
    if !plugin.chained {
        return of(plugin) == Some(true);
    }
    let outer =
        list.plugins.iter().find(|one| !one.chained && plugin.place.starts_with(&format!("{}.", one.place)));
    outer.and_then(of) == Some(true) && of(plugin) != Some(false)
}

/// Whether Wharf serves the plugin; the error is what is missing, and the cure.
pub(crate) fn served(node: &Node<'_>, plugin: &Plugin) -> Result<bool, (String, String)> {
    const INSTALL: &str = "run `wharfctl install --drop-in`";
    let own = node.bin_dir.join(OWN);
    if plugin.kind == OWN {
        return if own.is_file() {
            Ok(true)
        } else {
            Err((format!("{} is missing", own.display()), INSTALL.to_owned()))
        };
    }
    let program = node.bin_dir.join(&plugin.kind);
    let by_wharf = plugin.chained || same(&program, &own);
    if !by_wharf && !program.is_file() {
        let what = format!("type {:?}: {} is missing", plugin.kind, program.display());
        let meant = lint::meant(node, &plugin.kind);
        let cure = "install the plugin; a guest by `wharfctl add --drop-in`, Wharf's own by `wharfctl install \
                    --drop-in`";
        return Err((what, meant + cure));
    }
    if by_wharf {
        guests::read(node.paths, &plugin.kind).map_err(|error| match error {
            // `install` brings Wharf's own only, and which those are the message knows.
            StoreError::NotInstalled { .. } => {
                (error.to_string(), lint::meant(node, &plugin.kind) + "do what the message says")
            }
            _ => (error.to_string(), INSTALL.to_owned()),
        })?;
        unresolved(node, plugin)?;
    }
    let Some(ipam) = plugin.ipam() else { return Ok(by_wharf) };
    let native = node.bin_dir.join(ipam);
    let found = match guests::read(node.paths, ipam) {
        // As the broker does it: the guest of that name, or else a program.
        Ok(_) if by_wharf || same(&native, &own) => true,
        _ => native.is_file() && !same(&native, &own),
    };
    if found {
        return Ok(by_wharf);
    }
    let what = format!(
        "ipam.type {ipam:?}: no guest of that name is installed, and {} is missing",
        native.display()
    );
    Err((what, lint::meant(node, ipam) + "install the plugin, or correct its name"))
}

/// The node's pod CIDR is known where it is meant.
fn unresolved(node: &Node<'_>, plugin: &Plugin) -> Result<(), (String, String)> {
    let mut raw = plugin.raw.clone();
    wharf_broker::pod_cidr::resolve(node.paths, &mut raw).map_err(|error| {
        (error.to_string(), "run `wharfctl pod-cidr` once the node has its pod CIDR".to_owned())
    })
}

fn same(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| fs::canonicalize(path).ok();
    real(one).is_some_and(|one| Some(one) == real(other))
}

/// Two networks that give out the same addresses.
fn overlaps(node: &Node<'_>, findings: &mut Findings) {
    let mut all: Vec<(PathBuf, String, wharf_ops::IpNetwork)> = Vec::new();
    for (file, list) in node.readable() {
        for pool in pools(node.paths, list) {
            for range in pool.ranges {
                let clash = all.iter().find(|(_, network, subnet)| {
                    *network != pool.network
                        && (subnet.contains(range.subnet.ip()) || range.subnet.contains(subnet.ip()))
                });
                if let Some((other, _, subnet)) = clash {
                    let what = format!("{} overlaps with {subnet} of {}", range.subnet, other.display());
                    findings.warning(file.display(), what, "give each network a subnet of its own");
                }
                all.push((file.to_owned(), pool.network.clone(), range.subnet));
            }
        }
    }
}

//! Policies, the node's and those that lists add: each names a guest that can be asked, for without it no pod gets its
//! network.

use wharf_broker::policy;
use wharf_broker::settings::Settings;
use wharf_broker::spelling::nearest;

use super::{Findings, Node};
use crate::lists::Plugin;

/// The node's own.
pub(crate) fn check(node: &Node<'_>, findings: &mut Findings) {
    let file = node.paths.settings();
    let (settings, _) = Settings::read(node.paths, |_| None);
    if let Some(fault) = settings.policies.fault() {
        let named = format!("{}: ", file.display());
        let fault = fault.strip_prefix(named.as_str()).unwrap_or(fault);
        let what = format!("{fault}: which policies hold cannot be told, so no pod gets its network");
        return findings.error(file.display(), what, "correct the file");
    }
    for name in settings.policies.names() {
        match policy::installed(node.paths, name) {
            Ok(manifest) => findings.ok(format!("policy {name}"), manifest.digest),
            Err(reason) => findings.error(
                format!("policy {name}"),
                format!("{reason}: no pod gets its network without it"),
                format!("install it with `wharfctl add`, or take it out of {}", file.display()),
            ),
        }
    }
    unread(node, &settings, findings);
}

/// Settings of policies that nobody asks: often a slip, and the policy that was meant goes without.
fn unread(node: &Node<'_>, settings: &Settings, findings: &mut Findings) {
    let of_lists = node.readable().flat_map(|(_, list)| &list.plugins).flat_map(Plugin::policies);
    let asked: Vec<&str> = settings.policies.names().iter().map(String::as_str).chain(of_lists).collect();
    for name in settings.policies.with_settings().filter(|name| !asked.contains(name)) {
        let cure = match nearest(name, asked.iter().copied()) {
            Some(meant) => format!("did you mean [policy.{meant}]?"),
            None => "name it in `policies`, there or in a list, or remove the table".to_owned(),
        };
        let place = format!("{}: policy.{name}", node.paths.settings().display());
        findings.warning(place, format!("nobody reads these settings: no policy {name} is asked"), cure);
    }
}

/// The same of what a plugin of a list adds.
pub(crate) fn asked(node: &Node<'_>, file: &str, plugin: &Plugin, findings: &mut Findings) {
    for name in plugin.policies() {
        if let Err(reason) = policy::installed(node.paths, name) {
            findings.error(
                format!("{file}: {}.policies", plugin.place),
                format!("{name}: {reason}: no pod gets this network without it"),
                "install it with `wharfctl add`, or take it out",
            );
        }
    }
}

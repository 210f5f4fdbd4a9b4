//! Policies, the node's and those that lists add: each names a guest that can be asked, for without it no pod gets its
//! network.

use wharf_broker::policy;
use wharf_broker::settings::Settings;

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

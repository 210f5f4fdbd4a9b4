//! The policies of the node: each is named by a guest that can be asked, for without it no pod gets its network.

use wharf_broker::policy;
use wharf_broker::settings::Settings;

use super::{Findings, Node};

pub(super) fn check(node: &Node<'_>, findings: &mut Findings) {
    let file = node.paths.settings();
    let (settings, _) = Settings::read(node.paths, |_| None);
    if let Some(fault) = settings.policies.fault() {
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

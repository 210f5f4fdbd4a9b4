//! Code 901: each error names the policy, what it was about, and why.

use wharf_cni::CniError;
use wharf_cni::error::code;

use crate::failure::{self, Fault};
use crate::log::printable;

/// A policy that answered with a reason.
pub(super) fn denied(name: &str, digest: &str, what: &str, reason: &str) -> CniError {
    let reason = if reason.trim().is_empty() { "it gives no reason" } else { reason };
    let message = format!("policy {name:?} denies {what}: {}", shown(reason));
    of(Fault::Runtime, message, name, digest)
}

/// A policy that did not answer, or not sensibly.
pub(super) fn failed(name: &str, digest: &str, what: &str, how: &str) -> CniError {
    let message = format!("policy {name:?} cannot judge {what}, which counts as denied: {}", shown(how));
    of(Fault::Guest, message, name, digest)
}

/// A policy that there is no sandbox for.
pub(super) fn unavailable(name: &str, why: &str) -> CniError {
    let message = format!("policy {name:?} cannot be asked, and without it nothing is allowed: {why}");
    failure::host(code::POLICY, Fault::Host, message)
}

/// What policies are to judge is not to be told to them.
pub(super) fn untold(what: &str, why: &str) -> CniError {
    let message = format!("no policy can be asked about {what}, and without that nothing is allowed: {why}");
    failure::host(code::POLICY, Fault::Guest, message)
}

/// Nobody knows which policies hold.
pub(super) fn unknown(why: &str) -> CniError {
    let message = format!("which policies hold cannot be told, so nothing is allowed: {why}");
    failure::host(code::POLICY, Fault::Host, message)
}

/// What a policy says, for those who read events and logs: of bounded length, and without what a terminal obeys.
fn shown(text: &str) -> String {
    printable(&failure::cut(text.to_owned()))
}

/// A guest of that world is no policy.
pub(super) fn other_world(world: &str) -> String {
    format!("the guest of that name exports wharf:plugin/{world}, and is no policy")
}

fn of(fault: Fault, message: String, name: &str, digest: &str) -> CniError {
    let error = failure::host(code::POLICY, fault, message);
    let details = error.details.clone().unwrap_or_default();
    error.with_details(format!("{details}; policy: {name} {digest}"))
}

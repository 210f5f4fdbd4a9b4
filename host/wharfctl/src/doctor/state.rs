//! What is on the node: journals, leases, and the folders that they are in.

use std::path::Path;

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use ureq::http::Uri;
use wharf_broker::overview::{State, overview};
use wharf_broker::settings::{Destination, Settings};
use wharf_broker::writable;

use super::{Findings, Node};
use crate::lists::pools;
use crate::recover::kernel;

/// Percent of a pool from which it is nearly used up.
const NEARLY_FULL: u128 = 90;

pub(super) fn check(node: &Node<'_>, findings: &mut Findings) {
    settings(node, findings);
    volatile(&node.paths.attachments(), findings);
    attachments(node, findings);
    for (_, list) in node.readable() {
        for pool in pools(node.paths, list) {
            if let Err(error) = writable(&pool.directory) {
                let cure = "make it writable, or set ipam.dataDir";
                findings.error(pool.directory.display(), error.message, cure);
            }
            let leased = pool.leased();
            for range in &pool.ranges {
                let (used, size) = (range.used(&leased), range.size());
                let place = format!("network {}, {}", pool.network, range.subnet);
                let what = format!("{used} of {size} addresses are leased");
                if used >= size {
                    let cure = "remove pods, give the network a larger subnet, or collect what nobody has: `wharfctl gc --network`";
                    findings.error(place, what, cure);
                } else if used.saturating_mul(100) >= size.saturating_mul(NEARLY_FULL) {
                    findings.warning(
                        place,
                        what,
                        "see `wharfctl attachments`; `wharfctl gc --network` collects what nobody has",
                    );
                } else {
                    findings.ok(place, what);
                }
            }
        }
    }
}

/// What an operator wants to see of calls can be shown.
fn settings(node: &Node<'_>, findings: &mut Findings) {
    // As a runtime starts plugins: without variables of ours.
    let (settings, fault) = Settings::read(node.paths, |_| None);
    // Then no pod gets its network, which is told as that.
    if settings.policies.fault().is_some() {
        return;
    }
    if let Some(fault) = fault {
        let cure = "correct it: until then what cannot be read counts as not said";
        return findings.warning("settings", fault, cure);
    }
    let file = node.paths.settings();
    if let Some(endpoint) = &settings.endpoint
        && let Err(reason) = collector(&endpoint.url())
    {
        let what = format!("{}: traces.endpoint: {reason}: no span is exported", file.display());
        let cure = "write that of an OTLP collector over HTTP, as \"http://127.0.0.1:4318\"";
        findings.warning("settings", what, cure);
    }
    let missing = match settings.to {
        Destination::Stderr => None,
        Destination::Journald => Some(node.paths.inside("/run/systemd/journal/socket")),
        Destination::File(log) => log.parent().map(Path::to_owned),
    };
    if let Some(missing) = missing.filter(|place| !place.exists()) {
        let (file, missing) = (file.display(), missing.display());
        let what = format!("{file}: log.to: {missing} is missing: lines go to standard error");
        findings.warning("settings", what, "make it, or choose stderr, journald or another file");
    }
}

/// Whether spans can be posted to that URL, as far as it tells.
fn collector(url: &str) -> Result<(), String> {
    let uri = url.parse::<Uri>().map_err(|error| format!("{url:?}: {error}"))?;
    if !["http", "https"].contains(&uri.scheme_str().unwrap_or_default()) {
        return Err(format!("{url:?} does not begin with http:// or https://"));
    }
    if uri.host().is_none_or(str::is_empty) { Err(format!("{url:?} names no host")) } else { Ok(()) }
}

/// Journals describe kernel state and must go with it.
fn volatile(directory: &Path, findings: &mut Findings) {
    let Some(existing) = directory.ancestors().find(|place| place.exists()) else { return };
    if statfs(existing).is_ok_and(|system| system.filesystem_type() != TMPFS_MAGIC) {
        let what = "is no tmpfs: journals would outlive the kernel state that they describe (they carry the boot id)";
        findings.note(directory.display(), what, "mount a tmpfs on /run");
    }
}

fn attachments(node: &Node<'_>, findings: &mut Findings) {
    let place = node.paths.attachments();
    let all = match overview(node.paths, kernel) {
        Ok(all) => all,
        Err(error) => return findings.error(place.display(), error, "run this as root"),
    };
    let of = |state: State| all.attachments.iter().filter(move |one| one.state == state);
    for one in of(State::Unfinished) {
        let what = format!(
            "an ADD of {}/{} runs, or was cut short",
            one.attachment.container, one.attachment.ifname
        );
        findings.warning(format!("network {}", one.attachment.network), what, "`wharfctl recover` undoes it");
    }
    let mut gone: Vec<String> = of(State::Gone)
        .map(|one| format!("{}/{}", one.attachment.container, one.attachment.ifname))
        .collect();
    if !gone.is_empty() {
        let count = gone.len();
        gone.truncate(3);
        let what = format!(
            "the namespace or the link of {count} attachments has vanished without a DEL: {}",
            gone.join(", ")
        );
        findings.warning(
            place.display(),
            what,
            "a DEL or GC of the runtime removes the rest; else `wharfctl gc`",
        );
    }
    for one in &all.attachments {
        if let Some(reason) = &one.unseen {
            let what = format!("{}/{}: {reason}", one.attachment.container, one.attachment.ifname);
            let cure = "run this where the runtime runs (in a pod: hostPID, and the host's /run/netns); if the pod is gone, \
                        a GC of the runtime or `wharfctl gc` removes the rest";
            findings.note(format!("network {}", one.attachment.network), what, cure);
        }
    }
    for name in &all.unreadable {
        findings.warning(
            place.join(name).display(),
            "nothing of this journal can be read",
            "the DEL of its pod removes it; if that is gone, `wharfctl recover --force`",
        );
    }
    for odd in &all.odd {
        findings.error(place.display(), odd, "until then, an ADD or a DEL that needs the file fails");
    }
    findings
        .ok(place.display(), format!("{} attachments are as they were made", of(State::Committed).count()));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_is_a_url() {
        for url in ["http://127.0.0.1:4318/v1/traces", "https://[::1]/v1/traces", "http://collector/x"] {
            assert_eq!(collector(url), Ok(()), "{url}");
        }
        for url in [
            "notaurl/v1/traces",
            "notaurl",
            "collector:4317/v1/traces",
            "grpc://c/v1/traces",
            "http:///v1/traces",
            "http://a b/",
        ] {
            assert!(collector(url).is_err(), "{url}");
        }
    }
}

//! What is looked at. Nothing here fails: what cannot be had is named.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Map, Value, json};
use wharf_broker::journal::{Listing, Store};
use wharf_broker::overview::overview;
use wharf_broker::secrets::{learn, learn_record};
use wharf_broker::settings::{Destination, Settings};
use wharf_broker::telemetry::EVENTS;
use wharf_broker::{Paths, guests};

use super::bundle::Bundle;
use crate::doctor::{self, Node};
use crate::lists::pools;
use crate::{metrics, recover};

/// Programs that show what the kernel has, and when they are of use.
const PROGRAMS: [(&str, &str, &str); 10] = [
    ("network/links.txt", "ip -d -s link show", "links"),
    ("network/addresses.txt", "ip addr show", "addresses"),
    ("network/routes.txt", "ip route show table all", "routes of IPv4"),
    ("network/routes6.txt", "ip -6 route show table all", "routes of IPv6"),
    ("network/rules.txt", "ip rule show", "routing rules"),
    ("network/bridge.txt", "bridge -d link show", "ports of bridges"),
    ("network/qdiscs.txt", "tc -s qdisc show", "rate limits"),
    ("network/nftables.txt", "nft -a list ruleset", "nftables, with iptables-nft"),
    ("network/iptables.txt", "iptables-nft-save", "iptables-nft in its own words"),
    ("network/ip6tables.txt", "ip6tables-nft-save", "the same of IPv6"),
];
/// Tables of iptables-legacy come to be when it is asked for them: it is asked only where there are some.
const LEGACY: [(&str, &str, &str); 2] = [
    ("network/iptables-legacy.txt", "iptables-legacy-save", "/proc/net/ip_tables_names"),
    ("network/ip6tables-legacy.txt", "ip6tables-legacy-save", "/proc/net/ip6_tables_names"),
];
const FILES: [(&str, &str, &str); 6] = [
    ("system/os-release", "/etc/os-release", "the distribution"),
    ("system/modules", "/proc/modules", "kernel modules"),
    ("system/status", "/proc/self/status", "capabilities and system call filters of this tool"),
    ("system/cgroup", "/proc/self/cgroup", "the cgroup of this tool"),
    ("system/mounts", "/proc/self/mounts", "mounts"),
    ("system/uptime", "/proc/uptime", "seconds since the boot"),
];
const SYSCTLS: [&str; 12] = [
    "net/ipv4/ip_forward",
    "net/ipv4/conf/all/rp_filter",
    "net/ipv4/conf/default/rp_filter",
    "net/ipv4/conf/all/arp_notify",
    "net/ipv6/conf/all/forwarding",
    "net/ipv6/conf/all/disable_ipv6",
    "net/ipv6/conf/default/disable_ipv6",
    "net/bridge/bridge-nf-call-iptables",
    "net/bridge/bridge-nf-call-ip6tables",
    "net/netfilter/nf_conntrack_count",
    "net/netfilter/nf_conntrack_max",
    "user/max_net_namespaces",
];

/// The runtime's lists. One that is no JSON cannot be cleaned.
pub(super) fn lists(node: &Node<'_>, bundle: &mut Bundle) {
    for file in &node.lists {
        let name = format!("lists/{}", file.path.file_name().unwrap_or_default().to_string_lossy());
        let text = fs::read(&file.path).map_err(|error| error.to_string());
        match text
            .and_then(|bytes| serde_json::from_slice::<Value>(&bytes).map_err(|error| error.to_string()))
        {
            Ok(value) => {
                value.as_object().into_iter().for_each(learn);
                bundle.json(&name, "a network configuration list", value);
            }
            Err(reason) => bundle.leave_out(&name, &format!("no JSON, so it may hold secrets: {reason}")),
        }
    }
}

/// What every ADD did.
pub(super) fn journals(node: &Node<'_>, bundle: &mut Bundle) {
    let Listing { journals: all, odd } = match Store::of(node.paths).listing() {
        Ok(listing) => listing,
        Err(error) => return bundle.leave_out("journals.json", &error.to_string()),
    };
    for error in odd {
        bundle.leave_out("journals.json", &error.to_string());
    }
    for one in &all {
        learn_record(&one.record);
    }
    let shown: Vec<Value> =
        all.iter().map(|one| json!({"journal": one.name, "busy": one.busy, "record": one.record})).collect();
    bundle.json("journals.json", "what ADDs did to this host, and how it would be undone", shown.into());
}

pub(super) fn system(node: &Node<'_>, bundle: &mut Bundle) {
    let mut versions = format!("wharfctl {}\n", env!("CARGO_PKG_VERSION"));
    let binary = node.bin_dir.join(crate::lists::OWN);
    let about = Command::new(&binary).env_clear().stdin(Stdio::null()).output();
    let said = match about {
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    versions.push_str(&[&binary.display().to_string(), ": ", said.trim(), "\n"].concat());
    for line in
        ["uname -a", "containerd --version", "crio --version", "podman --version", "kubelet --version"]
    {
        if let Ok(said) = program(line) {
            versions.push_str(said.lines().next().unwrap_or_default());
            versions.push('\n');
        }
    }
    bundle.text("versions.txt", "versions of Wharf, the kernel and runtimes", versions);
    for (name, file, about) in FILES {
        bundle.attempt(name, about, fs::read_to_string(file));
    }
    let mut sysctls = String::new();
    for key in SYSCTLS {
        if let Ok(value) = fs::read_to_string(format!("/proc/sys/{key}")) {
            // Writing to a String does not fail, here and below.
            let _ = writeln!(sysctls, "{} = {}", key.replace('/', "."), value.trim());
        }
    }
    bundle.text("system/sysctl", "parameters that matter here", sysctls);
    bundle.text("doctor.txt", "what `wharfctl doctor` finds", doctor::as_text(&doctor::examine(node)));
}

pub(super) fn installation(node: &Node<'_>, bundle: &mut Bundle) {
    let mut manifests = Vec::new();
    for name in guests::names(node.paths).unwrap_or_default() {
        match guests::read(node.paths, &name) {
            Ok(manifest) => manifests.push(json!(manifest)),
            Err(error) => bundle.leave_out(&format!("guest {name}"), &error.to_string()),
        }
        let grant = node.paths.grants().join(format!("{name}.toml"));
        bundle.attempt(&format!("grants/{name}.toml"), "what a guest may do", fs::read_to_string(grant));
    }
    bundle.json("guests.json", "installed guests with their digests and imports", manifests.into());
    bundle.text("plugins.txt", "the runtime's plugins", listing(&node.bin_dir));
    if let Ok(text) = fs::read_to_string(node.paths.settings()) {
        settings(bundle, &text);
    }
}

/// The settings, as they stand. Where they cannot be read as such, nobody knows what in them is secret.
fn settings(bundle: &mut Bundle, text: &str) {
    match toml::from_str::<Map<String, Value>>(text) {
        Ok(members) => {
            wharf_broker::secrets::learn(&members);
            let clean: Vec<String> = text.split_inclusive('\n').map(without_password).collect();
            bundle.text(
                "wharf.toml",
                "settings",
                wharf_broker::secrets::redact(&clean.concat()).into_owned(),
            );
        }
        Err(error) => bundle.leave_out("wharf.toml", error.message()),
    }
}

/// Of a URL in a line of settings.
fn without_password(line: &str) -> String {
    let mut value = Value::from(line);
    wharf_broker::secrets::scrub(&mut value);
    value.as_str().unwrap_or_default().to_owned()
}

/// Names, sizes, modes and where links lead.
fn listing(folder: &Path) -> String {
    let mut lines: Vec<String> = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let (name, metadata) = (entry.file_name().to_string_lossy().into_owned(), entry.metadata());
        let to = fs::read_link(entry.path()).map(|to| format!(" -> {}", to.display())).unwrap_or_default();
        let sizes = metadata.map(|one| format!("{:o} {} {}", one.mode() & 0o7777, one.uid(), one.len()));
        lines.push(format!("{} {name}{to}\n", sizes.unwrap_or_default()));
    }
    lines.sort();
    format!("{}\n{}", folder.display(), lines.concat())
}

pub(super) fn state(node: &Node<'_>, bundle: &mut Bundle) {
    match overview(node.paths, recover::kernel) {
        Ok(all) => bundle.json("attachments.json", "what exists on this node", json!(all)),
        Err(error) => bundle.leave_out("attachments.json", &error.to_string()),
    }
    let mut text = String::new();
    for (_, list) in node.readable() {
        for pool in pools(node.paths, list) {
            let _ = writeln!(text, "{}", pool.directory.display());
            let mut leased = pool.leased();
            leased.sort();
            for address in leased {
                let holder = fs::read_to_string(pool.directory.join(address.to_string())).unwrap_or_default();
                let holder = holder.split_whitespace().collect::<Vec<_>>().join(" ");
                let _ = writeln!(text, "  {address} {holder}");
            }
        }
    }
    bundle.text("leases.txt", "leased addresses and who has them", text);
}

/// What calls left: counts, the last of them, the log.
pub(super) fn calls(node: &Node<'_>, bundle: &mut Bundle) {
    bundle.attempt("metrics.txt", "counts of calls", metrics::page(node.paths, &node.conf_dir));
    let spool = node.paths.spool();
    let mut lines = String::new();
    for name in [format!("{EVENTS}.1"), EVENTS.to_owned()] {
        lines.push_str(&fs::read_to_string(spool.join(name)).unwrap_or_default());
    }
    bundle.text("calls.jsonl", "the last calls", lines);
    log(node.paths, bundle);
}

fn log(paths: &Paths, bundle: &mut Bundle) {
    let (settings, fault) = Settings::read(paths, |key| std::env::var(key).ok());
    if let Some(fault) = fault {
        bundle.leave_out("settings", &fault);
    }
    match settings.to {
        Destination::File(file) => bundle.attempt("wharf.log", "the log", fs::read_to_string(file)),
        Destination::Journald => {
            let lines = "journalctl -t wharf -n 5000 -o short-iso --no-pager";
            bundle.attempt("wharf.log", "the log", program(lines));
        }
        Destination::Stderr => {
            bundle.leave_out("wharf.log", "the runtime keeps what plugins say on standard error");
        }
    }
}

pub(super) fn network(bundle: &mut Bundle) {
    for (name, line, about) in PROGRAMS {
        bundle.attempt(name, about, program(line));
    }
    for (name, line, tables) in LEGACY {
        if fs::read_to_string(tables).is_ok_and(|names| !names.trim().is_empty()) {
            bundle.attempt(name, "iptables-legacy", program(line));
        }
    }
}

/// What a program prints, without arguments that need quoting.
fn program(line: &str) -> Result<String, String> {
    let mut words = line.split_whitespace();
    let name = words.next().unwrap_or_default();
    let output = Command::new(name).args(words).stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{line}: {}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
}

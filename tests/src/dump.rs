//! A picture of everything that an attachment could leave behind, and the difference between two.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use serde_json::Value;

use crate::{Netns, node, sh};

/// What is in a namespace and in Wharf's state folders, as sorted lines under headings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump(BTreeMap<&'static str, Vec<String>>);

/// Parameters that an attachment changes on the host.
const SYSCTLS: [&str; 2] = ["ipv4/ip_forward", "ipv6/conf/all/forwarding"];

impl Dump {
    pub(crate) fn of(netns: &Netns, root: Option<&Path>) -> Self {
        let mut parts: BTreeMap<&'static str, Vec<String>> = BTreeMap::new();
        let mut put = |heading, lines: Vec<String>| parts.entry(heading).or_default().extend(lines);
        netns.run(|| {
            let [links, v4, v4_routes, v4_rules] =
                ip(["-4", "-d"], ["link show", "addr show", "route show table all", "rule show"]);
            let [v6, v6_routes, v6_rules] = ip(["-6"], ["addr show", "route show table all", "rule show"]);
            put("links", each(&links, link));
            for found in [v4, v6] {
                put("addresses", each(&found, addresses).join("\n").lines().map(owned).collect());
            }
            for (routes, rules) in [(v4_routes, v4_rules), (v6_routes, v6_rules)] {
                put("routes", each(&routes, route));
                put("rules", each(&rules, whole));
            }
            put("qdiscs", listed("tc -j qdisc show", whole));
            let tables = nft();
            let savers = savers(&tables);
            put("nft", tables);
            put("iptables", Vec::new());
            put("iptables chains", Vec::new());
            for program in savers {
                let text = sh::run(&mut sh::words(program));
                put(
                    "iptables",
                    text.lines().filter(|line| !line.starts_with(['#', ':'])).map(owned).collect(),
                );
                put("iptables chains", text.lines().filter_map(chain).collect());
            }
        });
        put("sysctls", SYSCTLS.map(|key| format!("{key} = {}", netns.sysctl(key))).into());
        put("sysctls", route_localnet(netns));
        if let Some(root) = root {
            put("files", state_files(root));
        }
        for lines in parts.values_mut() {
            lines.retain(|line| !line.is_empty());
            lines.sort();
        }
        Self(parts)
    }

    /// What this has more (`+`) or less (`-`) than `before`, a line each; empty if nothing changed.
    pub fn changes_since(&self, before: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        for (heading, lines) in &self.0 {
            let old = before.0.get(heading).map_or(&[][..], Vec::as_slice);
            changes.extend(only(lines, old).map(|line| format!("+ {heading}: {line}")));
            changes.extend(only(old, lines).map(|line| format!("- {heading}: {line}")));
        }
        changes
    }

    /// Nothing changed since `before`.
    #[track_caller]
    pub fn assert_same(&self, before: &Self) {
        let changes = self.changes_since(before);
        assert!(changes.is_empty(), "this differs from before:\n{}", changes.join("\n"));
    }

    /// The same without the journals of attachments.
    #[must_use]
    pub fn without_journals(mut self) -> Self {
        if let Some(files) = self.0.get_mut("files") {
            files.retain(|line| !line.starts_with("journal "));
        }
        self
    }

    /// The lines under a heading.
    pub fn lines(&self, heading: &str) -> &[String] {
        self.0.get(heading).map_or(&[], Vec::as_slice)
    }

    /// Whether any line contains the text.
    pub fn mentions(&self, text: &str) -> bool {
        self.0.values().flatten().any(|line| line.contains(text))
    }
}

/// The lines of `all` that `other` does not have as often.
fn only<'a>(all: &'a [String], other: &'a [String]) -> impl Iterator<Item = &'a String> {
    let count = |lines: &[String], line: &String| lines.iter().filter(|other| *other == line).count();
    let mut seen: BTreeMap<&String, usize> = BTreeMap::new();
    all.iter().filter(move |line| {
        let times = seen.entry(line).or_default();
        *times += 1;
        *times > count(other, line)
    })
}

/// What several commands of `ip` say, by one process: pictures are taken by the thousand.
pub(crate) fn ip<const OPTIONS: usize, const COMMANDS: usize>(
    options: [&str; OPTIONS],
    commands: [&str; COMMANDS],
) -> [Value; COMMANDS] {
    let (reader, mut writer) = std::io::pipe().expect("a pipe");
    writer.write_all(commands.join("\n").as_bytes()).expect("a pipe holds a few lines");
    drop(writer);
    let mut ip = sh::words("ip -j -batch -");
    ip.args(options).stdin(reader);
    let text = sh::run_with_input(&mut ip);
    let mut answers = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    commands.map(|command| match answers.next() {
        Some(Ok(answer)) => answer,
        other => panic!("ip {command}: {other:?} in {text}"),
    })
}

fn listed(command: &str, line: fn(&Value) -> String) -> Vec<String> {
    let text = sh::run(&mut sh::words(command));
    each(&serde_json::from_str(&text).unwrap_or_default(), line)
}

pub(crate) fn each(all: &Value, line: fn(&Value) -> String) -> Vec<String> {
    all.as_array().map_or(&[][..], Vec::as_slice).iter().map(line).collect()
}

fn owned(line: &str) -> String {
    line.to_owned()
}

pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_default()
}

/// What is configured; not what comes and goes with traffic. A bridge's address follows its ports.
fn link(link: &Value) -> String {
    let kind = &link["linkinfo"]["info_kind"];
    let up = link["flags"].as_array().is_some_and(|flags| flags.contains(&Value::from("UP")));
    let address = if kind == "bridge" { "" } else { text(link, "address") };
    let port = &link["linkinfo"]["info_slave_data"];
    format!(
        "{} {kind} up={up} mtu={} master={} address={address} promiscuity={} hairpin={} isolated={}",
        text(link, "ifname"),
        link["mtu"],
        link["master"],
        link["promiscuity"],
        port["hairpin"],
        port["isolated"]
    )
}

/// All but what the kernel gives by itself.
fn addresses(link: &Value) -> String {
    let infos = link["addr_info"].as_array().map_or(&[][..], Vec::as_slice).iter();
    let shown = infos.filter(|info| !text(info, "local").starts_with("fe80:"));
    let show = |info: &Value| {
        let [link, address, scope] = [text(link, "ifname"), text(info, "local"), text(info, "scope")];
        format!("{link} {address}/{} {scope}\n", info["prefixlen"])
    };
    shown.map(show).collect()
}

/// All but what the kernel gives by itself, and without flags: they change with the carrier.
fn route(route: &Value) -> String {
    let dst = text(route, "dst");
    if text(route, "table") == "local"
        || dst.starts_with("fe80:")
        || dst.starts_with("ff00:")
        || dst == "multicast"
    {
        return String::new();
    }
    let mut route = route.clone();
    if let Some(route) = route.as_object_mut() {
        route.remove("flags");
    }
    route.to_string()
}

fn whole(value: &Value) -> String {
    value.to_string()
}

/// The ruleset without handles and counters.
fn nft() -> Vec<String> {
    let text = sh::run(&mut sh::words("nft -j list ruleset"));
    let all: Value = serde_json::from_str(&text).unwrap_or_default();
    let objects = all["nftables"].as_array().map_or(&[][..], Vec::as_slice).iter();
    let shown = objects.filter(|object| object.get("metainfo").is_none());
    shown.flat_map(nft_lines).collect()
}

/// An object; the elements of a map or a set as lines of their own.
fn nft_lines(object: &Value) -> Vec<String> {
    let mut object = object.clone();
    forget(&mut object);
    let mut lines = Vec::new();
    for kind in ["map", "set"] {
        let Some(collection) = object.get_mut(kind).and_then(Value::as_object_mut) else { continue };
        let elements = collection.remove("elem").unwrap_or_default();
        let name = collection.get("name").cloned().unwrap_or_default();
        let elements = elements.as_array().map_or(&[][..], Vec::as_slice).iter();
        lines.extend(elements.map(|element| format!("{kind} {name}: {element}")));
    }
    lines.push(object.to_string());
    lines
}

fn forget(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for key in ["handle", "packets", "bytes"] {
                object.remove(key);
            }
            object.values_mut().for_each(forget);
        }
        Value::Array(items) => items.iter_mut().for_each(forget),
        _ => {}
    }
}

/// What shows the rules of iptables. Those of its nft variant are in tables of their own, which nft lists too, but not
/// all of their words. iptables-legacy makes tables when it looks at them: it is asked only if there are some.
fn savers(nft: &[String]) -> Vec<&'static str> {
    let mut savers = Vec::new();
    for (family, saver) in [("ip", "iptables-nft-save"), ("ip6", "ip6tables-nft-save")] {
        let of_family = format!("\"family\":\"{family}\"");
        if nft.iter().any(|line| line.contains(&of_family)) {
            savers.push(saver);
        }
    }
    for (names, saver) in
        [("ip_tables_names", "iptables-legacy-save"), ("ip6_tables_names", "ip6tables-legacy-save")]
    {
        let names = fs::read_to_string(format!("/proc/thread-self/net/{names}")).unwrap_or_default();
        if !names.trim().is_empty() {
            savers.push(saver);
        }
    }
    savers
}

/// The name of a chain in what iptables-save prints.
fn chain(line: &str) -> Option<String> {
    line.strip_prefix(':')?.split_whitespace().next().map(str::to_owned)
}

/// The links that take packets for 127.0.0.0/8 from the wire.
fn route_localnet(netns: &Netns) -> Vec<String> {
    let links = netns.links();
    let on = |link: &String| netns.sysctl(&format!("ipv4/conf/{link}/route_localnet")) == "1";
    links.into_iter().filter(on).map(|link| format!("{link}: route_localnet")).collect()
}

/// State files with their content, journals by their names. Locks, cursors, indices, grants that were read and what was
/// counted are meant to stay.
fn state_files(root: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    for folder in ["var/lib/cni", "run"] {
        let folder = root.join(folder);
        for file in node::files(&folder) {
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if file.starts_with("wharf/attachments") {
                lines.push(format!("journal {name}"));
                continue;
            }
            let stays = name == "lock"
                || name.starts_with("last_reserved_ip")
                || ["wharf/bridges", "wharf/grants", "wharf/leases", "wharf/telemetry"]
                    .iter()
                    .any(|folder| file.starts_with(folder));
            if !stays {
                let content = fs::read(folder.join(&file)).unwrap_or_default();
                lines.push(format!("{}: {:?}", file.display(), String::from_utf8_lossy(&content)));
            }
        }
    }
    lines
}

//! What is there after a call, on the node and in its containers, as values at paths.
//!
//! The rules of a firewall are not among it: what they do is seen by traffic, and here only whether any is left that
//! names a container.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use serde_json::{Value, json};

use super::names::Names;
use super::stage::{Stage, id};
use crate::dump::{self, each, text};
use crate::{Netns, node, sh};

/// Values at paths: words, one after the other.
pub type Picture = BTreeMap<String, Value>;

/// Which parameters of links are looked at. There are hundreds, and to read them is the most of a picture's cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    /// All.
    Every,
    /// Those that plugins set, and those that come with them.
    Touched,
}

/// What plugins set, or leave to the kernel on purpose.
const TOUCHED: [&str; 13] = [
    "accept_dad",
    "accept_ra",
    "addr_gen_mode",
    "arp_ignore",
    "arp_notify",
    "autoconf",
    "disable_ipv6",
    "forwarding",
    "keep_addr_on_down",
    "ndisc_notify",
    "proxy_arp",
    "route_localnet",
    "rp_filter",
];

/// What is there now. The second answer tells what is random by what it is.
pub fn of(stage: &Stage, parameters: Parameters) -> (Picture, Names) {
    let (netnses, links) = links(stage);
    let names = Names::of(stage, &links);
    let mut picture = Picture::new();
    for ((name, netns), (_, links)) in netnses.iter().zip(&links) {
        for link in links.as_array().into_iter().flatten() {
            self::link(&mut picture, &names, name, link);
        }
        routes(&mut picture, &names, name, netns);
        sysctls(&mut picture, &names, (name, netns), parameters);
    }
    shaping(&mut picture, &names, &stage.node);
    vlans(&mut picture, &names, &stage.node);
    files(&mut picture, &stage.node.root().join("var/lib/cni"));
    mentions(&mut picture, stage);
    (picture, names)
}

/// Only what is random.
pub fn names(stage: &Stage) -> Names {
    Names::of(stage, &links(stage).1)
}

/// The node and the containers, and the links of each.
#[allow(clippy::type_complexity, reason = "two lists of the same order")]
fn links(stage: &Stage) -> (Vec<(&str, &Netns)>, Vec<(&str, Value)>) {
    let mut netnses: Vec<(&str, &Netns)> = vec![("node", &stage.node)];
    netnses.extend(stage.containers.iter().map(|(name, container)| (name.as_str(), &**container)));
    let links = netnses.iter().map(|(name, netns)| (*name, netns.links_in_full())).collect();
    (netnses, links)
}

impl Netns {
    /// All links with their addresses, as `ip -j -d addr` has them.
    pub(super) fn links_in_full(&self) -> Value {
        self.json("ip -j -d addr show")
    }
}

/// What is configured, not what comes and goes with traffic.
fn link(picture: &mut Picture, names: &Names, place: &str, link: &Value) {
    let own = format!("{place} link {}", names.link(text(link, "ifname")));
    picture.insert(own.clone(), true.into());
    let mut put = |what: &str, value: Value| {
        if !value.is_null() {
            picture.insert(format!("{own} {what}"), value);
        }
    };
    let info = &link["linkinfo"];
    let is_up = link["flags"].as_array().is_some_and(|flags| flags.contains(&Value::from("UP")));
    put("kind", info.get("info_kind").cloned().unwrap_or_else(|| text(link, "link_type").into()));
    put("up", is_up.into());
    put("mac", names.kind_of_mac(text(link, "address")).into());
    put("master", link["master"].as_str().map(|master| names.link(master)).into());
    for key in ["mtu", "promiscuity", "txqlen", "num_tx_queues", "inet6_addr_gen_mode"] {
        put(key, link[key].clone());
    }
    put("alias", link["ifalias"].as_str().map(|alias| names.clean(alias)).into());
    for key in ["vlan_filtering", "vlan_default_pvid", "stp_state", "mcast_snooping", "ageing_time"] {
        put(key, info["info_data"][key].clone());
    }
    for key in ["hairpin", "guard", "isolated", "learning", "flood", "mcast_flood", "neigh_suppress"] {
        put(key, info["info_slave_data"][key].clone());
    }
    for info in link["addr_info"].as_array().into_iter().flatten() {
        let local = text(info, "local");
        // The kernel gives those by itself.
        if !local.starts_with("fe80:") {
            let [scope, broadcast] = ["scope", "broadcast"].map(|key| text(info, key));
            let lasting = info["valid_life_time"] == u32::MAX;
            let noprefix = info.get("noprefixroute").is_some();
            put(
                &format!("address {local}/{}", info["prefixlen"]),
                json!({"scope": scope, "broadcast": broadcast, "for ever": lasting, "noprefixroute": noprefix}),
            );
        }
    }
}

/// Routes and rules, each as one path.
fn routes(picture: &mut Picture, names: &Names, place: &str, netns: &Netns) {
    let commands = ["route show table all", "rule show"];
    netns.run(|| {
        for option in ["-4", "-6"] {
            let [routes, rules] = dump::ip([option], commands);
            for line in each(&routes, route).into_iter().filter(|line| !line.is_empty()) {
                picture.insert(format!("{place} route {}", names.clean(&line)), true.into());
            }
            for line in each(&rules, Value::to_string) {
                picture.insert(format!("{place} rule {option} {line}"), true.into());
            }
        }
    });
}

/// As `ip route` shows it; nothing for those that the kernel gives by itself.
fn route(route: &Value) -> String {
    let dst = text(route, "dst");
    let table = text(route, "table");
    if table == "local" || dst.starts_with("fe80:") || dst.starts_with("ff00:") || dst == "multicast" {
        return String::new();
    }
    let mut line = dst.to_owned();
    for (key, shown) in [
        ("gateway", "via"),
        ("dev", "dev"),
        ("table", "table"),
        ("protocol", "proto"),
        ("scope", "scope"),
        ("prefsrc", "src"),
        ("metric", "metric"),
        ("metrics", "metrics"),
        ("type", "type"),
        ("nexthops", "nexthops"),
    ] {
        if let Some(value) = route.get(key) {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let _ = write!(line, " {shown} {value}");
        }
    }
    line
}

/// The parameters of every link, and forwarding.
fn sysctls(picture: &mut Picture, names: &Names, (place, netns): (&str, &Netns), parameters: Parameters) {
    netns.run(|| {
        let net = Path::new("/proc/sys/net");
        let mut put = |path: String, file: &Path| {
            // Some can only be written, have no value yet, or are of one family.
            if let Ok(value) = fs::read_to_string(file) {
                picture.insert(path, value.trim().into());
            }
        };
        put(format!("{place} sysctl ip_forward"), &net.join("ipv4/ip_forward"));
        for family in ["ipv4", "ipv6"] {
            for link in fs::read_dir(net.join(family).join("conf")).into_iter().flatten().flatten() {
                let name = link.file_name().to_string_lossy().into_owned();
                let whose = match name.as_str() {
                    "all" | "default" => format!("sysctl {name}"),
                    _ => format!("link {} sysctl", names.link(&name)),
                };
                let keys: Vec<String> = match parameters {
                    Parameters::Touched => TOUCHED.map(str::to_owned).into(),
                    Parameters::Every => {
                        let all = fs::read_dir(link.path()).into_iter().flatten().flatten();
                        all.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
                    }
                };
                for key in keys {
                    put(format!("{place} {whose} {family} {key}"), &link.path().join(key));
                }
            }
        }
    });
}

/// Queueing disciplines, and where what comes in is sent to.
fn shaping(picture: &mut Picture, names: &Names, node: &Netns) {
    let all = node.json("tc -j qdisc show");
    for qdisc in all.as_array().into_iter().flatten() {
        let (dev, kind) = (text(qdisc, "dev"), text(qdisc, "kind"));
        let own = names.link(dev);
        match kind {
            "noqueue" => {}
            "ingress" | "clsact" => {
                picture.insert(format!("node qdisc {own} {kind}"), true.into());
                let filters = node.json(&format!("tc -j filter show dev {dev} ingress"));
                let to = redirection(&filters).map(|to| names.link(to));
                picture.insert(format!("node redirect {own}"), to.into());
            }
            _ => {
                let position = if qdisc["root"] == true { "root" } else { text(qdisc, "parent") };
                for (key, value) in qdisc["options"].as_object().into_iter().flatten() {
                    picture.insert(format!("node qdisc {own} {position} {kind} {key}"), value.clone());
                }
                picture.insert(format!("node qdisc {own} {position} {kind}"), true.into());
            }
        }
    }
}

/// The link that the first filter's first action redirects to.
fn redirection(filters: &Value) -> Option<&str> {
    let mut filters = filters.as_array()?.iter();
    let actions = filters.find_map(|filter| filter["options"]["actions"].as_array())?;
    actions.iter().find(|action| action["mirred_action"] == "redirect")?["to_dev"].as_str()
}

/// The VLANs of each port, where the kernel has such.
fn vlans(picture: &mut Picture, names: &Names, node: &Netns) {
    let output = node.try_sh("bridge -j vlan show");
    let all: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    for port in all.as_array().into_iter().flatten() {
        let own = names.link(text(port, "ifname"));
        for vlan in port["vlans"].as_array().into_iter().flatten() {
            let last = vlan.get("vlanEnd").unwrap_or(&vlan["vlan"]);
            let path = format!("node vlan {own} {}-{last}", vlan["vlan"]);
            picture.insert(path, vlan["flags"].clone());
        }
    }
}

/// Leases and whatever else plugins keep: what is in the files, and who may read it.
fn files(picture: &mut Picture, folder: &Path) {
    for file in node::files(folder) {
        let path = folder.join(&file);
        let content = fs::read(&path).unwrap_or_default();
        let mode = fs::metadata(&path).map(|found| found.permissions().mode() & 0o7777).unwrap_or_default();
        let name = file.display();
        picture.insert(format!("file {name}"), String::from_utf8_lossy(&content).into());
        picture.insert(format!("file {name} mode"), format!("{mode:o}").into());
    }
}

/// Which containers any rule of the firewall names: by their ids, or by addresses in the ranges that cases use.
fn mentions(picture: &mut Picture, stage: &Stage) {
    let rules = stage.node.run(|| {
        let all = sh::run(&mut sh::words("nft list ruleset"));
        let savers = ["ip", "ip6"].into_iter().filter(|family| all.contains(&format!("table {family} nat")));
        let saved = savers.map(|family| sh::run(&mut sh::words(&format!("{family}tables-nft-save"))));
        saved.fold(all.clone(), |text, more| text + &more)
    });
    for name in stage.containers.keys() {
        let id = id(name);
        let ends = |rest: &str| !rest.starts_with(|next: char| next.is_ascii_alphanumeric());
        let named = rules.match_indices(&id).any(|(at, _)| rules.get(at + id.len()..).is_some_and(ends));
        picture.insert(format!("firewall names {name}"), named.into());
    }
}

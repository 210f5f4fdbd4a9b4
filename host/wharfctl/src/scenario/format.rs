//! What a scenario file says. `docs/scenarios.md` is the page for people.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::{Map, Value};
use wharf_ops::nat::Protocol;
use wharf_ops::{IpNetwork, Mac};

/// One file: a network, the machine that it is on, and what happens.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Scenario {
    /// What it shows, in a sentence.
    pub(super) about: String,
    pub(super) network: Network,
    #[serde(default)]
    pub(super) kernel: Kernel,
    #[serde(default)]
    pub(super) host: Place,
    #[serde(default)]
    pub(super) containers: BTreeMap<String, Place>,
    /// By network, then by address: `container/ifname`.
    #[serde(default)]
    pub(super) leases: BTreeMap<String, BTreeMap<IpAddr, String>>,
    /// By absolute path.
    #[serde(default)]
    pub(super) files: BTreeMap<String, String>,
    /// By guest, without the digest: what replaces the grant that `wharfctl install` would write.
    #[serde(default)]
    pub(super) grants: BTreeMap<String, String>,
    #[serde(rename = "step")]
    pub(super) steps: Vec<Step>,
}

/// A network configuration list, as CNI writes it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Network {
    #[serde(default = "default_name")]
    pub(super) name: String,
    #[serde(default = "default_version")]
    pub(super) cni_version: String,
    #[serde(default)]
    pub(super) plugins: Vec<Map<String, Value>>,
    /// A file beside the scenario, instead of all of these.
    pub(super) conflist: Option<PathBuf>,
    /// Each plugin is a process of its own, as for a list that names them; else they are one `chain`.
    #[serde(default)]
    pub(super) separate: bool,
}

fn default_name() -> String {
    "net".to_owned()
}

fn default_version() -> String {
    wharf_cni::Version::CURRENT.as_str().to_owned()
}

/// What the kernel has.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
#[allow(clippy::struct_excessive_bools, reason = "options of a kernel are independent of each other")]
pub(super) struct Kernel {
    /// What MAC addresses are made up from.
    pub(super) seed: u64,
    pub(super) nftables: bool,
    pub(super) iptables: bool,
    pub(super) vlan_filtering: bool,
    pub(super) bridge_netfilter: bool,
}

impl Default for Kernel {
    fn default() -> Self {
        Self { seed: 1, nftables: true, iptables: true, vlan_filtering: true, bridge_netfilter: true }
    }
}

/// A namespace: what is in it from the start, or what becomes of it in a step.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Place {
    /// The namespace is deleted.
    pub(super) gone: bool,
    /// The host begins without the usual `eth0`.
    pub(super) bare: bool,
    pub(super) links: BTreeMap<String, Link>,
    pub(super) routes: Vec<Route>,
    /// Below /proc/sys/net, as `ipv4/ip_forward`.
    pub(super) sysctls: BTreeMap<String, Value>,
    /// Chains in the nat table of iptables, as kube-proxy makes them.
    pub(super) chains: Vec<String>,
    /// Attachments whose firewall rules somebody flushes.
    pub(super) flush: Vec<String>,
}

/// A link: it is made if it is not there.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Link {
    pub(super) gone: bool,
    /// As `ip -d link` shows it; nothing for hardware.
    pub(super) kind: Option<String>,
    /// Of a container's veth: the name of the host's end.
    pub(super) peer: Option<String>,
    pub(super) up: Option<bool>,
    pub(super) mtu: Option<u32>,
    pub(super) mac: Option<Mac>,
    pub(super) master: Option<String>,
    pub(super) addresses: Vec<IpNetwork>,
    /// Addresses that it loses.
    pub(super) without: Vec<IpNetwork>,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Route {
    pub(super) to: IpNetwork,
    pub(super) via: Option<IpAddr>,
    pub(super) dev: Option<String>,
}

/// Something that happens, and what is expected of it. Exactly one of the first group is there.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub(super) struct Step {
    /// `container`, or `container/ifname`.
    pub(super) add: Option<String>,
    pub(super) check: Option<String>,
    pub(super) del: Option<String>,
    /// The attachments that are valid.
    pub(super) gc: Option<Vec<String>>,
    pub(super) status: Option<bool>,
    pub(super) probe: Option<Probe>,
    pub(super) host: Option<Place>,
    pub(super) containers: BTreeMap<String, Place>,

    /// CNI_ARGS.
    pub(super) args: BTreeMap<String, String>,
    /// What the runtime tells about capabilities: `portMappings`, `bandwidth`, `mac`, ...
    pub(super) runtime: Map<String, Value>,
    /// CNI_NETNS, if not that of the container; empty for none.
    pub(super) netns: Option<String>,
    /// Other plugins than the network's: a configuration that was changed meanwhile.
    pub(super) plugins: Option<Vec<Map<String, Value>>>,
    /// The runtime lost what ADD answered.
    pub(super) forgotten: bool,
    pub(super) fault: Option<Fault>,

    /// That it fails, and how.
    pub(super) error: Option<Refusal>,
    /// Of a DEL: words of each failure that it goes on after.
    pub(super) goes_on_after: Vec<String>,
    /// What the result has, among other things.
    pub(super) result: Option<Value>,
    /// Changes that are made, in this order, among others: an operation, and words of its line.
    pub(super) changes: Option<Vec<String>>,
}

/// A packet.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Probe {
    /// A container, or `host`.
    pub(super) from: String,
    /// `10.1.0.1:80`, `[fd00::1]:80`.
    pub(super) to: std::net::SocketAddr,
    #[serde(default = "tcp")]
    pub(super) protocol: Protocol,
    /// One of the sender's addresses.
    pub(super) source: Option<IpAddr>,

    /// The container that gets it, or `host`.
    pub(super) arrives: Option<String>,
    /// The link of the host that it leaves the machine by.
    pub(super) leaves: Option<String>,
    /// Why it is dropped: words of the reason.
    pub(super) dropped: Option<String>,
    /// Where it comes from, as whoever gets it sees it.
    pub(super) seen_from: Option<IpAddr>,
    /// Where it was sent to, as whoever gets it sees it.
    pub(super) seen_to: Option<std::net::SocketAddr>,
    /// The lowest limit on the way, in bits per second; 0 for none.
    pub(super) rate: Option<u64>,
    /// The lowest MTU on the way.
    pub(super) mtu: Option<u32>,
}

fn tcp() -> Protocol {
    Protocol::Tcp
}

/// An operation that fails.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Fault {
    /// The number of a change of this step, from 1.
    pub(super) change: Option<u32>,
    /// Or the first operation of this name.
    pub(super) operation: Option<String>,
    /// `ENOSPC`, or a number.
    pub(super) errno: String,
}

/// How a call is expected to fail.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged)]
pub(super) enum Refusal {
    /// With this code.
    Code(u32),
    /// With these words in its message.
    Words(String),
    /// With both.
    Both(BothOf),
}

/// Code and message of an error.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct BothOf {
    pub(super) code: u32,
    pub(super) message: String,
}

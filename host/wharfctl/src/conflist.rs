//! `wharfctl conflist`: the network configuration list of a Kubernetes node.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::ValueEnum;
use serde_json::{Map, Value, json};
use wharf_broker::Paths;
use wharf_broker::guests::write_atomically;
use wharf_cni::{Version, config};
use wharf_kernel::common::check_new_name;
use wharf_ops::IpNetwork;

use crate::say::{self, say};
use crate::told::whole;

/// The chain in which kube-proxy marks what it masquerades.
const KUBE_MARK_MASQ: &str = "KUBE-MARK-MASQ";
/// Addresses that no link is reached by, and what they are.
const NOT_FOR_PODS: [(&str, &str); 6] = [
    ("0.0.0.0/8", "addresses of no host (0.0.0.0/8)"),
    ("127.0.0.0/8", "loopback addresses (127.0.0.0/8)"),
    ("224.0.0.0/4", "multicast addresses (224.0.0.0/4)"),
    ("::/128", "the address of no host (::)"),
    ("::1/128", "the loopback address (::1)"),
    ("ff00::/8", "multicast addresses (ff00::/8)"),
];
/// The smallest MTU that the kernel takes for a veth.
const LEAST_MTU: i64 = 68;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The node's pod CIDR, or one of each family with a comma between: `.spec.podCIDRs` of the node.
    #[arg(long, value_name = "CIDR", value_delimiter = ',', required = true)]
    pod_cidr: Vec<IpNetwork>,
    /// The pod CIDR of the other family, as an alternative to a second one in --pod-cidr.
    #[arg(long, value_name = "CIDR")]
    dual_stack: Option<IpNetwork>,
    #[command(flatten)]
    shape: Shape,
    /// Write it to this file, by a rename, instead of printing it; a whole path, below WHARF_ROOT.
    #[arg(long, value_name = "FILE", value_parser = whole::<PathBuf>)]
    write: Option<PathBuf>,
}

/// Everything but the addresses.
#[derive(Debug, clap::Args)]
pub(crate) struct Shape {
    /// The network's name.
    #[arg(long, default_value = "pods", value_parser = network)]
    name: String,
    /// The bridge that pods are ports of.
    #[arg(long, default_value = "cni0", value_parser = link_name)]
    bridge: String,
    /// 1.0.0, because containerd 1.7 refuses 1.1.0; that one brings STATUS and GC where the runtime knows it.
    #[arg(long, default_value = "1.0.0", value_parser = version)]
    cni_version: Version,
    /// Plugins by their own names, or all in one process.
    #[arg(long, value_enum, default_value = "drop-in")]
    style: Style,
    /// How kube-proxy works on this node.
    #[arg(long, value_enum, default_value = "iptables")]
    kube_proxy: KubeProxy,
    /// The pods' MTU. [default: the kernel's]
    #[arg(long, value_parser = clap::value_parser!(u32).range(LEAST_MTU..=65_535))]
    mtu: Option<u32>,
    /// Leave the source of what goes to other networks as it is: something else masquerades, or routes lead back.
    #[arg(long)]
    no_ip_masq: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Style {
    /// `bridge`, `portmap`, `bandwidth`: each a link to `wharf` (`wharfctl install --drop-in`).
    DropIn,
    /// `wharf` with a `chain`: one process and one rollback for all.
    Chain,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum KubeProxy {
    /// Mapped ports are marked for masquerading by its chain KUBE-MARK-MASQ.
    Iptables,
    /// As iptables: it has the same chain.
    Ipvs,
    /// It has no such chain: mapped ports do without.
    Nftables,
    /// There is none, or something else in its place.
    None,
}

fn network(text: &str) -> Result<String, String> {
    config::network_name(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// As the bridge guest and the kernel take it, whom no ADD would get past.
fn link_name(text: &str) -> Result<String, String> {
    check_new_name(text).map_err(|error| error.to_string())?;
    if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        return Err(format!("{text:?} has white space or control characters: no link is called so"));
    }
    if text == "lo" {
        return Err("lo is the host's loopback link, and no bridge".to_owned());
    }
    Ok(text.to_owned())
}

/// Why no pod could have an address of it, if so.
fn unusable(cidr: &IpNetwork) -> Option<&'static str> {
    NOT_FOR_PODS.into_iter().find_map(|(text, what)| {
        let range: IpNetwork = text.parse().ok()?;
        (range.contains(cidr.ip()) || cidr.contains(range.ip())).then_some(what)
    })
}

fn version(text: &str) -> Result<Version, String> {
    let known = wharf_cni::version::SUPPORTED.iter().find(|version| version.as_str() == text);
    known.copied().ok_or_else(|| {
        let all: Vec<&str> = wharf_cni::version::SUPPORTED.iter().map(|version| version.as_str()).collect();
        format!("give one of {}", all.join(", "))
    })
}

pub(crate) fn run(paths: &Paths, options: &Options) -> Result<()> {
    let cidrs: Vec<IpNetwork> = options.pod_cidr.iter().chain(&options.dual_stack).copied().collect();
    let text = serde_json::to_string_pretty(&list(&cidrs, &options.shape)?)? + "\n";
    let Some(file) = &options.write else {
        return say::text(&text);
    };
    let file = paths.inside(&file.to_string_lossy());
    let (Some(directory), Some(name)) = (file.parent(), file.file_name().and_then(|name| name.to_str()))
    else {
        bail!("--write {}: is no file's name", file.display());
    };
    write_atomically(directory, name, text.as_bytes())?;
    say!("{}", file.display());
    Ok(())
}

/// The list for a node with these pod CIDRs, one or one of each family.
fn list(cidrs: &[IpNetwork], shape: &Shape) -> Result<Value> {
    for (index, cidr) in cidrs.iter().enumerate() {
        if cidr.ip() != cidr.network() {
            bail!(
                "--pod-cidr {cidr}: has host bits set; the network is {}/{}",
                cidr.network(),
                cidr.prefix()
            );
        }
        if let Some(what) = unusable(cidr) {
            bail!("--pod-cidr {cidr}: has {what}, which no pod can have");
        }
        if let Some(other) = cidrs.iter().take(index).find(|other| other.is_ipv4() == cidr.is_ipv4()) {
            bail!("--pod-cidr {other} and {cidr} are of one family: a node has one of each at most");
        }
        let bits = if cidr.is_ipv4() { 32 } else { 128 };
        if cidr.prefix() > bits - 2 {
            bail!("--pod-cidr {cidr}: is too small for a gateway and a pod");
        }
    }
    let ranges: Vec<Value> = cidrs.iter().map(|cidr| json!([{"subnet": cidr}])).collect();
    Ok(with_ranges(&Value::Array(ranges), shape))
}

/// The list with these `ranges` of host-local.
fn with_ranges(ranges: &Value, shape: &Shape) -> Value {
    let plugins = [bridge(ranges, shape), portmap(shape), bandwidth()];
    let plugins = match shape.style {
        Style::DropIn => plugins.to_vec(),
        Style::Chain => {
            // To the runtime it is one plugin, which must ask for what its own plugins ask for.
            let mut capabilities = Map::new();
            for plugin in &plugins {
                capabilities.extend(
                    plugin.get("capabilities").and_then(Value::as_object).cloned().unwrap_or_default(),
                );
            }
            vec![json!({"type": "wharf", "capabilities": capabilities, "chain": plugins})]
        }
    };
    json!({"cniVersion": shape.cni_version, "name": shape.name, "plugins": plugins})
}

fn bridge(ranges: &Value, shape: &Shape) -> Value {
    let mut bridge = json!({
        "type": "bridge",
        "bridge": shape.bridge,
        "isDefaultGateway": true,
        "ipMasq": !shape.no_ip_masq,
        // A pod reaches itself through a service.
        "hairpinMode": true,
        "ipam": {"type": "host-local", "ranges": ranges},
    });
    if let (Some(mtu), Some(object)) = (shape.mtu, bridge.as_object_mut()) {
        object.insert("mtu".to_owned(), json!(mtu));
    }
    bridge
}

fn portmap(shape: &Shape) -> Value {
    let capabilities = json!({"portMappings": true});
    match shape.kube_proxy {
        KubeProxy::Iptables | KubeProxy::Ipvs => {
            json!({"type": "portmap", "capabilities": capabilities, "externalSetMarkChain": KUBE_MARK_MASQ})
        }
        KubeProxy::Nftables | KubeProxy::None => json!({"type": "portmap", "capabilities": capabilities}),
    }
}

fn bandwidth() -> Value {
    json!({"type": "bandwidth", "capabilities": {"bandwidth": true}})
}

#[cfg(test)]
mod tests;

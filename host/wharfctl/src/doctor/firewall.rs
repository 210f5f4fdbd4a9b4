//! nftables or iptables, in which flavour, what kube-proxy has there, and the parameters that belong to it.

use wharf_kernel::flavour::{Flavour, firewall, iptables_chain, parameter};
use wharf_kernel::{Netns, RealKernel};
use wharf_ops::IpNetwork;

use super::{Findings, Node};
use crate::lists::{List, pools};

/// Chains by which kube-proxy's iptables and ipvs modes are known.
const KUBE_PROXY: [&str; 2] = ["KUBE-SERVICES", "KUBE-POSTROUTING"];
/// Per mille of the table of connections from which it is nearly full.
const NEARLY_FULL: u64 = 900;

pub(super) fn check(node: &Node<'_>, findings: &mut Findings) {
    let host = match Netns::own() {
        Ok(host) => host,
        Err(error) => return findings.error("/proc/self/ns/net", error, "mount /proc"),
    };
    let mut kernel = RealKernel::new(host, None);
    let kube_proxy = flavour(&mut kernel, findings);
    for (file, list) in node.readable() {
        mark_chains(&mut kernel, file, list, kube_proxy, findings);
    }
    let subnets: Vec<IpNetwork> = node.readable().flat_map(|(_, list)| subnets(node, list)).collect();
    bridge_netfilter(&mut kernel, kube_proxy.is_some(), &subnets, findings);
    forwarding(&mut kernel, &subnets, findings);
    connections(&mut kernel, findings);
}

fn subnets(node: &Node<'_>, list: &List) -> Vec<IpNetwork> {
    pools(node.paths, list).into_iter().flat_map(|pool| pool.ranges).map(|range| range.subnet).collect()
}

/// Says what there is; answers where kube-proxy's iptables rules are.
fn flavour(kernel: &mut RealKernel, findings: &mut Findings) -> Option<Flavour> {
    let found = match firewall(kernel) {
        Ok(found) => found,
        Err(error) => {
            findings.error("netlink", error, "run this as root with CAP_NET_ADMIN");
            return None;
        }
    };
    let kube_proxy = KUBE_PROXY.iter().find_map(|chain| iptables_chain(kernel, chain, true).ok().flatten());
    let mut words = vec![if found.nf_tables { "nf_tables" } else { "no nf_tables" }];
    if found.legacy_nat {
        words.push("tables of iptables-legacy");
    }
    match kube_proxy {
        Some(Flavour::Nft) => words.push("kube-proxy by iptables-nft"),
        Some(Flavour::Legacy) => words.push("kube-proxy by iptables-legacy"),
        None if found.kube_proxy_nftables => words.push("kube-proxy by nftables"),
        None => {}
    }
    let what = words.join(", ");
    match &found.legacy_missing {
        Some(reason) => {
            findings.error("iptables", format!("{what}; {reason}"), "install the package iptables");
        }
        None if !found.nf_tables && !found.legacy_nat => {
            findings.error("kernel", what, "load nf_tables, or use iptables-legacy");
        }
        None if found.legacy_nat && kube_proxy == Some(Flavour::Nft) => {
            let what = format!("{what}: rules in two places, and a packet has to pass both");
            findings.warning("iptables", what, "remove the legacy rules (iptables-legacy -t nat -S)");
        }
        None => findings.ok("host", what),
    }
    kube_proxy
}

/// portmap's chain of somebody else's must be there when a port is mapped.
fn mark_chains(
    kernel: &mut RealKernel,
    file: &std::path::Path,
    list: &List,
    kube_proxy: Option<Flavour>,
    findings: &mut Findings,
) {
    for plugin in list.plugins.iter().filter(|plugin| plugin.kind == "portmap") {
        let Some(chain) = plugin.raw.get("externalSetMarkChain").and_then(|chain| chain.as_str()) else {
            continue;
        };
        let place = format!("{}: {}.externalSetMarkChain", file.display(), plugin.place);
        match iptables_chain(kernel, chain, true) {
            Ok(Some(_)) => findings.ok(place, format!("{chain} is there")),
            Ok(None) if kube_proxy.is_some() => {
                let what = format!(
                    "kube-proxy is here, and iptables has no chain {chain}: pods with mapped ports fail"
                );
                findings.error(place, what, "correct the name, or leave the key out");
            }
            Ok(None) => {
                let what = format!(
                    "iptables has no chain {chain}: pods with mapped ports fail until something makes it"
                );
                let cure = "start kube-proxy in its iptables or ipvs mode, or leave the key out (`wharfctl conflist --kube-proxy none`)";
                findings.warning(place, what, cure);
            }
            Err(error) => findings.warning(place, error, "install the package iptables"),
        }
    }
}

/// kube-proxy's rules must see what goes from one port of a bridge to another.
fn bridge_netfilter(
    kernel: &mut RealKernel,
    kube_proxy: bool,
    subnets: &[IpNetwork],
    findings: &mut Findings,
) {
    if !kube_proxy {
        return;
    }
    for (key, v4) in [("bridge/bridge-nf-call-iptables", true), ("bridge/bridge-nf-call-ip6tables", false)] {
        if !v4 && !subnets.iter().any(IpNetwork::is_ipv6) {
            continue;
        }
        let name = format!("net.{}", key.replace('/', "."));
        let why = "a pod that asks a service for another pod of this node gets no answer";
        match parameter(kernel, key) {
            Ok(Some(value)) if value == "1" => findings.ok(name, "1, as kube-proxy needs it"),
            Ok(Some(value)) => {
                let cure = format!(
                    "sysctl -w {name}=1, and keep it in /etc/sysctl.d (`wharfctl install --sysctls` sets it)"
                );
                findings.error(name, format!("is {value}, and kube-proxy needs 1: {why}"), cure);
            }
            Ok(None) => {
                let cure = "modprobe br_netfilter, and keep it in /etc/modules-load.d";
                findings.error(name, format!("there is none, and kube-proxy needs it: {why}"), cure);
            }
            Err(error) => findings.warning(name, error, "run this as root"),
        }
    }
}

fn forwarding(kernel: &mut RealKernel, subnets: &[IpNetwork], findings: &mut Findings) {
    for (key, v4) in [("ipv4/ip_forward", true), ("ipv6/conf/all/forwarding", false)] {
        if !subnets.iter().any(|subnet| subnet.is_ipv4() == v4) {
            continue;
        }
        let name = format!("net.{}", key.replace('/', "."));
        match parameter(kernel, key) {
            Ok(Some(value)) if value != "0" => findings.ok(name, value),
            Ok(Some(_)) => {
                let what = "is 0: a bridge that is a gateway sets it with the next pod, and what sets it back cuts pods off";
                findings.warning(name.clone(), what, format!("keep {name}=1 in /etc/sysctl.d"));
            }
            Ok(None) => {
                let what = "there is none, and a list has addresses of that family";
                findings.error(name, what, "use a kernel with IPv6, and without ipv6.disable=1");
            }
            Err(error) => findings.warning(name, error, "run this as root"),
        }
    }
    if subnets.iter().any(IpNetwork::is_ipv6)
        && parameter(kernel, "ipv6/conf/default/disable_ipv6").ok().flatten().as_deref() == Some("1")
    {
        let what = "is 1, and a list has IPv6 addresses";
        findings.error("net.ipv6.conf.default.disable_ipv6", what, "set it to 0");
    }
}

fn connections(kernel: &mut RealKernel, findings: &mut Findings) {
    let mut number = |key: &str| parameter(kernel, key).ok()??.parse::<u64>().ok();
    let (count, most) = ("netfilter/nf_conntrack_count", "netfilter/nf_conntrack_max");
    if let (Some(count), Some(most)) = (number(count), number(most))
        && count.saturating_mul(1000) >= most.saturating_mul(NEARLY_FULL)
    {
        let what = format!("{count} of {most} connections are tracked: new ones are dropped when it is full");
        findings.warning("net.netfilter.nf_conntrack_max", what, "raise it");
    }
}

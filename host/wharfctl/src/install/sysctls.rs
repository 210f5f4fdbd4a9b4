//! Parameters of a node that runs pods. They are set for now: a file in /etc/sysctl.d keeps them.

use std::fs;

use anyhow::{Context, Result};

use crate::say::say;

/// Key below /proc/sys/net, and what is to be done where there is none.
const WANTED: [(&str, &str); 4] = [
    ("ipv4/ip_forward", ""),
    ("ipv6/conf/all/forwarding", "without IPv6"),
    ("bridge/bridge-nf-call-iptables", "kube-proxy needs it: modprobe br_netfilter"),
    ("bridge/bridge-nf-call-ip6tables", "kube-proxy needs it: modprobe br_netfilter"),
];

/// Sets all of them to 1, in the network namespace that this runs in.
pub(super) fn set() -> Result<()> {
    for (key, reason) in WANTED {
        let file = format!("/proc/sys/net/{key}");
        let name = format!("net.{}", key.replace('/', "."));
        match fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !reason.is_empty() => {
                say!("{name}: there is none ({reason})");
            }
            // Also where it cannot be written: it need not be.
            Ok(value) if value.trim() == "1" => {}
            _ => {
                fs::write(&file, "1")
                    .with_context(|| format!("cannot set {name}: run it with hostNetwork, as root"))?;
                say!("{name} = 1");
            }
        }
    }
    Ok(())
}

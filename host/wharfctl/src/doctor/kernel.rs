//! What the kernel can do, found out by doing it: each feature that installed plugins use is tried in two throw-away
//! namespaces, which go with everything that was made in them.

use std::net::{IpAddr, Ipv4Addr};

use wharf_kernel::{Kernel as _, Netns, RealKernel};
use wharf_ops::filter::FilterOp;
use wharf_ops::links::{Common, LinkOp, VethEnd};
use wharf_ops::nat::{Backend, ForwardOptions, MasqueradeRule, NatOp, PortForward, Protocol};
use wharf_ops::shaping::{Rate, ShapingOp};
use wharf_ops::{Attachment, Error, KernelOp, Link, Ns, Reply};

use super::{Findings, Node};

const BRIDGE: &str = "wharf-dr0";
const HOST_END: &str = "wharf-dr1";
const INNER_END: &str = "eth0";
const IFB: &str = "wharf-dr2";
/// Of the networks for documentation (RFC 5737).
const CONTAINER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 2));
const RATE: Rate = Rate { bits_per_second: 8_000_000, burst_bits: 800_000, latency_ms: 25 };

/// A thing to try, and for which plugin.
type Trial = (&'static str, &'static str, fn(&mut Lab) -> Result<(), Error>);

/// In the order in which they build on each other.
const TRIALS: [Trial; 9] = [
    ("bridge", "links of kind bridge", |lab| lab.ensure_bridge(false)),
    ("bridge", "links of kind veth, one end in another namespace", Lab::veth),
    ("bridge", "ports of bridges", Lab::port),
    ("bridge", "nf_tables: a masqueraded address", |lab| lab.masquerade(Backend::Nftables)),
    ("portmap", "nf_tables: a mapped port", Lab::forward),
    ("portmap", "nf_tables: rules that iptables can read", |lab| lab.masquerade(Backend::Iptables)),
    ("bandwidth", "qdisc tbf", Lab::shape),
    ("bandwidth", "links of kind ifb, qdisc ingress, filter u32 with mirred", Lab::redirect),
    ("bridge", "nf_tables of family bridge, for macspoofchk", Lab::guard),
];

/// Two namespaces and what was made in them.
struct Lab {
    kernel: RealKernel,
    owner: Attachment,
    bridge: Option<Link>,
    port: Option<Link>,
}

pub(super) fn check(node: &Node<'_>, findings: &mut Findings) {
    let mut lab = match Lab::new() {
        Ok(lab) => lab,
        Err(reason) => {
            let what = format!("no network namespace can be made: {reason}");
            findings.error(
                "unshare(2)",
                what,
                "run this as root with CAP_SYS_ADMIN; see user.max_net_namespaces",
            );
            return;
        }
    };
    for (plugin, feature, attempt) in TRIALS {
        match attempt(&mut lab) {
            Ok(()) => findings.ok(plugin, format!("{feature}: works")),
            Err(error) => {
                let what = format!("{feature}: {error}");
                let cure = "load or build the kernel module; a container needs CAP_NET_ADMIN for it";
                // What no list uses is no pod's trouble.
                if node.uses(plugin) {
                    findings.error(plugin, what, cure);
                } else {
                    findings.note(plugin, what, cure);
                }
            }
        }
    }
    if vlans(node) {
        let works = Lab::new().and_then(|mut lab| lab.ensure_bridge(true).map_err(|error| error.to_string()));
        match works {
            Ok(()) => findings.ok("bridge", "VLAN filtering: works"),
            Err(reason) => {
                let what = format!("a list uses VLANs, and bridges cannot filter them: {reason}");
                findings.error("bridge", what, "use a kernel with CONFIG_BRIDGE_VLAN_FILTERING");
            }
        }
    }
}

fn vlans(node: &Node<'_>) -> bool {
    let mut plugins = node.readable().flat_map(|(_, list)| &list.plugins);
    plugins.any(|plugin| {
        let vlan = plugin.raw.get("vlan").and_then(serde_json::Value::as_u64).unwrap_or_default();
        plugin.kind == "bridge" && (vlan != 0 || plugin.raw.contains_key("vlanTrunk"))
    })
}

impl Lab {
    fn new() -> Result<Self, String> {
        let space = || Netns::anonymous().map_err(|error| error.to_string());
        let kernel = RealKernel::new(space()?, Some(space()?));
        let owner =
            Attachment { network: "wharf-doctor".into(), container: "doctor".into(), ifname: "eth0".into() };
        Ok(Self { kernel, owner, bridge: None, port: None })
    }

    fn apply(&mut self, op: &KernelOp) -> Result<Reply, Error> {
        self.kernel.apply(&self.owner, op)
    }

    fn ensure_bridge(&mut self, vlan_filtering: bool) -> Result<(), Error> {
        let common = Common { name: BRIDGE.into(), ..Common::default() };
        let op = KernelOp::Link(LinkOp::EnsureBridge { ns: Ns::Host, common, vlan_filtering });
        self.bridge = Some(self.apply(&op)?.bridge()?.0);
        Ok(())
    }

    fn veth(&mut self) -> Result<(), Error> {
        let end =
            |ns, name: &str| VethEnd { ns, name: name.into(), mtu: None, mac: None, tx_queue_length: None };
        let op = LinkOp::CreateVeth { a: end(Ns::Host, HOST_END), b: end(Ns::Container, INNER_END) };
        self.port = Some(self.apply(&KernelOp::Link(op))?.pair()?.0);
        Ok(())
    }

    fn made(link: Option<&Link>) -> Result<Link, Error> {
        link.cloned().ok_or_else(|| Error::not_found("what it builds on does not work"))
    }

    fn port(&mut self) -> Result<(), Error> {
        let (link, master) = (Self::made(self.port.as_ref())?, Self::made(self.bridge.as_ref())?);
        self.apply(&KernelOp::Link(LinkOp::SetMaster { link, master: Some(master) })).map(drop)
    }

    fn masquerade(&mut self, backend: Backend) -> Result<(), Error> {
        let rules = vec![MasqueradeRule { source: CONTAINER, except: Vec::new() }];
        self.apply(&KernelOp::Nat(NatOp::Masquerade { rules, backend })).map(drop)
    }

    fn forward(&mut self) -> Result<(), Error> {
        let rule = PortForward {
            protocol: Protocol::Tcp,
            host_address: None,
            host_port: 8080,
            container_address: CONTAINER,
            container_port: 80,
        };
        let options = ForwardOptions {
            backend: Backend::Nftables,
            snat: true,
            masquerade_all: false,
            subnets: vec![CONTAINER.into()],
            mark_bit: 13,
            external_mark_chain: None,
            conditions_v4: Vec::new(),
            conditions_v6: Vec::new(),
        };
        self.apply(&KernelOp::Nat(NatOp::ForwardPorts { rules: vec![rule], options })).map(drop)
    }

    fn shape(&mut self) -> Result<(), Error> {
        let on = Self::made(self.port.as_ref())?;
        self.apply(&KernelOp::Shaping(ShapingOp::SetEgress { on, rate: RATE })).map(drop)
    }

    fn redirect(&mut self) -> Result<(), Error> {
        let on = Self::made(self.port.as_ref())?;
        let common = Common { name: IFB.into(), ..Common::default() };
        let to = self.apply(&KernelOp::Link(LinkOp::CreateIfb { ns: Ns::Host, common }))?.link()?;
        self.apply(&KernelOp::Shaping(ShapingOp::RedirectIngress { on, to })).map(drop)
    }

    fn guard(&mut self) -> Result<(), Error> {
        let link = Self::made(self.port.as_ref())?.name;
        let allowed = wharf_ops::Mac([2, 0, 0, 0, 0, 1]);
        self.apply(&KernelOp::Filter(FilterOp::AntiSpoof { link, allowed })).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use wharf_broker::Paths;

    use super::super::{Severity, findings};
    use super::*;

    #[test]
    fn features_are_tried_where_nobody_sees_it() {
        if !nix::unistd::geteuid().is_root() {
            println!("SKIPPED: features_are_tried_where_nobody_sees_it: it needs root");
            return;
        }
        let root = tempfile::tempdir().unwrap();
        let paths = Paths::below(root.path());
        let node = Node::new(&paths, "/etc/cni/net.d".as_ref(), "/opt/cni/bin".as_ref()).unwrap();
        let all = findings("kernel", |findings| check(&node, findings));
        assert_eq!(all.len(), TRIALS.len(), "{all:?}");
        assert!(all.iter().all(|finding| finding.severity == Severity::Ok), "{all:?}");
        let links = std::fs::read_to_string("/proc/net/dev").unwrap();
        assert!(!links.contains("wharf-dr"), "{links}");
    }

    #[test]
    fn what_builds_on_something_that_failed_says_so() {
        let Ok(mut lab) = Lab::new() else {
            println!("SKIPPED: what_builds_on_something_that_failed_says_so: it needs root");
            return;
        };
        assert!(lab.shape().unwrap_err().to_string().contains("builds on"));
    }
}

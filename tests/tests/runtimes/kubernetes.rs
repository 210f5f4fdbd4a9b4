//! A node as `wharfctl conflist` sets it up for Kubernetes, with the chains that kube-proxy makes.

use wharf_tests::install::wharfctl;
use wharf_tests::runtimes::containerd::{Containerd, Release};
use wharf_tests::runtimes::pod::Spec;
use wharf_tests::runtimes::{List, Machine};
use wharf_tests::{Netns, Node, sh, skip};

use super::traffic;

/// What kube-proxy makes when it starts, as far as others use it.
fn kube_proxy(node: &Netns) {
    for program in ["iptables", "ip6tables"] {
        for rule in [
            "-N KUBE-MARK-MASQ",
            "-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000",
            "-N KUBE-POSTROUTING",
            "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
            "-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000",
            "-A KUBE-POSTROUTING -j MASQUERADE",
            "-A POSTROUTING -j KUBE-POSTROUTING",
        ] {
            node.sh(&format!("{program} -w -t nat {rule}"));
        }
    }
}

#[test]
fn pods_have_a_network() {
    let node = Node::new();
    for style in ["drop-in", "chain"] {
        for proxy in ["iptables", "nftables"] {
            let mut conflist = wharfctl(&node.root());
            conflist.args(["conflist", "--pod-cidr=10.1.0.0/24,fd01::/64", "--style", style]);
            let text = sh::run(conflist.args(["--kube-proxy", proxy]));
            let list = List::parse(&text);
            let prepare = |machine: &Machine| {
                if proxy == "iptables" {
                    kube_proxy(machine.node());
                }
            };
            let containerd = match Containerd::prepared(Release::V1_7, &list, prepare) {
                Ok(containerd) => containerd,
                Err(reason) => skip!("{reason}"),
            };
            let node = containerd.machine().node();
            let outside = node.outside();
            let other = containerd.run(&Spec::new("other").port("udp", 8000, 80).limits(8, 8)).unwrap();
            let before = node.dump();
            let web = Spec::new("web").port("tcp", 8080, 80).port("udp", 8080, 80);
            let web = containerd.run(&web.limits(800, 800)).unwrap();
            traffic::pings(containerd.machine(), &web, &other);
            traffic::masquerades(&outside, &web);
            traffic::mapped(containerd.machine(), &outside, &web, 8080, 80);
            containerd.remove(&web).unwrap();
            node.dump().assert_same(&before);
            containerd.remove(&other).unwrap();
            assert_eq!(node.leased(&list.name), [""; 0]);
        }
    }
}

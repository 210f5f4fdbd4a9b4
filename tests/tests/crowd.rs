//! A node with hundreds of containers: what takes longer the more there are is done another way.

use std::fs;

use wharf_tests::{Node, json, skip, trace};

use crate::common::{full, limits};

/// The walk to a container's parameters goes past those of all others, unless it is in a procfs of its own.
#[test]
fn among_many_parameters_are_set_in_a_procfs_of_its_own() {
    if !trace::available() {
        skip!("strace cannot trace here");
    }
    for (others, mounts) in [(1, 0), (250, 1)] {
        let node = Node::new();
        let journals = node.root().join("run/wharf/attachments");
        fs::create_dir_all(&journals).unwrap();
        for number in 0..others {
            fs::write(journals.join(format!("{number:064}:eth0:bridge:other")), "").unwrap();
        }
        let container = node.container("c");
        let target = container.eth0().port(8080, 80).with("bandwidth", limits());
        let mut config = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "wharf",
            "chain": full("nftables"), "runtimeConfig": target.capabilities,
        });
        for (command, mounts) in [("ADD", mounts), ("CHECK", 0), ("DEL", 0)] {
            let (outcome, calls) = trace::calls(&node, "fsmount", "wharf", command, &target, &config);
            let result = outcome.ok();
            assert_eq!(calls.iter().filter(|line| line.contains("fsmount(")).count(), mounts, "{calls:?}");
            if command == "ADD" {
                config["prevResult"] = result;
                for (key, value) in [("ipv6/conf/eth0/accept_dad", "0"), ("ipv4/conf/eth0/arp_notify", "1")] {
                    assert_eq!(container.sh(&format!("sysctl -n net/{key}")).trim(), value, "{key}");
                }
            }
        }
        assert!(container.link("eth0").is_none());
    }
}

//! host-local with 60,000 leases in a /16: what an allocation costs does not depend on how many there are.

use std::fs;

use wharf_tests::{Node, Target, json, skip, trace};

/// Files of the reference, as a node that is switched over has them, with container IDs as long as containerd's.
fn lease(node: &Node, count: u32) {
    let folder = node.leases("net");
    fs::create_dir_all(&folder).unwrap();
    for number in 0..count {
        let address = std::net::Ipv4Addr::from_bits(0x0a01_0002 + number);
        fs::write(folder.join(address.to_string()), format!("{number:064x}\r\neth0")).unwrap();
    }
    let last = std::net::Ipv4Addr::from_bits(0x0a01_0002 + count - 1);
    fs::write(folder.join("last_reserved_ip.0"), last.to_string()).unwrap();
}

/// The number of system calls of an ADD and of a DEL, after a first ADD that may have to read everything.
fn costs(count: u32) -> (usize, usize) {
    let node = Node::new();
    lease(&node, count);
    let config = json!({
        "cniVersion": "1.1.0", "name": "net", "type": "x",
        "ipam": {"type": "host-local", "subnet": "10.1.0.0/16"},
    });
    let container = node.container("new");
    let mut target = container.eth0();
    for warm_up in ["warm-1", "warm-2"] {
        warm_up.clone_into(&mut target.id);
        node.call("host-local", "ADD", &target, &config).ok();
    }
    "measured".clone_into(&mut target.id);
    let (outcome, add) = trace::calls(&node, "all", "host-local", "ADD", &target, &config);
    let expected = std::net::Ipv4Addr::from_bits(0x0a01_0002 + count + 2);
    assert_eq!(outcome.ok()["ips"][0]["address"], format!("{expected}/16"));
    let (outcome, del) = trace::calls(&node, "all", "host-local", "DEL", &target, &config);
    outcome.silent();
    assert!(!node.leases("net").join(expected.to_string()).exists());
    assert!(node.leases("net").join("10.1.0.2").exists());
    (add.len(), del.len())
}

#[test]
fn sixty_thousand_leases_cost_what_ten_do() {
    if !trace::available() {
        skip!("strace cannot trace here");
    }
    let few = costs(10);
    let many = costs(60_000);
    // Noise is a handful of calls; reading the leases would be tens of thousands.
    for (few, many) in [(few.0, many.0), (few.1, many.1)] {
        assert!(many <= few + few / 4, "{many} system calls with 60000 leases, {few} with 10");
    }
}

#[test]
fn a_full_pool_is_not_available_however_large() {
    for (prefix, addresses) in [(19, (1 << 13) - 3), (16, (1 << 16) - 3)] {
        let node = Node::new();
        // All but one.
        lease(&node, addresses - 1);
        let config = json!({
            "cniVersion": "1.1.0", "name": "net", "type": "x",
            "ipam": {"type": "host-local", "subnet": format!("10.1.0.0/{prefix}")},
        });
        let container = node.container("last");
        node.call("host-local", "STATUS", &Target::new("", "", ""), &config).silent();
        node.call("host-local", "ADD", &container.eth0(), &config).ok();
        let full = node.call("host-local", "STATUS", &Target::new("", "", ""), &config);
        full.error_naming(50, &["no IP addresses available"]);
        node.call("host-local", "ADD", &node.container("more").eth0(), &config).error(102);
    }
}

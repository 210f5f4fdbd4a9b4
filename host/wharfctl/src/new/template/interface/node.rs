//! The guest on a simulated node.

use wharf_sdk::{IpConfig, NetworkResult, Result, code};
use wharf_testkit::{Node, json};
use {{crate}}::{{type}};

/// A node with an address manager that always gives 10.22.0.2.
fn node() -> Node {
    let node = Node::new();
    let ips = vec![IpConfig::new("10.22.0.2/24".parse().unwrap())];
    node.delegate_answers("always", NetworkResult { ips, ..NetworkResult::default() });
    node
}

#[test]
fn a_container_is_reached_until_its_del() -> Result<()> {
    let node = node();
    let pod = node.container("c1");
    let conf = json!({"mtu": 1400, "ipam": {"type": "always"}});
    let result = node.add::<{{type}}>(&pod, &conf)?;
    assert_eq!(result.ips[0].gateway, Some("10.22.0.1".parse().unwrap()));
    assert_eq!(pod.link("eth0").map(|eth0| eth0.mtu), Some(1400));
    assert_eq!(node.host().tcp("10.22.0.2:80").delivered_to(), Some("c1"));
    assert_eq!(pod.tcp("192.0.2.1:443").delivered_to(), Some("outside"));
    node.check::<{{type}}>(&pod, &conf)?;

    node.del::<{{type}}>(&pod, &conf)?;
    assert!(pod.link("eth0").is_none());
    node.del::<{{type}}>(&pod, &conf)
}

#[test]
fn a_configuration_without_ipam_is_refused() {
    let node = node();
    let error = node.add::<{{type}}>(&node.container("c1"), json!({})).unwrap_err();
    assert_eq!((error.code, error.msg.contains("ipam.type")), (code::INVALID_CONFIG, true), "{error}");
}

#[test]
fn what_fails_half_way_is_undone() {
    let node = node();
    let pod = node.container("c1");
    node.fail("routes/add");
    node.add::<{{type}}>(&pod, json!({"ipam": {"type": "always"}})).unwrap_err();
    assert!(pod.link("eth0").is_none());
}

//! The guest on a simulated node, behind the kit's own `Cable`.

use wharf_sdk::{Result, code};
use wharf_testkit::{Cable, Container, Node, json};
use {{crate}}::{{type}};

fn attached(node: &Node) -> Result<Container> {
    let pod = node.container("c1");
    node.add::<Cable>(&pod, json!({"address": "10.22.0.2/24"}))?;
    Ok(pod)
}

#[test]
fn the_interface_gets_its_mtu() -> Result<()> {
    let node = Node::new();
    let pod = attached(&node)?;
    let result = node.add::<{{type}}>(&pod, json!({"mtu": 1400}))?;
    assert_eq!(pod.link("eth0").map(|eth0| eth0.mtu), Some(1400));
    assert_eq!(result.container_interface("eth0").and_then(|eth0| eth0.mtu), Some(1400));
    node.check::<{{type}}>(&pod, json!({"mtu": 1400}))?;
    assert_eq!(node.check::<{{type}}>(&pod, json!({"mtu": 1500})).unwrap_err().code, code::CHECK_FAILED);
    node.del::<{{type}}>(&pod, json!({"mtu": 1400}))
}

#[test]
fn a_wrong_mtu_is_named() -> Result<()> {
    let node = Node::new();
    let pod = attached(&node)?;
    let error = node.add::<{{type}}>(&pod, json!({"mtu": "large"})).unwrap_err();
    assert_eq!(error.code, code::INVALID_CONFIG);
    assert!(error.msg.contains("mtu: expected an integer, found \"large\""), "{error}");
    Ok(())
}

#[test]
fn it_needs_a_plugin_before_it() {
    let node = Node::new();
    let error = node.add::<{{type}}>(&node.container("c1"), json!({"mtu": 1400})).unwrap_err();
    assert!(error.msg.contains("prevResult"), "{error}");
}

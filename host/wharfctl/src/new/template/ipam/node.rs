//! The guest on a simulated node: leases in memory.

use wharf_sdk::{Result, code};
use wharf_testkit::{Container, Node, json};
use {{crate}}::{{type}};

fn address(node: &Node, pod: &Container, subnet: &str) -> Result<String> {
    let result = node.add::<{{type}}>(pod, json!({"ipam": {"subnet": subnet}}))?;
    Ok(result.ips[0].address.to_string())
}

#[test]
fn addresses_are_given_one_after_the_other() -> Result<()> {
    let node = Node::new();
    let (one, two, three) = (node.container("one"), node.container("two"), node.container("three"));
    let conf = json!({"ipam": {"subnet": "10.22.0.0/29"}});
    assert_eq!(address(&node, &one, "10.22.0.0/29")?, "10.22.0.2/29", "the first is the gateway's");
    assert_eq!(address(&node, &two, "10.22.0.0/29")?, "10.22.0.3/29");
    node.check::<{{type}}>(&one, &conf)?;
    node.del::<{{type}}>(&one, &conf)?;
    assert_eq!(node.check::<{{type}}>(&one, &conf).unwrap_err().code, code::CHECK_FAILED);
    assert_eq!(address(&node, &three, "10.22.0.0/29")?, "10.22.0.4/29", "a freed one comes last");
    node.gc::<{{type}}>(&[&two], &conf)?;
    assert_eq!(node.leases("test").len(), 1);
    Ok(())
}

#[test]
fn a_full_subnet_says_so() -> Result<()> {
    let node = Node::new();
    assert_eq!(address(&node, &node.container("one"), "10.22.0.0/30")?, "10.22.0.2/30");
    let error = address(&node, &node.container("two"), "10.22.0.0/30").unwrap_err();
    assert_eq!((error.code, error.msg.as_str()), (code::EXHAUSTED, "every address of 10.22.0.0/30 is taken"));
    Ok(())
}

#[test]
fn a_wrong_subnet_is_named() {
    let node = Node::new();
    let error = address(&node, &node.container("one"), "10.22.0.0").unwrap_err();
    assert_eq!(error.code, code::INVALID_CONFIG);
    assert!(error.msg.contains("ipam.subnet: \"10.22.0.0\""), "{error}");
}

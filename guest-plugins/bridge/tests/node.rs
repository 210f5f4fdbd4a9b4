//! The whole guest on a simulated node, with the host-local guest as its address manager.

use bridge::Bridge;
use host_local::HostLocal;
use serde_json::Value;
use wharf_sdk::log::Level;
use wharf_sdk::{Result, code};
use wharf_testkit::{Container, Fault, Node, json};

fn node() -> Node {
    let node = Node::new();
    node.delegate::<HostLocal>();
    node
}

fn dual_stack() -> Value {
    json!({
        "name": "pods", "bridge": "br0", "isDefaultGateway": true, "ipMasq": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]}
    })
}

#[test]
fn containers_reach_each_other_and_the_outside() -> Result<()> {
    let node = node();
    let (one, two) = (node.container("one"), node.container("two"));
    let result = node.add::<Bridge>(&one, dual_stack())?;
    node.add::<Bridge>(&two, dual_stack())?;

    let addresses: Vec<_> = result.ips.iter().map(|ip| ip.address.to_string()).collect();
    assert_eq!(addresses, ["10.1.0.2/24", "fd01::2/64"]);
    for neighbour in ["10.1.0.3:80", "[fd01::3]:80"] {
        let passage = one.tcp(neighbour);
        assert_eq!(passage.delivered_to(), Some("two"), "{passage:?}");
    }
    for (outside, node_address) in [("192.0.2.1:53", "192.0.2.10"), ("[2001:db8::1]:53", "2001:db8::10")] {
        let passage = one.udp(outside);
        assert_eq!(passage.delivered_to(), Some("outside"), "{passage:?}");
        assert_eq!(
            passage.source().unwrap().ip().to_string(),
            node_address,
            "it leaves with the node's address"
        );
    }
    node.check::<Bridge>(&one, dual_stack())
}

#[test]
fn a_del_leaves_the_bridge_and_nothing_else() -> Result<()> {
    for gone in [false, true] {
        let node = node();
        let one = node.container("one");
        node.add::<Bridge>(&one, dual_stack())?;
        if gone {
            one.remove_namespace();
        }
        node.del::<Bridge>(&one, dual_stack())?;
        let names: Vec<_> = node.host().links().into_iter().map(|link| link.name).collect();
        assert_eq!(names, ["lo", "ens3", "br0"]);
        assert!(one.masquerades().is_empty() && node.leases("pods").is_empty());
        node.del::<Bridge>(&one, dual_stack())?;
    }
    Ok(())
}

#[test]
fn check_names_what_somebody_took_away() -> Result<()> {
    type Damage = fn(&Container) -> Result<()>;
    let steps: [(&str, Damage); 2] = [
        ("\"eth0\"", |pod| Ok(pod.remove_link("eth0")?)),
        ("the subnet of 10.1.0.2/24", |pod| Ok(pod.set_up("eth0", false)?)),
    ];
    for (named, break_it) in steps {
        let node = node();
        let one = node.container("one");
        node.add::<Bridge>(&one, dual_stack())?;
        break_it(&one)?;
        let error = node.check::<Bridge>(&one, dual_stack()).unwrap_err();
        assert_eq!(error.code, code::CHECK_FAILED, "{error}");
        assert!(error.msg.contains(named), "{error}");
    }
    Ok(())
}

/// Each change in turn fails. What must be there is there, or the ADD says what is missing; and a second try works.
#[test]
fn a_name_that_something_else_has_is_the_configurations_fault() {
    for (name, kind) in [("lo", "a device without a kind"), ("ens3", "veth")] {
        let node = node();
        let error =
            node.add::<Bridge>(&node.container("one"), json!({"name": "pods", "bridge": name})).unwrap_err();
        assert_eq!(error.code, code::INVALID_CONFIG, "{error}");
        let wanted =
            format!("invalid network config: bridge: {name} in the host's namespace is there already");
        assert!(error.msg.starts_with(&wanted) && error.msg.contains(kind), "{error}");
    }
}

#[test]
fn every_change_may_fail() {
    let all = {
        let node = node();
        node.add::<Bridge>(&node.container("one"), dual_stack()).unwrap();
        node.take_changes()
    };
    for (number, change) in all.iter().enumerate() {
        let node = node();
        let one = node.container("one");
        let nth = all.iter().take(number + 1).filter(|other| other.operation == change.operation).count();
        node.fail(Fault::at(change.operation).nth(u32::try_from(nth).unwrap()));
        match node.add::<Bridge>(&one, dual_stack()) {
            Err(error) => {
                assert!(error.msg.contains("as the test asked for"), "{change}: {error}");
                assert!(one.link("eth0").is_none() && node.leases("pods").is_empty(), "{change}");
                node.add::<Bridge>(&one, dual_stack()).unwrap();
            }
            // What only makes things better may be missing, and the log says so.
            Ok(_) => assert!(node.log().iter().any(|line| line.level >= Level::Debug), "{change}"),
        }
        assert!(one.tcp("192.0.2.1:443").is_delivered(), "{change}");
        node.del::<Bridge>(&one, dual_stack()).unwrap();
    }
}

#[test]
fn a_del_that_is_denied_its_rules_goes_on() -> Result<()> {
    let node = node();
    let one = node.container("one");
    node.add::<Bridge>(&one, dual_stack())?;
    node.deny("nat/remove-masquerades");
    node.del::<Bridge>(&one, dual_stack())?;
    assert!(one.link("eth0").is_none() && node.leases("pods").is_empty());
    Ok(())
}

#[test]
fn an_interface_name_that_is_taken_is_the_callers_fault_and_no_other_name() {
    let node = node();
    let one = node.container("one");
    one.add_device("eth0");
    let error = node.add::<Bridge>(&one, dual_stack()).unwrap_err();
    assert_eq!(error.code, code::DUPLICATE, "{error}");
    assert!(error.msg.contains("namespace has a link \"eth0\" already"), "{error}");

    let two = node.container("two");
    node.host().add_device("br0.100");
    let vlan = json!({
        "name": "pods", "bridge": "br0", "isGateway": true, "vlan": 100,
        "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}
    });
    let error = node.add::<Bridge>(&two, vlan).unwrap_err();
    assert_eq!(error.code, code::NOT_AVAILABLE, "{error}");
    assert!(error.msg.contains("\"br0.100\""), "{error}");

    node.fail(Fault::at("links/create-veth").errno(17).always());
    let error = node.add::<Bridge>(&two, dual_stack()).unwrap_err();
    assert_eq!(error.code, code::PLUGIN, "{error}");
    // By the kernel's own words the host tells that it was the kernel.
    assert!(error.msg.contains("no free name") && error.msg.contains("as the test asked for"), "{error}");
}

#[test]
fn an_mtu_without_room_for_ipv6_is_an_error_of_its_key() {
    let node = node();
    let mut config = dual_stack();
    config["mtu"] = json!(1000);
    let error = node.add::<Bridge>(&node.container("one"), config).expect_err("no IPv6 there");
    assert_eq!(error.code, code::INVALID_CONFIG, "{error}");
    assert!(error.msg.contains("mtu: 1000") && error.msg.contains("1280"), "{error}");
}

//! The whole guest in its chain on a simulated node: where do packets to a mapped port go?

use bridge::Bridge;
use host_local::HostLocal;
use portmap::Portmap;
use serde_json::Value;
use wharf_sdk::{Result, code};
use wharf_testkit::{Container, Node, json};

fn mapped(node: &Node, id: &str, mappings: &Value) -> Result<Container> {
    let pod = node.container(id);
    let bridge = json!({
        "name": "pods", "bridge": "br0", "isDefaultGateway": true, "hairpinMode": true,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd01::/64"}]]}
    });
    node.add::<Bridge>(&pod, bridge)?;
    node.add::<Portmap>(&pod, conf(mappings))?;
    Ok(pod)
}

fn conf(mappings: &Value) -> Value {
    json!({"name": "pods", "runtimeConfig": {"portMappings": mappings}})
}

#[test]
fn a_mapped_port_leads_to_its_container() -> Result<()> {
    let node = Node::new();
    node.delegate::<HostLocal>();
    let mappings = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    let web = mapped(&node, "web", &mappings)?;
    for port in ["192.0.2.10:8080", "[2001:db8::10]:8080"] {
        let passage = node.outside().tcp(port);
        assert_eq!(passage.delivered_to(), Some("web"), "{passage:?}");
        assert_eq!(node.host().tcp(port).delivered_to(), Some("web"), "the node's own processes");
        assert_eq!(web.tcp(port).delivered_to(), Some("web"), "hairpin");
        assert_eq!(node.outside().udp(port).delivered_to(), Some("host"), "another protocol");
    }
    node.check::<Portmap>(&web, conf(&mappings))?;

    node.del::<Portmap>(&web, conf(&mappings))?;
    assert_eq!(node.outside().tcp("192.0.2.10:8080").delivered_to(), Some("host"));
    assert!(
        web.forwards().is_empty() && web.link("eth0").is_some(),
        "the chain's other plugins are not asked yet"
    );
    Ok(())
}

#[test]
fn a_host_address_limits_where_the_port_is_open() -> Result<()> {
    let node = Node::new();
    node.delegate::<HostLocal>();
    node.host().add_address("ens3", "192.0.2.11/24".parse().expect("a constant"))?;
    let mappings =
        json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": "192.0.2.11"}]);
    mapped(&node, "web", &mappings)?;
    assert_eq!(node.outside().tcp("192.0.2.11:8080").delivered_to(), Some("web"));
    assert_eq!(node.outside().tcp("192.0.2.10:8080").delivered_to(), Some("host"));
    Ok(())
}

#[test]
fn a_condition_that_is_not_known_is_an_error_of_its_key() -> Result<()> {
    let node = Node::new();
    node.delegate::<HostLocal>();
    let mappings = json!([{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]);
    let pod = mapped(&node, "web", &mappings)?;
    for (option, words, key) in [
        ("conditionsV4", json!(["-s", "10.0.0.0/33"]), "conditionsV4[1]: \"10.0.0.0/33\""),
        ("conditionsV6", json!(["ip6", "saddr", "nowhere"]), "conditionsV6[2]: \"nowhere\""),
    ] {
        let mut config = conf(&mappings);
        config[option] = words;
        let error = node.add::<Portmap>(&pod, config).expect_err("no such condition");
        assert_eq!(error.code, code::INVALID_CONFIG, "{error}");
        assert!(error.msg.contains(key), "{error}");
    }
    Ok(())
}

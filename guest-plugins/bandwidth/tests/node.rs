//! The whole guest in its chain on a simulated node: at which rate do packets go?

use bandwidth::Bandwidth;
use bridge::Bridge;
use host_local::HostLocal;
use serde_json::Value;
use wharf_sdk::{Result, code};
use wharf_testkit::{Fault, Node, json};

fn conf() -> Value {
    let limits = json!({"ingressRate": 8_000_000, "ingressBurst": 800_000, "egressRate": 4_000_000, "egressBurst": 400_000});
    json!({"name": "pods", "runtimeConfig": {"bandwidth": limits}})
}

#[test]
fn both_directions_have_their_rate_until_the_del() -> Result<()> {
    let node = Node::new();
    node.delegate::<HostLocal>();
    let (pod, other) = (node.container("pod"), node.container("other"));
    let bridge = json!({
        "name": "pods", "bridge": "br0", "isDefaultGateway": true,
        "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}
    });
    node.add::<Bridge>(&pod, &bridge)?;
    node.add::<Bridge>(&other, &bridge)?;
    node.add::<Bandwidth>(&pod, conf())?;
    assert_eq!(other.tcp("10.1.0.2:80").rate, Some(8_000_000), "what goes in");
    assert_eq!(pod.tcp("10.1.0.3:80").rate, Some(4_000_000), "what comes out");
    node.check::<Bandwidth>(&pod, conf())?;

    node.del::<Bandwidth>(&pod, conf())?;
    assert_eq!((other.tcp("10.1.0.2:80").rate, pod.tcp("10.1.0.3:80").rate), (None, None));
    assert!(node.host().links().iter().all(|link| link.kind != "ifb"));
    Ok(())
}

#[test]
fn gc_removes_the_ifb_of_whoever_is_gone() -> Result<()> {
    let node = Node::new();
    node.delegate::<HostLocal>();
    let pods = [node.container("stays"), node.container("goes")];
    for pod in &pods {
        let bridge = json!({"name": "pods", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}});
        node.add::<Bridge>(pod, bridge)?;
        node.add::<Bandwidth>(pod, conf())?;
    }
    let ifbs =
        || node.host().links().into_iter().filter(|link| link.kind == "ifb").filter_map(|ifb| ifb.alias);
    assert_eq!(ifbs().count(), 2);
    node.gc::<Bandwidth>(&[&pods[0]], conf())?;
    assert_eq!(ifbs().collect::<Vec<_>>(), ["wharf:pods/stays/eth0"]);
    Ok(())
}

#[test]
fn of_a_name_that_is_taken_only_a_second_add_is_the_callers_fault() -> Result<()> {
    let node = Node::new();
    node.delegate::<HostLocal>();
    let (pod, other) = (node.container("pod"), node.container("other"));
    for pod in [&pod, &other] {
        let bridge = json!({"name": "pods", "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}});
        node.add::<Bridge>(pod, bridge)?;
    }
    node.add::<Bandwidth>(&pod, conf())?;
    let error = node.add::<Bandwidth>(&pod, conf()).unwrap_err();
    assert_eq!(error.code, code::DUPLICATE, "{error}");

    node.fail(Fault::at("links/create-ifb").errno(17).always());
    let error = node.add::<Bandwidth>(&other, conf()).unwrap_err();
    assert_eq!(error.code, code::PLUGIN, "{error}");
    // By the kernel's own words the host tells that it was the kernel.
    assert!(error.msg.contains("another link's") && error.msg.contains("as the test asked for"), "{error}");
    Ok(())
}
